"""The signing keys of the issuers, by OIDC discovery or from a configured JWKS address, cached."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from shared.correlation import get_logger
from shared.errors import UnauthenticatedError, UnavailableError
from shared.settings import Issuer
from shared.single_flight import SingleFlight

if TYPE_CHECKING:
    import httpx
    from jwt import PyJWK

TIME_TO_LIVE = 3600.0
"""Seconds after which keys are fetched again, so that a key the issuer has withdrawn stops working."""

UNKNOWN_KEY_COOL_DOWN = 30.0
"""Seconds between two fetches that an unknown ``kid`` or an issuer that is away can cause."""

NO_KEYS_COOL_DOWN = 2.0
"""Seconds between two fetches while no key of an issuer is held, so that all of its callers wait for us."""

MAX_DOCUMENT_BYTES = 256 * 1024

_log = get_logger(__name__)


@dataclass(slots=True)
class _Held:
    keys: dict[str | None, "PyJWK"] = field(default_factory=dict)
    fetched_at: float = float("-inf")
    tried_at: float = float("-inf")


class IssuerKeys:
    """Finds the public key that a token was signed with."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._held: dict[Issuer, _Held] = {}
        self._flights = SingleFlight[Issuer, None]()
        self._client: httpx.AsyncClient | None = None

    async def check(self, issuer: Issuer) -> None:
        """Make sure that the issuer's keys can be fetched now, whatever is held.

        :raises UnavailableError: they cannot.
        """
        held = self._held.setdefault(issuer, _Held())
        await self._flights.join(issuer, lambda: self._refresh(issuer, held))

    async def find(self, issuer: Issuer, key_id: str | None) -> "PyJWK":
        """The issuer's key named ``key_id``.

        :raises UnauthenticatedError: the issuer has no such key.
        :raises UnavailableError: the issuer's keys cannot be fetched and none are held.
        """
        held = self._held.setdefault(issuer, _Held())
        now = self._monotonic()
        expired = now - held.fetched_at > TIME_TO_LIVE
        if (expired or key_id not in held.keys) and now - held.tried_at > (
            UNKNOWN_KEY_COOL_DOWN if held.keys else NO_KEYS_COOL_DOWN
        ):
            try:
                await self._flights.join(issuer, lambda: self._refresh(issuer, held))
            except UnavailableError:
                if not held.keys:
                    raise
                _log.warning("the keys of issuer %s cannot be fetched; those held are used", issuer.issuer)
        if not held.keys:
            raise UnavailableError("caller-issuer", f"the keys of {issuer.issuer} cannot be fetched")
        key = held.keys.get(key_id)
        if key is None:
            raise UnauthenticatedError("The token's signing key is not one of its issuer's")
        return key

    async def _refresh(self, issuer: Issuer, held: _Held) -> None:
        import jwt  # noqa: PLC0415 - loaded with the first call that needs it

        try:
            address = issuer.jwks_url
            if address is None:
                address = await self._discover(issuer)
            document = await self._fetch(address)
            entries = document.get("keys")
            found = {}
            for entry in entries if isinstance(entries, list) else ():
                if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
                    continue
                key_id = entry.get("kid")
                if not isinstance(key_id, str | None):
                    continue
                try:
                    found[key_id] = jwt.PyJWK(entry)
                except (jwt.PyJWTError, TypeError, ValueError):
                    _log.info("issuer %s publishes a key of a type we do not use", issuer.issuer)
            if not found:
                raise UnavailableError("caller-issuer", f"{issuer.issuer} publishes no usable keys")
            held.keys = found
            held.fetched_at = self._monotonic()
        finally:
            held.tried_at = self._monotonic()

    async def _discover(self, issuer: Issuer) -> str:
        document = await self._fetch(f"{issuer.issuer.rstrip('/')}/.well-known/openid-configuration")
        address = document.get("jwks_uri")
        # Another issuer's document, or a plain-text address, would let whoever answers choose the keys.
        if document.get("issuer") != issuer.issuer or not isinstance(address, str):
            raise UnavailableError("caller-issuer", f"{issuer.issuer} publishes no discovery document of its own")
        if not address.startswith("https://"):
            raise UnavailableError("caller-issuer", f"{issuer.issuer} names a JWKS address that is not https")
        return address

    async def _fetch(self, address: str) -> dict[str, Any]:
        import httpx  # noqa: PLC0415 - loaded with the first call that needs it

        if self._client is None:
            self._client = httpx.AsyncClient(timeout=httpx.Timeout(10, connect=5), follow_redirects=False)
        try:
            response = await self._client.get(address)
            response.raise_for_status()
            document = response.json() if len(response.content) <= MAX_DOCUMENT_BYTES else None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError) as error:
            raise UnavailableError("caller-issuer", f"{address}: {type(error).__name__}") from error
        if not isinstance(document, dict):
            raise UnavailableError("caller-issuer", f"{address}: not a JSON object of a sensible size")
        return document

    async def close(self) -> None:
        """Give back the connections."""
        if self._client is not None:
            await self._client.aclose()
