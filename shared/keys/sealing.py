"""How a User Store ID key rests: packed, sealed, and bound to its owner and kind."""

from shared.auth.tokens import StoreIdKind
from shared.keys.packing import pack, unpack
from shared.storage.sealing import Sealed, Sealer, UnsealError
from shared.store.user_store_id import UserStoreIdKey

_PURPOSE = "storekeeper/user-store-id/1"


class KeySealer:
    """Seals and opens keys."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    async def check(self) -> None:
        """Make sure that keys can be sealed. Raises as :meth:`Sealer.check`."""
        await self._sealer.check()

    async def seal(self, owner: str, kind: StoreIdKind, key: UserStoreIdKey) -> Sealed:
        """Seal for this owner and kind. Raises as :meth:`Sealer.seal`."""
        return await self._sealer.seal(pack(key.reveal()), _bound_to(owner, kind))

    async def open(self, owner: str, kind: StoreIdKind, sealed: Sealed | None) -> UserStoreIdKey:
        """The key in the clear.

        :raises UnsealError: there is none, or it is not what was sealed for this owner and kind.
        :raises UnavailableError: its data key cannot be had.
        """
        if sealed is None:
            raise UnsealError(f"no {kind} key is sealed here")
        return UserStoreIdKey(unpack(await self._sealer.open(sealed, _bound_to(owner, kind))))


def _bound_to(owner: str, kind: StoreIdKind) -> bytes:
    return f"{_PURPOSE}\0{kind}\0{owner}".encode()
