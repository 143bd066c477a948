"""Access tokens: made by Entra and managed identity, checked by the vault and the Store services."""

import time
import uuid
from dataclasses import dataclass
from typing import Literal

import jwt

from local.emulator.context import Context
from local.emulator.identity.audiences import SERVICE_AUDIENCE
from local.emulator.signing import Claims, sign, verify
from local.emulator.state import App, Tenant

TokenVersion = Literal["1.0", "2.0"]

# Entra dates tokens five minutes back for clients whose clock is behind (fixture entra-token-v1-response).
_NOT_BEFORE_SECONDS = 300
_VERIFIED_KEPT = 4096


class InvalidAccessTokenError(Exception):
    """A bearer token or service ticket that is forged, expired, not yet valid, or for another audience."""


@dataclass(frozen=True)
class AccessToken:
    """An issued token with its times in epoch seconds."""

    token: str
    not_before: int
    expires_on: int


@dataclass(frozen=True)
class VerifiedToken:
    """The claims that services act on, from a token whose signature was checked."""

    audience: str
    client_id: str
    tenant_id: str
    not_before: int
    expires_on: int


class AccessTokens:
    """Makes and checks the access tokens of every tenant."""

    def __init__(self, context: Context) -> None:
        self._context = context
        # The same service ticket comes with thousands of renewals; its signature needs checking once.
        self._verified: dict[str, VerifiedToken] = {}

    def mint(
        self, tenant: Tenant, app: App, audience: str, version: TokenVersion, *, by_certificate: bool = False
    ) -> AccessToken:
        """Return a signed token for ``app``; its lifetime is the tenant's setting.

        A v1 token's issuer is ``https://sts.windows.net/{tenant}/``, a v2 token's is this server's. ``appid`` is in
        both, because the Store refuses tokens without it (store-services reference, section 0).
        """
        now = int(time.time())
        expires_on = now + tenant.token_lifetime_seconds
        claims: Claims = {
            "aud": audience,
            "iss": self.issuer(tenant) if version == "2.0" else f"https://sts.windows.net/{tenant.tenant_id}/",
            "iat": now,
            "nbf": now - _NOT_BEFORE_SECONDS,
            "exp": expires_on,
            "appid": app.client_id,
            "appidacr": "2" if by_certificate else "1",
            "oid": app.object_id,
            "sub": app.object_id,
            "tid": tenant.tenant_id,
            "roles": app.roles,
            "uti": uuid.uuid4().hex,
            "ver": version,
        }
        token = sign(claims, self._context.state.entra_key)
        if audience == SERVICE_AUDIENCE:
            self._context.secrets.add_service_token(token)
        return AccessToken(token, not_before=now - _NOT_BEFORE_SECONDS, expires_on=expires_on)

    def issuer(self, tenant: Tenant) -> str:
        """Return the tenant's v2 issuer."""
        return f"{self._context.origin}/{tenant.tenant_id}/v2.0"

    def verify(self, token: str, audience: str) -> VerifiedToken:
        """Return the claims of a valid token for exactly ``audience``.

        The issuer is not compared: after a restart on another port tokens issued before are still good, and only this
        server holds the key.

        :raises InvalidAccessTokenError: it is not one.
        """
        verified = self._verified.get(token) or self._check(token)
        if not verified.not_before <= time.time() < verified.expires_on:
            raise InvalidAccessTokenError("expired or not yet valid")
        if verified.audience != audience:
            raise InvalidAccessTokenError(f"the audience is not {audience}")
        return verified

    def _check(self, token: str) -> VerifiedToken:
        try:
            claims = verify(token, self._context.state.entra_key)
        except jwt.InvalidTokenError as error:
            raise InvalidAccessTokenError(str(error)) from error
        verified = VerifiedToken(
            audience=claims["aud"],
            client_id=claims["appid"],
            tenant_id=claims["tid"],
            not_before=claims["nbf"],
            expires_on=claims["exp"],
        )
        if len(self._verified) >= _VERIFIED_KEPT:
            self._verified.pop(next(iter(self._verified)))
        self._verified[token] = verified
        return verified
