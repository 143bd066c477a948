"""Access tokens from Entra, cached for each tenant, client and audience (store-services reference, section 1)."""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from shared.auth.credentials import open_credential
from shared.auth.retries import retry_after_of
from shared.auth.tokens import SERVICE_AUDIENCE, CreationToken, ServiceToken, StoreIdKind
from shared.auth.vault import SecretUnusableError, Vault
from shared.clock import Clock, from_epoch, utc_now
from shared.correlation import get_logger
from shared.errors import BadGatewayError, UnavailableError
from shared.secret import Secret
from shared.settings import Identity, Settings
from shared.single_flight import SingleFlight

EARLY_REFRESH = timedelta(minutes=5)
"""How long before its expiry a token is replaced, in the background, while it is still handed out."""

LAST_MOMENT = 30.0
"""Seconds before its expiry from which a token is no longer handed out, since it has a way to go."""

COOL_DOWN = 15.0
"""Seconds between two tries to replace a token that still holds."""

REFUSAL_REMEMBERED = 5.0
"""Seconds for which a refusal is repeated to callers without asking again: Entra and the vault have heard it."""

FRESH_FOR = 60.0
"""Seconds for which a token counts as fresh: a refusal of it is not put down to the token's age."""

_INVALID_CLIENT = "invalid_client"
_ERROR = re.compile(r"\((?P<code>\w+)\) (?P<description>(?:(?P<aadsts>AADSTS\d+):)?.*)", re.DOTALL)

_log = get_logger(__name__)

type _CacheKey = tuple[str, str, str]


class EntraRefusedError(BadGatewayError):
    """Entra refuses us, and trying again will not help: wrong secret, unknown app, unknown audience."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(f"Entra refused a token: {code}: {description}")
        self.code = code


@dataclass(frozen=True, slots=True)
class _Cached:
    secret: Secret
    expires_on: int
    obtained_at: float


class Entra:
    """Gives tokens of the publisher's or a tenant's app. One flight at a time for each token."""

    def __init__(
        self,
        settings: Settings,
        vault: Vault,
        *,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._vault = vault
        self._clock = clock
        self._monotonic = monotonic
        self._cache: dict[_CacheKey, _Cached] = {}
        self._flights = SingleFlight[_CacheKey, _Cached]()
        self._refusals: dict[_CacheKey, tuple[EntraRefusedError, float]] = {}
        self._next_early: dict[_CacheKey, float] = {}
        self._early: set[asyncio.Task[_Cached]] = set()

    async def get_service_token(self, identity: Identity, *, refused: ServiceToken | None = None) -> ServiceToken:
        """The token for calls to the Store; ``refused`` names one that the Store did not take.

        A refused token is replaced, unless it is so fresh that its age cannot be the cause: then it comes back as it
        is, and the refusal stands. So a thousand dead keys cost one token, not a thousand.

        :raises EntraRefusedError: Entra refuses us for good.
        :raises UnavailableError: Entra or the vault is away.
        """
        cached = await self._get(identity, SERVICE_AUDIENCE, refused)
        return ServiceToken(cached.secret.reveal(), from_epoch(cached.expires_on))

    async def get_creation_token(
        self, identity: Identity, kind: StoreIdKind, *, refused: CreationToken | None = None
    ) -> CreationToken:
        """The token that a game makes a User Store ID key of this kind with. Raises as :meth:`get_service_token`."""
        cached = await self._get(identity, kind.audience, refused)
        return CreationToken(cached.secret.reveal(), from_epoch(cached.expires_on))

    async def _get(self, identity: Identity, audience: str, refused: Secret | None) -> _Cached:
        key = (identity.tenant_id, identity.client_id, audience)
        cached = self._cache.get(key)
        if cached and not self._is_stale(cached, refused):
            if self._is_due(cached):
                self._refresh_early(key, identity)
            return cached
        refusal, until = self._refusals.get(key, (None, 0.0))
        if refusal and self._monotonic() < until:
            raise refusal.with_traceback(None)
        return await self._flights.join(key, lambda: self._fetch(key, identity))

    async def check(self, identity: Identity) -> None:
        """Make sure that Entra gives us a token now, whatever is held. Raises as :meth:`get_service_token`."""
        key = (identity.tenant_id, identity.client_id, SERVICE_AUDIENCE)
        await self._flights.join(key, lambda: self._fetch(key, identity))

    def _is_stale(self, cached: _Cached, refused: Secret | None) -> bool:
        """Whether it cannot be used: about to expire, or not taken by the Store although it may be put down to age."""
        if self._seconds_left(cached) < LAST_MOMENT:
            return True
        return cached.secret == refused and self._monotonic() - cached.obtained_at > FRESH_FOR

    def _is_due(self, cached: _Cached) -> bool:
        return self._seconds_left(cached) < EARLY_REFRESH.total_seconds()

    def _seconds_left(self, cached: _Cached) -> float:
        return cached.expires_on - self._clock().timestamp()

    def _refresh_early(self, key: _CacheKey, identity: Identity) -> None:
        """Replace a token that still holds while it is used: nobody waits for Entra, nor fails because of it."""
        if self._monotonic() < self._next_early.get(key, 0.0):
            return
        self._next_early[key] = self._monotonic() + COOL_DOWN
        task = asyncio.ensure_future(self._flights.join(key, lambda: self._fetch(key, identity)))
        self._early.add(task)
        task.add_done_callback(self._early_done)

    def _early_done(self, task: asyncio.Task[_Cached]) -> None:
        self._early.discard(task)
        if not task.cancelled() and task.exception():
            _log.warning("a token could not be refreshed early and is used until it expires: %s", task.exception())

    async def _fetch(self, key: _CacheKey, identity: Identity) -> _Cached:
        try:
            try:
                token = await self._request(identity, key[2], fresh_secret=False)
            except EntraRefusedError as refusal:
                if refusal.code != _INVALID_CLIENT or identity.credential.kind == "managed-identity":
                    raise
                _log.warning("Entra refused our credential; the vault is asked for a newer one")
                token = await self._request(identity, key[2], fresh_secret=True)
        except EntraRefusedError as refusal:
            self._refusals[key] = (refusal, self._monotonic() + REFUSAL_REMEMBERED)
            raise
        except SecretUnusableError as error:
            raise BadGatewayError(f"The credential for Entra cannot be had: {error}") from error
        self._cache[key] = token
        return token

    async def _request(self, identity: Identity, audience: str, *, fresh_secret: bool) -> _Cached:
        from azure.core.exceptions import AzureError, ClientAuthenticationError  # noqa: PLC0415 - heavy
        from azure.identity import CredentialUnavailableError  # noqa: PLC0415 - heavy

        started = self._monotonic()
        try:
            async with open_credential(identity, self._settings, self._vault, fresh_secret=fresh_secret) as credential:
                token = await credential.get_token(f"{audience}/.default")
        except CredentialUnavailableError as error:
            raise UnavailableError("managed-identity", "gave no token") from error
        except ClientAuthenticationError as error:
            raise _classified(error) from error
        except AzureError as error:
            raise UnavailableError("entra", type(error).__name__) from error
        except ValueError as error:
            raise BadGatewayError(f"The {identity.credential.kind} for Entra cannot be used as it is") from error
        return _Cached(Secret(token.token), token.expires_on, started)


def _classified(error: Exception) -> EntraRefusedError | UnavailableError:
    """What Entra's answer means: refused for good, or worth another try (reference, section 1)."""
    found = _ERROR.search(str(error))
    code = found["code"] if found else "unknown"
    status = getattr(error, "status_code", None) or 0
    if found is None or code == "temporarily_unavailable" or status == 429 or status >= 500:
        return UnavailableError("entra", code, retry_after=retry_after_of(error))
    return EntraRefusedError(code, found["aadsts"] or "no further code")
