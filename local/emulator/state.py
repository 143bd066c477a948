"""Everything the emulator remembers over a restart, as plain records.

The records are what the JSON state file holds, one to one (camelCase there). They know nothing of HTTP, of files or of
tokens. Times are epoch seconds. Bytes are base64 in the file.
"""

from typing import Literal

import msgspec

STATE_VERSION = 1

KeyAlgorithm = Literal["RS256", "ES256"]
StoreKind = Literal["collections", "purchase"]
VaultPermission = Literal["get", "set"]


class Record(msgspec.Struct, rename="camel"):
    """Base of every stored record: camelCase in the file, snake_case in code."""


class SigningKey(Record):
    """A key pair that signs JWTs. ``private_pem`` never leaves the state file and this process."""

    kid: str
    algorithm: KeyAlgorithm
    private_pem: str


class ClientSecret(Record):
    """One of the several secrets an Entra app may have; ``expires_on`` is ``None`` for never."""

    value: str
    expires_on: float | None = None


class FederatedCredential(Record):
    """Trust in tokens of another issuer. ``{origin}`` in ``issuer`` stands for this server's changing address."""

    issuer: str
    subject: str
    audience: str


class App(Record):
    """An Entra app registration together with its service principal.

    ``certificates`` holds public PEMs. ``vault_permissions`` stands for the role assignment at the vault.
    """

    name: str
    client_id: str
    object_id: str
    secrets: list[ClientSecret] = []
    certificates: list[str] = []
    federated_credentials: list[FederatedCredential] = []
    roles: list[str] = []
    vault_permissions: list[VaultPermission] = []


class Tenant(Record):
    """An Entra tenant: its apps by client id, and the audiences (resource principals) that it knows."""

    tenant_id: str
    name: str
    audiences: list[str]
    apps: dict[str, App] = {}
    token_lifetime_seconds: int = 3600


class ManagedIdentity(Record):
    """The identity that App Service would give to the app; ``header_value`` is its ``IDENTITY_HEADER``."""

    tenant_id: str
    client_id: str
    header_value: str


class BusinessTenant(Record):
    """An Entra tenant that uses Store for Business: its app there, and the vault secret that holds the app's secret.

    ``slug`` is its short name in the control API and in the name of that secret. Its users' names end in ``domain``.
    """

    tenant_id: str
    client_id: str
    slug: str
    domain: str
    secret_name: str


class Issuer(Record):
    """An OIDC issuer of the callers' tokens. ``keys`` are those published; the last one signs."""

    name: Literal["players", "operators"]
    algorithm: KeyAlgorithm
    keys: list[SigningKey]


class SecretVersion(Record):
    """One version of a vault secret. Times are whole epoch seconds, as Key Vault gives them."""

    version: str
    value: str
    created: int
    updated: int
    content_type: str | None = None
    enabled: bool = True
    not_before: int | None = None
    expires: int | None = None
    tags: dict[str, str] = {}


class SigningCertificate(Record):
    """A certificate that signs User Store ID keys; ``retired`` ones no longer vouch for a key at renewal."""

    certificate_pem: str
    key: SigningKey
    active_from: float
    retired: bool = False


class Player(Record):
    """A Store account. ``user_hash`` is what an X-token calls it."""

    user_hash: str


class Revocations(Record):
    """Keys that the Store took back: single serials, and for ``kind/userId`` every serial up to a number."""

    serials: set[int] = set()
    up_to: dict[str, int] = {}


class CertificateAuthority(Record):
    """The private CA under which the server's TLS certificate is issued at each start."""

    certificate_pem: str
    private_pem: str


class State(Record):
    """The root of the state file."""

    version: int
    certificate_authority: CertificateAuthority
    tenants: dict[str, Tenant]
    publisher_tenant_id: str
    publisher_client_id: str
    app_client_id: str
    admin_client_id: str
    managed_identity: ManagedIdentity
    entra_key: SigningKey
    issuers: dict[str, Issuer]
    vault: dict[str, list[SecretVersion]]
    signing_certificates: list[SigningCertificate]
    store_payload_key: bytes
    x_token_key: bytes
    players: dict[str, Player] = {}
    revocations: Revocations = msgspec.field(default_factory=Revocations)
    business_tenants: list[BusinessTenant] = []

    def find_app(self, client_id: str) -> tuple[Tenant, App] | None:
        """Return the app and its tenant, or ``None``; GUIDs compare without case."""
        wanted = client_id.lower()
        for tenant in self.tenants.values():
            if wanted in tenant.apps:
                return tenant, tenant.apps[wanted]
        return None
