"""The world at the first start: a publisher tenant with its apps, a managed identity, a vault, three business tenants.

Every secret is fresh and random. What the business tenants own is in ``business/seeds.py``.
"""

import base64
import secrets
import time
import uuid

from local.emulator.identity.audiences import PLATFORM_AUDIENCES, SERVICE_AUDIENCE, STORE_AUDIENCES
from local.emulator.signing import new_signing_certificate, new_signing_key
from local.emulator.state import (
    STATE_VERSION,
    App,
    BusinessTenant,
    ClientSecret,
    Issuer,
    ManagedIdentity,
    SecretVersion,
    State,
    Tenant,
)
from local.emulator.tls import new_certificate_authority

PUBLISHER_SECRET_NAME = "publisher-client-secret"
DATA_KEY_NAME = "store-id-data-key"
DATA_KEY_BYTES = 32
BUSINESS_SLUGS = ("contoso", "fabrikam", "northwind")


def new_client_secret() -> str:
    """Return a client secret that breaks every client which does not url-encode it.

    Entra's secrets can hold ``%``, ``+``, ``~`` and ``&`` (store-services reference, section 1). ``%2B`` is there for
    clients that decode once too often.
    """
    a, b, c = (secrets.token_urlsafe(9) for _ in range(3))
    return f"{a}~%2B+{b}&{c}"


def new_secret_version(value: str, content_type: str | None = None) -> SecretVersion:
    """Return a vault secret version, enabled, created now."""
    now = int(time.time())
    return SecretVersion(version=uuid.uuid4().hex, value=value, created=now, updated=now, content_type=content_type)


def new_app(name: str) -> App:
    """Return an app registration with fresh ids, without any credential."""
    return App(name=name, client_id=str(uuid.uuid4()), object_id=str(uuid.uuid4()))


def first_state() -> State:
    """Return the state of a first start."""
    publisher = new_app("Publisher")
    publisher.secrets.append(ClientSecret(value=new_client_secret()))
    app = new_app("Storekeeper, the app's own identity")
    app.secrets.append(ClientSecret(value=new_client_secret()))
    app.vault_permissions = ["get"]
    admin = new_app("Administrator of the vault")
    admin.secrets.append(ClientSecret(value=new_client_secret()))
    admin.vault_permissions = ["get", "set"]
    identity = new_app("Managed identity of the function app")
    identity.vault_permissions = ["get"]
    tenant = Tenant(
        tenant_id=str(uuid.uuid4()),
        name="Publisher",
        audiences=[*STORE_AUDIENCES, *PLATFORM_AUDIENCES],
        apps={each.client_id: each for each in (publisher, app, admin, identity)},
    )
    data_key = base64.b64encode(secrets.token_bytes(DATA_KEY_BYTES)).decode()
    state = State(
        version=STATE_VERSION,
        certificate_authority=new_certificate_authority(),
        tenants={tenant.tenant_id: tenant},
        publisher_tenant_id=tenant.tenant_id,
        publisher_client_id=publisher.client_id,
        app_client_id=app.client_id,
        admin_client_id=admin.client_id,
        managed_identity=ManagedIdentity(
            tenant_id=tenant.tenant_id, client_id=identity.client_id, header_value=secrets.token_urlsafe(24)
        ),
        entra_key=new_signing_key("RS256"),
        issuers={
            "players": Issuer(name="players", algorithm="RS256", keys=[new_signing_key("RS256")]),
            "operators": Issuer(name="operators", algorithm="ES256", keys=[new_signing_key("ES256")]),
        },
        vault={
            PUBLISHER_SECRET_NAME: [new_secret_version(publisher.secrets[0].value)],
            DATA_KEY_NAME: [new_secret_version(data_key)],
        },
        signing_certificates=[new_signing_certificate()],
        store_payload_key=secrets.token_bytes(32),
        x_token_key=secrets.token_bytes(32),
    )
    add_business_tenants(state)
    return state


def add_business_tenants(state: State) -> None:
    """Add the tenants that use Store for Business, each with an app whose client secret is in the vault."""
    for slug in BUSINESS_SLUGS:
        app = new_app(f"Storekeeper at {slug.title()}")
        app.secrets.append(ClientSecret(value=new_client_secret()))
        tenant = Tenant(
            tenant_id=str(uuid.uuid4()),
            name=slug.title(),
            audiences=[SERVICE_AUDIENCE],
            apps={app.client_id: app},
        )
        secret_name = f"business-{slug}-client-secret"
        state.tenants[tenant.tenant_id] = tenant
        state.vault[secret_name] = [new_secret_version(app.secrets[0].value)]
        state.business_tenants.append(
            BusinessTenant(
                tenant_id=tenant.tenant_id,
                client_id=app.client_id,
                slug=slug,
                domain=f"{slug}.example",
                secret_name=secret_name,
            )
        )
