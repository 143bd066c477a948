"""How secrets rest in storage: AES-256-GCM under a data key from the vault.

The associated data binds what is sealed to its place, so that whoever can write the table still cannot move it to
another. A random nonce allows 2**32 seals a data-key version: with 100 million keys, renewed every 14 days, put a new
version of the secret into the vault once a year. Old versions stay readable by their version, which is kept with all
that was sealed; everything new is sealed with the newest.
"""

import base64
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.auth.vault import SecretUnusableError, Vault
from shared.errors import UnavailableError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12
_DATA_KEY_BYTES = 32


class UnsealError(Exception):
    """What is sealed cannot be opened: it was altered, moved, or its data key is gone."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A secret at rest: nonce and ciphertext, and the version of the data key that opens it."""

    data: bytes
    key_version: str


class Sealer:
    """Seals and opens with the data key that the vault holds under ``secret_name``."""

    def __init__(self, vault: Vault, secret_name: str) -> None:
        self._vault = vault
        self._secret_name = secret_name
        self._ciphers: dict[str, AESGCM] = {}

    async def check(self) -> None:
        """Make sure that something can be sealed, before a secret is fetched that would have nowhere to rest.

        :raises UnavailableError: the data key cannot be had.
        """
        await self._cipher(None)

    async def seal(self, plain: bytes, bound_to: bytes) -> Sealed:
        """Seal with the newest data key; it opens for the same ``bound_to`` alone.

        :raises UnavailableError: the data key cannot be had.
        """
        version, cipher = await self._cipher(None)
        nonce = os.urandom(_NONCE_BYTES)
        return Sealed(nonce + cipher.encrypt(nonce, plain, bound_to), version)

    async def open(self, sealed: Sealed, bound_to: bytes) -> bytes:
        """What was sealed.

        :raises UnsealError: it is not what was sealed for this place.
        :raises UnavailableError: its data key cannot be had.
        """
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - loaded with the first secret

        _, cipher = await self._cipher(sealed.key_version)
        nonce, ciphertext = sealed.data[:_NONCE_BYTES], sealed.data[_NONCE_BYTES:]
        try:
            return cipher.decrypt(nonce, ciphertext, bound_to)
        except (InvalidTag, ValueError) as error:
            raise UnsealError(f"what was sealed does not open with data key version {sealed.key_version}") from error

    async def _cipher(self, version: str | None) -> "tuple[str, AESGCM]":
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - loaded with the first secret

        if version in self._ciphers:
            return version, self._ciphers[version]
        try:
            secret = await self._vault.get_secret(self._secret_name, version)
            if secret.version in self._ciphers:
                return secret.version, self._ciphers[secret.version]
            data_key = base64.b64decode(secret.value.reveal(), validate=True)
        except SecretUnusableError as error:
            if version is not None:
                raise UnsealError(f"data key version {version} cannot be had: {error}") from error
            raise UnavailableError("key-vault", str(error)) from error
        except ValueError:  # base64's errors are ValueErrors
            data_key = b""
        if len(data_key) != _DATA_KEY_BYTES:
            raise UnavailableError("key-vault", f"the secret {self._secret_name} is not 32 bytes in base64")
        cipher = self._ciphers.setdefault(secret.version, AESGCM(data_key))
        return secret.version, cipher
