"""Secrets from Key Vault, each read once a process and time-to-live."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.auth.app_identity import AppIdentity
from shared.auth.retries import brief_retries, retry_after_of
from shared.correlation import get_logger
from shared.errors import UnavailableError
from shared.secret import Secret
from shared.settings import Settings
from shared.single_flight import SingleFlight

if TYPE_CHECKING:
    from azure.core.exceptions import HttpResponseError
    from azure.keyvault.secrets.aio import SecretClient

TIME_TO_LIVE = 300.0
"""Seconds for which a secret is served from memory: how long a rotated one may go unseen when nothing fails."""

COOL_DOWN = 15.0
"""Seconds for which a vault that is away is not asked again for a secret that memory holds."""

_log = get_logger(__name__)


class SecretUnusableError(Exception):
    """The vault answers, but the secret is absent, disabled or not ours to read: an operator must look."""


@dataclass(frozen=True, slots=True)
class VaultSecret:
    """One version of a secret."""

    value: Secret
    version: str
    content_type: str | None


@dataclass(frozen=True, slots=True)
class _Cached:
    secret: VaultSecret
    read_at: float


class Vault:
    """Reads secrets by name, the newest version or a given one."""

    def __init__(
        self, settings: Settings, identity: AppIdentity, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._monotonic = monotonic
        self._client: SecretClient | None = None
        self._cache: dict[tuple[str, str | None], _Cached] = {}
        self._flights = SingleFlight[tuple[str, str | None], VaultSecret]()

    async def get_secret(self, name: str, version: str | None = None, *, fresh: bool = False) -> VaultSecret:
        """The secret's newest version, or ``version``; ``fresh`` asks the vault whatever memory holds.

        A vault that is away does not stop us from using what was read before.

        :raises UnavailableError: the vault cannot be reached and memory holds nothing.
        :raises SecretUnusableError: the vault refuses: absent, disabled, forbidden.
        """
        key = (name, version)
        cached = self._cache.get(key)
        if cached and not fresh and self._monotonic() - cached.read_at < TIME_TO_LIVE:
            return cached.secret
        try:
            return await self._flights.join(key, lambda: self._read(name, version))
        except UnavailableError:
            if cached is None or fresh:
                raise
            _log.warning("the vault is away; the secret %s is used as read before", name)
            self._cache[key] = _Cached(cached.secret, self._monotonic() - TIME_TO_LIVE + COOL_DOWN)
            return cached.secret

    async def _read(self, name: str, version: str | None) -> VaultSecret:
        from azure.core.exceptions import AzureError, HttpResponseError  # noqa: PLC0415 - heavy, and only needed here

        started = self._monotonic()
        try:
            found = await self._connected().get_secret(name, version)
        except HttpResponseError as error:
            if not self._is_of_vault(error):
                raise UnavailableError(
                    "app-identity", "no token for the vault could be had", retry_after=retry_after_of(error)
                ) from error
            if error.status_code in {403, 404}:
                raise SecretUnusableError(f"the vault answered {error.status_code} for the secret {name}") from error
            raise UnavailableError(
                "key-vault", f"answered {error.status_code or 'nonsense'}", retry_after=retry_after_of(error)
            ) from error
        except AzureError as error:
            raise UnavailableError("key-vault", type(error).__name__) from error
        secret = VaultSecret(Secret(found.value or ""), found.properties.version or "", found.properties.content_type)
        read = _Cached(secret, started)
        self._cache[name, version] = read
        self._cache[name, secret.version] = read
        return secret

    def _is_of_vault(self, error: "HttpResponseError") -> bool:
        """Whether it is the vault that answered, and not Entra, whom our own identity is asked of on the way."""
        request = getattr(error.response, "request", None)
        return request is not None and str(request.url).startswith(f"{self._settings.key_vault_url}/secrets/")

    def _connected(self) -> "SecretClient":
        if self._client is None:
            from azure.keyvault.secrets.aio import SecretClient  # noqa: PLC0415 - loaded when first used

            self._client = SecretClient(
                self._settings.key_vault_url,
                self._identity.credential(),
                verify_challenge_resource=self._settings.key_vault_verify_challenge,
                retry_policy=brief_retries()(retry_total=2, retry_backoff_factor=0.2),
                connection_timeout=5,
                read_timeout=10,
            )
        return self._client

    async def close(self) -> None:
        """Give back the connections."""
        if self._client is not None:
            await self._client.close()
