"""What a player subscribes to."""

from functools import partial

from shared.auth.tokens import ServiceToken, StoreIdKind
from shared.clock import Clock, utc_now
from shared.entitlements.asking import query
from shared.entitlements.entitled import is_entitled
from shared.errors import NotFoundError
from shared.keys.current import CurrentKeys
from shared.store.models.purchase import Recurrence
from shared.store.purchase import Purchase
from shared.store.user_store_id import UserStoreIdKey


class Subscriptions:
    """Players' subscriptions, live from Purchase."""

    def __init__(self, keys: CurrentKeys, purchase: Purchase, *, clock: Clock = utc_now) -> None:
        self._keys = keys
        self._purchase = purchase
        self._clock = clock

    async def of(self, user_id: str, sandbox: str | None) -> list[tuple[Recurrence, bool]]:
        """All subscriptions of the player, each with whether it entitles them now.

        :raises NoKeyError: the player has no purchase key.
        :raises StorekeeperError: what :func:`shared.entitlements.asking.told` makes of the Store's error.
        """
        recurrences = await self._all(user_id, sandbox)
        now = self._clock()
        return [(each, is_entitled(each, now)) for each in recurrences]

    async def one(self, user_id: str, recurrence_id: str, sandbox: str | None) -> Recurrence:
        """One subscription of the player. Raises as :meth:`of`.

        :raises NotFoundError: the player has none of this id.
        """
        for each in await self._all(user_id, sandbox):
            if each.id == recurrence_id:
                return each
        raise NotFoundError("The user has no such subscription")

    async def _all(self, user_id: str, sandbox: str | None) -> list[Recurrence]:
        async def call(key: UserStoreIdKey, token: ServiceToken) -> list[Recurrence]:
            return await self._purchase.recurrences(key, token, sandbox=sandbox)

        return await query(partial(self._keys.use, user_id, StoreIdKind.PURCHASE, call))
