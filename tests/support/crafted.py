"""JWTs made by hand, good and bad, where the emulator makes only what the Store would."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from shared.store.user_store_id import UserStoreIdKey

CLIENT_ID = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
PREFIX = "http://schemas.microsoft.com/marketplace/2015/08/claims/key/"
HEADER = {"typ": "JWT", "alg": "RS256", "kid": "36D101AF", "x5t": "agA_pgJ7"}


def part(content: object) -> str:
    """One part of a JWT: bytes as they are, everything else as JSON, in base64url without padding."""
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def jwt_of(claims: object, header: object = None, signature: object = b"signature") -> str:
    """A JWT of any content; nobody signed it."""
    return f"{part(HEADER if header is None else header)}.{part(claims)}.{part(signature)}"


def claims_of(kind: str = "collections", prefix: str = PREFIX, **changes: Any) -> dict[str, Any]:
    """The claim set of a key; ``changes`` replace claims by their short names, and None leaves one out."""
    own = {
        "clientId": CLIENT_ID,
        "payload": "UExBQ0VIT0xERVI=",
        "userId": "player-0001",
        "refreshUri": f"https://{kind}.mp.microsoft.com/v6.0/b2b/keys/renew",
    }
    audience = f"https://{kind}.mp.microsoft.com/v6.0/keys"
    registered = {"iat": 1_795_270_200, "iss": audience, "aud": audience, "exp": 1_797_862_200, "nbf": 1_795_266_600}
    for name, value in changes.items():
        (own if name in own else registered)[name] = value
    named: Mapping[str, Any] = {f"{prefix}{name}": value for name, value in own.items()} | registered
    return {name: value for name, value in named.items() if value is not None}


def key_of(kind: str = "collections", prefix: str = PREFIX, **changes: Any) -> UserStoreIdKey:
    """A key with a claim set as :func:`claims_of` makes it."""
    return UserStoreIdKey(jwt_of(claims_of(kind, prefix, **changes)))
