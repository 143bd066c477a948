"""The two OIDC issuers of the app's callers: ``/players`` (RS256) and ``/operators`` (ES256)."""

import base64
import hashlib
import hmac
import time
import uuid
from typing import Any, Literal

import jwt
import msgspec
from aiohttp import web
from cryptography.hazmat.primitives import serialization

from local.emulator.context import Context
from local.emulator.service import Route, Service, json_response
from local.emulator.signing import Claims, json_web_key_set, new_signing_key, private_key, public_key
from local.emulator.state import Issuer, SigningKey

CallerKind = Literal["player", "operator"]
IssuerName = Literal["players", "operators"]
TokenAlgorithm = Literal["RS256", "PS256", "ES256", "HS256", "none"]

CALLER_AUDIENCE = "storekeeper"
OPERATOR_ROLE = "Store.Operator"
_ISSUER_OF: dict[CallerKind, IssuerName] = {"player": "players", "operator": "operators"}


class BearerTokenRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The body of ``POST /_emulator/bearer-tokens``.

    ``claims`` override what would be in the token and ``omit`` leaves claims out. ``algorithm`` other than the issuer's
    makes the forgeries a verifier must refuse: ``none``, ``HS256`` keyed with the public key, a key of another type.
    ``signed_by`` ``unknown`` signs with a key that the issuer never published, under the ``kid`` of one that it did.
    """

    kind: CallerKind
    subject: str | None = None
    expires_in_seconds: float = 3600
    audience: str | list[str] = CALLER_AUDIENCE
    roles: list[str] | None = None
    claims: dict[str, Any] = {}
    omit: list[str] = []
    algorithm: TokenAlgorithm | None = None
    signed_by: Literal["current", "unknown"] = "current"


class Issuers:
    """Signs callers' tokens and rotates the keys that do."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def url(self, name: str) -> str:
        """Return the issuer's identifier, ``https://localhost:N/players`` or ``.../operators``."""
        return f"{self._context.origin}/{name}"

    def get(self, name: str) -> Issuer:
        """Return the issuer's record."""
        return self._context.state.issuers[name]

    def mint(self, wanted: BearerTokenRequest) -> str:
        """Return a token as asked for, good or bad."""
        issuer = self.get(_ISSUER_OF[wanted.kind])
        now = time.time()
        claims: Claims = {
            "iss": self.url(issuer.name),
            "aud": wanted.audience,
            "sub": wanted.subject or f"{wanted.kind}-0001",
            "iat": int(now),
            "nbf": int(now),
            "exp": int(now + wanted.expires_in_seconds),
            "jti": uuid.uuid4().hex,
        }
        roles = [OPERATOR_ROLE] if wanted.roles is None and wanted.kind == "operator" else wanted.roles
        if roles is not None:
            claims["roles"] = roles
        claims |= wanted.claims
        for name in wanted.omit:
            claims.pop(name, None)
        return _encode(claims, issuer.keys[-1], wanted.algorithm or issuer.algorithm, wanted.signed_by == "unknown")

    def rotate(self, name: IssuerName, *, keep_old: bool) -> str:
        """Make a new signing key and return its ``kid``; without ``keep_old`` the earlier ones leave the JWKS."""
        issuer = self.get(name)
        new = new_signing_key(issuer.algorithm)
        issuer.keys = [*issuer.keys, new] if keep_old else [new]
        self._context.touch()
        return new.kid


def issuers_service(issuers: Issuers) -> Service:
    """Return the service: discovery and JWKS of both issuers."""

    def routes(name: str) -> tuple[Route, Route]:
        async def describe(_: web.Request) -> web.Response:
            return json_response(
                {
                    "issuer": issuers.url(name),
                    "jwks_uri": f"{issuers.url(name)}/keys",
                    "id_token_signing_alg_values_supported": [issuers.get(name).algorithm],
                    "response_types_supported": ["id_token"],
                    "subject_types_supported": ["public"],
                }
            )

        async def list_keys(_: web.Request) -> web.Response:
            return json_response(json_web_key_set(issuers.get(name).keys))

        return (
            Route("GET", f"/{name}/.well-known/openid-configuration", describe),
            Route("GET", f"/{name}/keys", list_keys),
        )

    return Service(name="issuers", routes=(*routes("players"), *routes("operators")))


def _encode(claims: Claims, current: SigningKey, algorithm: TokenAlgorithm, unknown: bool) -> str:
    headers = {"kid": current.kid}
    if algorithm == "none":
        return jwt.encode(claims, "", algorithm="none", headers=headers)
    if algorithm == "HS256":
        return _encode_with_public_key(claims, current)
    fits = (algorithm == "ES256") == (current.algorithm == "ES256")
    key = current if fits and not unknown else new_signing_key("ES256" if algorithm == "ES256" else "RS256")
    return jwt.encode(claims, private_key(key.private_pem), algorithm=algorithm, headers=headers)


def _encode_with_public_key(claims: Claims, current: SigningKey) -> str:
    # The classic algorithm confusion, made by hand because PyJWT refuses to sign with a public key.
    public = public_key(current.private_pem).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header = {"alg": "HS256", "typ": "JWT", "kid": current.kid}
    signed = b".".join(base64.urlsafe_b64encode(msgspec.json.encode(part)).rstrip(b"=") for part in (header, claims))
    signature = base64.urlsafe_b64encode(hmac.digest(public, signed, hashlib.sha256)).rstrip(b"=")
    return (signed + b"." + signature).decode()
