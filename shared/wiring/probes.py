"""What readiness looks at."""

from functools import partial

from shared.catalog.files import PACKAGES
from shared.health import Probe
from shared.wiring.catalog import CatalogParts
from shared.wiring.core import Core
from shared.wiring.keys import KeyParts
from shared.wiring.store import StoreParts


def make_probes(core: Core, store: StoreParts, keys: KeyParts, catalog: CatalogParts) -> dict[str, Probe]:
    """One probe for each dependency that the settings make us depend on."""
    settings = core.settings
    probes: dict[str, Probe] = {
        "storage-tables": keys.table.check,
        "storage-queues": keys.queue.check,
        "key-vault": lambda: core.vault.get_secret(settings.store_id_data_key, fresh=True),
    }
    for issuer in settings.caller_issuers:
        probes[f"issuer {issuer.issuer}"] = partial(core.issuer_keys.check, issuer)
    if settings.publisher:
        probes["entra"] = partial(core.entra.check, settings.publisher)
        probes |= {f"store-{kind}": service.reach for kind, service in store.publisher_services.items()}
    if settings.business_tenants:
        probes["storage-blobs"] = catalog.containers[PACKAGES].check
        probes["store-business"] = store.business_probe.reach
    for identity in settings.business_tenants:
        probes[f"entra {identity.tenant_id}"] = partial(core.entra.check, identity)
    return probes
