"""Every setting in one place: its name, type, default and meaning.

:meth:`Settings.load` reads them all from one mapping and names everything that is wrong at once. Nothing here is read
at import. Values may be secrets (a storage connection string), so no error repeats a value.
"""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from shared.secret import Secret


class SettingsError(Exception):
    """Settings are missing or malformed; ``problems`` has a line for each: name, what was wrong, what is expected."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("Storekeeper cannot start:\n" + "\n".join(f"  - {problem}" for problem in self.problems))


@dataclasses.dataclass(frozen=True, slots=True)
class CredentialSource:
    """How an identity proves itself to Entra: which of the three kinds, and the name of the secret or identity."""

    kind: Literal["secret", "certificate", "managed-identity"]
    name: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """One Entra app in one tenant, as which Storekeeper calls the Store."""

    tenant_id: str
    client_id: str
    credential: CredentialSource


@dataclasses.dataclass(frozen=True, slots=True)
class Issuer:
    """An issuer whose tokens our callers present."""

    issuer: str
    audience: str
    kind: Literal["player", "operator"]
    jwks_url: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class StorageAccount:
    """The storage account: a connection string, or an account's name and the app's own identity."""

    connection_string: Secret | None
    account_name: str | None
    client_id: str | None = None

    def endpoint(self, service: Literal["blob", "queue", "table"]) -> str:
        """Where a service of an account named by ``account_name`` answers."""
        return f"https://{self.account_name}.{service}.core.windows.net"


def _text(value: str) -> str:
    return value


def _flag(value: str) -> bool:
    return {"true": True, "1": True, "false": False, "0": False}[value.lower()]


def _count(value: str) -> int:
    number = int(value)
    if not 1 <= number <= 10_000:
        raise ValueError
    return number


def _url(value: str) -> str:
    parts = urlsplit(value)
    loopback = parts.hostname in {"localhost", "127.0.0.1", "::1"}
    if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
        raise ValueError
    if parts.port == 0 or re.search(r"[\s\\]", value):  # reading the port refuses what is none
        raise ValueError
    if not parts.hostname or parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError
    return value.rstrip("/")


def _directory_id(value: str) -> str:
    if not re.fullmatch(r"([0-9A-Za-z][0-9A-Za-z.-]*)?", value):
        raise ValueError
    return value


def _vault_name(value: str) -> str:
    if not re.fullmatch(r"[0-9A-Za-z-]{1,127}", value):
        raise ValueError
    return value


def _credential(value: str) -> CredentialSource:
    kind, _, name = value.partition(":")
    match kind:
        case "secret" | "certificate":
            return CredentialSource(kind, _vault_name(name))
        case "managed-identity":
            return CredentialSource(kind, name or None)
    raise ValueError


def _languages(value: str) -> tuple[str, ...]:
    languages = tuple(language.strip().lower() for language in value.split(","))
    if not all(re.fullmatch(r"[a-z]{2,3}(-[a-z0-9]{2,8})*", language) for language in languages):
        raise ValueError
    return languages


_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
_SCHEDULE_FIELDS: tuple[tuple[range, list[str]], ...] = (
    (range(60), []),
    (range(60), []),
    (range(24), []),
    (range(1, 32), []),
    (range(1, 13), _MONTHS),
    (range(7), _WEEKDAYS),
)


def _schedule(value: str) -> str:
    for field, (numbers, names) in zip(value.split(" "), _SCHEDULE_FIELDS, strict=True):
        for item in field.split(","):
            found = re.fullmatch(r"(?:\*|([0-9A-Za-z]+)(?:-([0-9A-Za-z]+))?)(?:/0*[1-9][0-9]?)?", item)
            if not found:
                raise ValueError
            for end in filter(None, found.groups()):
                if end.upper() not in names and int(end) not in numbers:
                    raise ValueError
    return value


class _TenantEntry(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    tenant_id: str
    client_id: str
    credential: str


class _IssuerEntry(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    issuer: str
    audience: str
    kind: Literal["player", "operator"]
    jwks_url: str | None = None


def _tenants(value: str) -> tuple[Identity, ...]:
    entries = msgspec.json.decode(value or "[]", type=list[_TenantEntry])
    if len({entry.tenant_id for entry in entries}) != len(entries) or not all(
        _directory_id(entry.tenant_id) and _directory_id(entry.client_id) for entry in entries
    ):
        raise ValueError
    return tuple(Identity(entry.tenant_id, entry.client_id, _credential(entry.credential)) for entry in entries)


def _issuers(value: str) -> tuple[Issuer, ...]:
    entries = msgspec.json.decode(value, type=list[_IssuerEntry])
    if not entries:
        raise ValueError
    for entry in entries:
        _url(entry.issuer)
        if not entry.audience:
            raise ValueError
        if entry.jwks_url is not None:
            _url(entry.jwks_url)
    if len({(entry.issuer, entry.audience) for entry in entries}) != len(entries):
        raise ValueError  # which of the two kinds a token would prove could not be told
    return tuple(Issuer(entry.issuer, entry.audience, entry.kind, entry.jwks_url) for entry in entries)


_URL = "an https URL without user, query or fragment (http only for loopback)"
_SCHEDULE = "an NCRONTAB expression of six fields (second minute hour day month weekday), UTC"
_CREDENTIAL = "secret:NAME, certificate:NAME or managed-identity[:CLIENT_ID]"


def _setting(name: str, parse: Callable[[str], Any], expected: str, meaning: str, *, default: str | None = None) -> Any:
    """One setting. No ``default`` means that it is required."""
    return dataclasses.field(
        metadata={"name": name, "parse": parse, "expected": expected, "meaning": meaning, "default": default}
    )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Settings:
    """All settings, checked. The source of names, defaults and meanings: README, "Settings"."""

    storage: StorageAccount
    key_vault_url: str = _setting("KEY_VAULT_URL", _url, _URL, "the vault of every secret below")
    entra_authority: str = _setting(
        "ENTRA_AUTHORITY", _url, _URL, "login authority", default="https://login.microsoftonline.com"
    )
    disable_instance_discovery: bool = _setting(
        "AZURE_DISABLE_INSTANCE_DISCOVERY",
        _flag,
        "true or false",
        "true only for an authority that is not Microsoft's",
        default="false",
    )
    publisher_tenant_id: str = _setting(
        "PUBLISHER_TENANT_ID", _directory_id, "a tenant id", "the publisher's Entra tenant; empty: half off", default=""
    )
    publisher_client_id: str = _setting(
        "PUBLISHER_CLIENT_ID",
        _directory_id,
        "an application id",
        "the publisher's Entra app; empty: half off",
        default="",
    )
    publisher_credential: CredentialSource = _setting(
        "PUBLISHER_CREDENTIAL",
        _credential,
        _CREDENTIAL,
        "how the publisher's app proves itself",
        default="secret:publisher-client-secret",
    )
    business_tenants: tuple[Identity, ...] = _setting(
        "BUSINESS_TENANTS",
        _tenants,
        f'a JSON list of {{"tenantId", "clientId", "credential"}}, one a tenant; credential: {_CREDENTIAL}',
        "organisations acted for; empty switches the Store for Business half off",
        default="[]",
    )
    store_business_url: str = _setting(
        "STORE_BUSINESS_URL", _url, _URL, "Store for Business service", default="https://bspmts.mp.microsoft.com"
    )
    store_collections_url: str = _setting(
        "STORE_COLLECTIONS_URL", _url, _URL, "Collections service", default="https://collections.mp.microsoft.com"
    )
    store_purchase_url: str = _setting(
        "STORE_PURCHASE_URL", _url, _URL, "Purchase service", default="https://purchase.mp.microsoft.com"
    )
    key_vault_verify_challenge: bool = _setting(
        "KEY_VAULT_VERIFY_CHALLENGE",
        _flag,
        "true or false",
        "false only for a vault that is not Microsoft's",
        default="true",
    )
    store_id_data_key: str = _setting(
        "STORE_ID_DATA_KEY",
        _vault_name,
        "the name of a vault secret (letters, digits, hyphens)",
        "vault secret with the data key (32 bytes, base64) for User Store ID keys at rest",
        default="store-id-data-key",
    )
    store_id_match_user: bool = _setting(
        "STORE_ID_MATCH_USER",
        _flag,
        "true or false",
        "true when the game passes its own user id as publisherUserId: a key of another user is then refused",
        default="false",
    )
    store_sandbox: str = _setting(
        "STORE_SANDBOX", _text, "a sandbox id", "sandbox whose refunds are ours", default="RETAIL"
    )
    caller_issuers: tuple[Issuer, ...] = _setting(
        "CALLER_ISSUERS",
        _issuers,
        'a JSON list with at least one {"issuer", "audience", "kind": "player" | "operator", "jwksUrl"?}',
        "whose tokens callers present",
    )
    catalog_languages: tuple[str, ...] = _setting(
        "CATALOG_LANGUAGES",
        _languages,
        "a comma list of language tags such as en-us,de-de",
        "which localized details to keep",
        default="en-us",
    )
    catalog_download_packages: bool = _setting(
        "CATALOG_DOWNLOAD_PACKAGES", _flag, "true or false", "download offline packages to blobs", default="true"
    )
    seat_chunk_size: int = _setting(
        "SEAT_CHUNK_SIZE", _count, "a whole number from 1 to 10000", "users in one bulk call", default="25"
    )
    store_concurrency: int = _setting(
        "STORE_CONCURRENCY",
        _count,
        "a whole number from 1 to 10000",
        "calls in flight to one service from one instance",
        default="64",
    )
    catalog_sync_schedule: str = _setting(
        "CATALOG_SYNC_SCHEDULE", _schedule, _SCHEDULE, "when catalogues are synced", default="0 0 * * * *"
    )
    key_renewal_schedule: str = _setting(
        "KEY_RENEWAL_SCHEDULE", _schedule, _SCHEDULE, "when due keys are looked for", default="0 */5 * * * *"
    )
    refund_schedule: str = _setting(
        "REFUND_SCHEDULE", _schedule, _SCHEDULE, "when refunds are fetched", default="0 */5 * * * *"
    )
    sweep_schedule: str = _setting(
        "SWEEP_SCHEDULE", _schedule, _SCHEDULE, "when unfinished work is picked up again", default="0 * * * * *"
    )
    telemetry: Secret = _setting(
        "APPLICATIONINSIGHTS_CONNECTION_STRING",
        Secret,
        "a connection string",
        "telemetry is exported when set",
        default="",
    )

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> "Settings":
        """Read and check all settings.

        :raises SettingsError: naming every setting that is missing or malformed, never its value.
        """
        problems: list[str] = []
        values: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            try:
                values[field.name] = _read_storage(environ) if field.name == "storage" else _read(field, environ)
            except _ProblemError as problem:
                problems.append(str(problem))
        if not problems and bool(values["publisher_tenant_id"]) != bool(values["publisher_client_id"]):
            problems.append("PUBLISHER_TENANT_ID and PUBLISHER_CLIENT_ID go together: set both, or neither")
        if problems:
            raise SettingsError(problems)
        return cls(**values)

    @property
    def publisher(self) -> Identity | None:
        """The publisher's Entra app, or None where that half is switched off."""
        if not self.publisher_client_id:
            return None
        return Identity(self.publisher_tenant_id, self.publisher_client_id, self.publisher_credential)


class _ProblemError(Exception):
    pass


def _read(field: dataclasses.Field[Any], environ: Mapping[str, str]) -> Any:
    about = field.metadata
    value = environ.get(about["name"], "").strip() or about["default"]
    if value is None:
        raise _ProblemError(f"{about['name']} is missing; expected {about['expected']}")
    try:
        return about["parse"](value)
    except (ValueError, KeyError) as error:  # msgspec's errors are ValueErrors
        raise _ProblemError(f"{about['name']} is malformed; expected {about['expected']}") from error


def _read_storage(environ: Mapping[str, str]) -> StorageAccount:
    connection_string = environ.get("AzureWebJobsStorage", "").strip()
    account_name = environ.get("AzureWebJobsStorage__accountName", "").strip()
    if connection_string:
        known = connection_string == "UseDevelopmentStorage=true" or re.search(
            r"(^|;)AccountName=[^;]+", connection_string
        )
        if not known:
            raise _ProblemError("AzureWebJobsStorage is malformed; expected a storage connection string")
        return StorageAccount(Secret(connection_string), None)
    if not account_name:
        raise _ProblemError(
            "AzureWebJobsStorage is missing; expected a storage connection string, "
            "or AzureWebJobsStorage__accountName for the app's own identity"
        )
    if not re.fullmatch(r"[a-z0-9]{3,24}", account_name):
        raise _ProblemError("AzureWebJobsStorage__accountName is malformed; expected the name of a storage account")
    return StorageAccount(None, account_name, environ.get("AzureWebJobsStorage__clientId") or None)


def described() -> list[tuple[str, str | None, str]]:
    """Name, default (None: required) and meaning of each setting, in order."""
    return [
        (field.metadata["name"], field.metadata["default"], field.metadata["meaning"])
        for field in dataclasses.fields(Settings)
        if field.name != "storage"
    ]


def schedule_defaults() -> dict[str, str]:
    """The schedule settings and their defaults: a timer binding cannot name a default for ``%SETTING%`` itself."""
    return {name: default for name, default, _ in described() if name.endswith("_SCHEDULE") and default is not None}
