"""Remembers, in memory only, what must never appear in the app's logs or storage: a leak test looks for it there."""

from collections import deque
from collections.abc import Iterator

from local.emulator.state import State

TOKENS_KEPT = 1000
KEYS_KEPT = 20_000


class KnownSecrets:
    """The most recent secrets that were issued. Those still held are read from the state when asked."""

    def __init__(self) -> None:
        self._service_tokens: deque[str] = deque(maxlen=TOKENS_KEPT)
        self._x_tokens: deque[str] = deque(maxlen=TOKENS_KEPT)
        self._store_id_keys: deque[str] = deque(maxlen=KEYS_KEPT)
        self._license_blobs: deque[str] = deque(maxlen=KEYS_KEPT)
        self._clawback_signatures: deque[str] = deque(maxlen=TOKENS_KEPT)
        self._withdrawn: deque[str] = deque(maxlen=TOKENS_KEPT)

    def add_service_token(self, token: str) -> None:
        """Remember an access token for ``https://onestore.microsoft.com``, which must not leave the app's process."""
        self._service_tokens.append(token)

    def add_x_token(self, token: str) -> None:
        """Remember an X-token."""
        self._x_tokens.append(token)

    def add_store_id_key(self, key: str) -> None:
        """Remember a User Store ID key."""
        self._store_id_keys.append(key)

    def add_license_blob(self, blob: str) -> None:
        """Remember the blob of an offline license that was handed out."""
        self._license_blobs.append(blob)

    def add_clawback_signature(self, signature: str) -> None:
        """Remember the signature in an address of the clawback queue: with it anybody could empty the queue."""
        self._clawback_signatures.append(signature)

    def add_withdrawn(self, value: str) -> None:
        """Remember a client secret or vault value that the state is about to forget."""
        self._withdrawn.append(value)

    def all(self, state: State) -> Iterator[tuple[str, str]]:
        """Yield ``(kind, value)`` of everything known."""
        for tenant in state.tenants.values():
            for app in tenant.apps.values():
                yield from (("clientSecret", secret.value) for secret in app.secrets)
        for versions in state.vault.values():
            yield from (("vaultSecret", version.value) for version in versions)
        yield ("identityHeader", state.managed_identity.header_value)
        yield from (("withdrawnSecret", value) for value in self._withdrawn)
        yield from (("serviceToken", token) for token in self._service_tokens)
        yield from (("xToken", token) for token in self._x_tokens)
        yield from (("storeIdKey", key) for key in self._store_id_keys)
        yield from (("licenseBlob", blob) for blob in self._license_blobs)
        yield from (("clawbackSignature", signature) for signature in self._clawback_signatures)
