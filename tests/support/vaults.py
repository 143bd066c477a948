"""A vault in memory."""

import base64
import os
from itertools import count

from shared.auth.app_identity import AppIdentity
from shared.auth.vault import SecretUnusableError, Vault, VaultSecret
from shared.errors import UnavailableError
from shared.secret import Secret
from tests.support.environ import settings


def new_data_key() -> str:
    """32 random bytes in base64."""
    return base64.b64encode(os.urandom(32)).decode()


class MemoryVault(Vault):
    """Secrets by name with all their versions; counts what it is asked, and can be away."""

    def __init__(self, **secrets: str) -> None:
        super().__init__(settings(), AppIdentity(settings()))
        self._numbers = count(1)
        self._versions: dict[str, list[VaultSecret]] = {}
        self.away = False
        self.reads: list[tuple[str, str | None, bool]] = []
        for name, value in secrets.items():
            self.put(name, value)

    def put(self, name: str, value: str) -> str:
        """A new version of a secret; its name."""
        version = f"v{next(self._numbers)}"
        self._versions.setdefault(name, []).append(VaultSecret(Secret(value), version, None))
        return version

    async def get_secret(self, name: str, version: str | None = None, *, fresh: bool = False) -> VaultSecret:
        self.reads.append((name, version, fresh))
        if self.away:
            raise UnavailableError("key-vault", "is away")
        for held in reversed(self._versions.get(name, [])):
            if version in {None, held.version}:
                return held
        raise SecretUnusableError(f"the vault answered 404 for the secret {name}")
