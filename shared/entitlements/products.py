"""What a player owns."""

from collections.abc import Sequence
from functools import partial

from shared.auth.tokens import ServiceToken, StoreIdKind
from shared.entitlements.asking import query
from shared.keys.current import CurrentKeys
from shared.store.collections import Collections
from shared.store.models.collections import CollectionsItem
from shared.store.user_store_id import UserStoreIdKey


class Products:
    """Players' products, live from Collections."""

    def __init__(self, keys: CurrentKeys, collections: Collections) -> None:
        self._keys = keys
        self._collections = collections

    async def owned(self, user_id: str, product_ids: Sequence[str], sandbox: str | None) -> list[CollectionsItem]:
        """What the player has of these products, whatever its status is.

        :raises NoKeyError: the player has no collections key.
        :raises StorekeeperError: what :func:`shared.entitlements.asking.told` makes of the Store's error.
        """

        async def call(key: UserStoreIdKey, token: ServiceToken) -> list[CollectionsItem]:
            return await self._collections.query_v9(key, token, product_ids, sandbox=sandbox)

        return await query(partial(self._keys.use, user_id, StoreIdKind.COLLECTIONS, call))
