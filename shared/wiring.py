"""Puts the parts together, once a process and each when it is first needed.

The only place that knows which parts there are. Functions get it from ``functions/parts.py``.
"""

from functools import cached_property, partial

from shared.auth.app_identity import AppIdentity
from shared.auth.callers import Callers
from shared.auth.entra import Entra
from shared.auth.issuer_keys import IssuerKeys
from shared.auth.tokens import StoreIdKind
from shared.auth.vault import Vault
from shared.errors import NotFoundError
from shared.events import QUEUE as EVENTS_QUEUE
from shared.events import Events
from shared.health import Probe
from shared.keys.filing import Files
from shared.keys.intake import Intake
from shared.keys.messages import QUEUE as RENEWALS_QUEUE
from shared.keys.renewal import LEASE_DURATION, Renewal
from shared.keys.sealing import KeySealer
from shared.poison import Poison
from shared.settings import Identity, Settings
from shared.storage.account import Account
from shared.storage.leases import Leases
from shared.storage.queues import Queue
from shared.storage.sealing import Sealer
from shared.storage.tables import Table
from shared.store.key_service import KeyService
from shared.store.transport import Transport

STORE_IDS_TABLE = "storeids"
POISON_TABLE = "poison"

QUEUES = (RENEWALS_QUEUE,)
"""The queues that functions of ours read."""


class Wiring:
    """The parts of one process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def publisher(self) -> Identity:
        """The publisher's Entra app.

        :raises NotFoundError: the publisher's half is switched off.
        """
        identity = self.settings.publisher
        if identity is None:
            raise NotFoundError("The publisher's half is switched off: PUBLISHER_CLIENT_ID is empty")
        return identity

    @cached_property
    def callers(self) -> Callers:
        """Who calls us."""
        return Callers(self.settings.caller_issuers, self._issuer_keys)

    @cached_property
    def entra(self) -> Entra:
        """Tokens for the Store."""
        return Entra(self.settings, self._vault)

    @cached_property
    def intake(self) -> Intake:
        """Keys that come in."""
        return Intake(
            self.publisher,
            self._files,
            self._key_sealer,
            self.entra,
            self._key_service,
            match_user=self.settings.store_id_match_user,
        )

    @cached_property
    def renewal(self) -> Renewal:
        """Keys that are kept alive."""
        return Renewal(
            self.publisher,
            self._files,
            self._key_sealer,
            self.entra,
            self._key_service,
            Events(self._events_queue),
            self._renewals_queue,
            Leases(self._store_ids_table, LEASE_DURATION),
        )

    @cached_property
    def poison(self) -> Poison:
        """What was given up on."""
        return Poison(self._account, Table(self._account, POISON_TABLE), QUEUES)

    def probes(self) -> dict[str, Probe]:
        """One probe for each dependency that these settings make us depend on."""
        keys, settings = self._issuer_keys, self.settings
        probes: dict[str, Probe] = {
            "storage-tables": self._store_ids_table.check,
            "storage-queues": self._renewals_queue.check,
            "key-vault": lambda: self._vault.get_secret(settings.store_id_data_key, fresh=True),
        }
        for issuer in settings.caller_issuers:
            probes[f"issuer {issuer.issuer}"] = partial(keys.check, issuer)
        if settings.publisher:
            probes["entra"] = partial(self.entra.check, settings.publisher)
            probes |= {f"store-{kind}": service.reach for kind, service in self._key_services.items()}
        return probes

    async def close(self) -> None:
        """Give back all connections. Azure ends the process instead; tests and tools close."""
        parts: dict[str, AppIdentity | Vault | IssuerKeys | Account] = {
            name: part
            for name, part in vars(self).items()
            if isinstance(part, AppIdentity | Vault | IssuerKeys | Account)
        }
        for part in parts.values():
            await part.close()
        for service in vars(self).get("_key_services", {}).values():
            await service.close()

    @cached_property
    def _app_identity(self) -> AppIdentity:
        return AppIdentity(self.settings)

    @cached_property
    def _storage_identity(self) -> AppIdentity:
        client_id = self.settings.storage.client_id
        return AppIdentity(self.settings, client_id=client_id) if client_id else self._app_identity

    @cached_property
    def _vault(self) -> Vault:
        return Vault(self.settings, self._app_identity)

    @cached_property
    def _issuer_keys(self) -> IssuerKeys:
        return IssuerKeys()

    @cached_property
    def _account(self) -> Account:
        return Account(self.settings.storage, self._storage_identity)

    @cached_property
    def _store_ids_table(self) -> Table:
        return Table(self._account, STORE_IDS_TABLE)

    @cached_property
    def _renewals_queue(self) -> Queue:
        return Queue(self._account, RENEWALS_QUEUE)

    @cached_property
    def _events_queue(self) -> Queue:
        return Queue(self._account, EVENTS_QUEUE)

    @cached_property
    def _files(self) -> Files:
        return Files(self._store_ids_table)

    @cached_property
    def _sealer(self) -> Sealer:
        return Sealer(self._vault, self.settings.store_id_data_key)

    @cached_property
    def _key_sealer(self) -> KeySealer:
        return KeySealer(self._sealer)

    @cached_property
    def _key_services(self) -> dict[StoreIdKind, Transport]:
        settings = self.settings
        return {
            StoreIdKind.COLLECTIONS: Transport(settings.store_collections_url, settings.store_concurrency),
            StoreIdKind.PURCHASE: Transport(settings.store_purchase_url, settings.store_concurrency),
        }

    @cached_property
    def _key_service(self) -> KeyService:
        return KeyService(self._key_services)
