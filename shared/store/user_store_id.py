"""User Store ID keys, read without trust (seed 002, "Claims in a User Store ID key"; reference, section 2).

A key is a JWT that only the Store can verify. To us it is client input: what is read here decides when we renew and
whom we file it under, never who somebody is.
"""

import base64
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

import msgspec

from shared.auth.tokens import StoreIdKind
from shared.clock import from_epoch
from shared.secret import Secret

MAX_KEY_CHARACTERS = 16_384

CLAIM_PREFIXES = (
    "http://schemas.microsoft.com/marketplace/2015/08/claims/key/",
    "https://schemas.microsoft.com/marketplace/2015/08/claims/key/",
)
"""Both published spellings: the GDK page and library say http, the seed says https (reference, section 2)."""

_AUDIENCES = {f"https://{kind}.mp.microsoft.com/v6.0/keys": kind for kind in StoreIdKind}
RENEWAL_PATH = "/v6.0/b2b/keys/renew"
DOCUMENTED_RENEWAL = {kind: f"https://{kind}.mp.microsoft.com{RENEWAL_PATH}" for kind in StoreIdKind}
"""Microsoft's documented renewal address of each kind (reference, section 3)."""


_BASE64 = re.compile(r"[A-Za-z0-9_=+/-]+")


class MalformedKeyError(ValueError):
    """Not a User Store ID key; says what is wrong and repeats nothing of it."""


class UserStoreIdKey(Secret):
    """A key in the clear."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class UntrustedClaims:
    """What a key says of itself. Nobody has verified it."""

    kind: StoreIdKind
    client_id: str
    user_id: str | None
    refresh_uri: str
    issued_on: datetime
    expires_on: datetime


class _Header(msgspec.Struct):
    typ: str
    alg: str


type _Epoch = Annotated[int, msgspec.Meta(ge=0, le=253_402_300_799)]


class _Claims(msgspec.Struct):
    iss: str
    aud: str
    iat: _Epoch
    exp: _Epoch


def decode(key: UserStoreIdKey) -> UntrustedClaims:
    """Read a key's claims. Its signature is opaque to us and is not looked at.

    :raises MalformedKeyError: it is not a JWT, or claims are missing or contradict each other.
    """
    text = key.reveal()
    if len(text) > MAX_KEY_CHARACTERS:
        raise MalformedKeyError(f"longer than {MAX_KEY_CHARACTERS} characters")
    parts = text.split(".")
    if len(parts) != 3 or not all(_BASE64.fullmatch(part) for part in parts):
        raise MalformedKeyError("not a JWT: three base64url parts separated by dots are expected")
    header = _part(parts[0], _Header, "header")
    if header.typ.upper() != "JWT" or header.alg != "RS256":
        raise MalformedKeyError("the header is not that of a User Store ID key: typ JWT and alg RS256 are expected")
    extra = _part(parts[1], dict[str, object], "claim set")
    claims = _typed(extra)
    kind = _AUDIENCES.get(claims.aud)
    if kind is None or claims.iss != claims.aud:
        raise MalformedKeyError("iss and aud are not those of a collections or purchase key")
    if claims.exp <= claims.iat:
        raise MalformedKeyError("exp is not after iat")
    return UntrustedClaims(
        kind=kind,
        client_id=_required(extra, "clientId"),
        user_id=_optional(extra, "userId"),
        refresh_uri=_required(extra, "refreshUri"),
        issued_on=from_epoch(claims.iat),
        expires_on=from_epoch(claims.exp),
    )


def is_known_renewal_address(uri: str, kind: StoreIdKind, service_root: str) -> bool:
    """Whether a key's ``refreshUri`` is one of the two addresses of its kind, to the letter.

    The comparison is of whole texts, so that user info, ports, other hosts, look-alikes, queries and tricks of parsers
    all fail alike. Nothing is ever sent to the address itself: renewal goes to the configured service.
    """
    return uri in {DOCUMENTED_RENEWAL[kind], service_root + RENEWAL_PATH}


def _part[T](part: str, shape: type[T], name: str) -> T:
    try:
        decoded = base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(decoded, type=shape)
    except (ValueError, msgspec.DecodeError, RecursionError) as error:  # base64's and Unicode's errors are ValueErrors
        raise MalformedKeyError(f"the {name} is not base64url of the expected JSON") from error


def _typed(claims: dict[str, object]) -> _Claims:
    try:
        return msgspec.convert(claims, _Claims)
    except msgspec.ValidationError as error:
        raise MalformedKeyError("the claim set is not base64url of the expected JSON") from error


def _optional(claims: dict[str, object], name: str) -> str | None:
    values = {claims[prefix + name] for prefix in CLAIM_PREFIXES if isinstance(claims.get(prefix + name), str)}
    if len(values) > 1:
        raise MalformedKeyError(f"the claim {name} is given twice, with two values")
    value = next(iter(values), None)
    return value if isinstance(value, str) else None


def _required(claims: dict[str, object], name: str) -> str:
    value = _optional(claims, name)
    if not value:
        raise MalformedKeyError(f"the claim {name} is missing")
    return value
