"""Grants free products, each order once (store-services reference, section 7, "Grant free product").

What the Store does with an order id that it has seen is not documented; most likely the id is what keeps an order from
being made twice. So an order is filed before it is sent, and after an unknown outcome the very same one is sent again.
"""

import asyncio
from dataclasses import replace

from shared.auth.tokens import ServiceToken, StoreIdKind
from shared.clock import Clock, utc_now
from shared.correlation import get_logger
from shared.entitlements.asking import REPEAT_PAUSE, told
from shared.entitlements.claims import ATTEMPTS, is_held, may_start, seconds_left
from shared.entitlements.grant import Gift, Grant, judged
from shared.entitlements.grant_filing import GrantFiles
from shared.entitlements.statuses import GrantStatus
from shared.errors import InputFault, StateConflictError, StorekeeperError, UnavailableError, UnprocessableError
from shared.keys.current import CurrentKeys
from shared.storage.transactions import ConflictError
from shared.store.errors import StoreError, StoreRefusedError, StoreUnknownError
from shared.store.models.purchase import GrantedOrder
from shared.store.purchase import Purchase
from shared.store.user_store_id import UserStoreIdKey

_log = get_logger(__name__)


class FreeProducts:
    """Free products of players."""

    def __init__(self, keys: CurrentKeys, purchase: Purchase, files: GrantFiles, *, clock: Clock = utc_now) -> None:
        self._keys = keys
        self._purchase = purchase
        self._files = files
        self._clock = clock

    async def give(self, user_id: str, gift: Gift) -> Grant:
        """Grant a free product, or go on with it, or tell what became of it.

        :raises StateConflictError: the order id stands for another product, or the player has no purchase key.
        :raises UnprocessableError: the Store refuses it, or refused it before.
        :raises StorekeeperError: what :func:`shared.entitlements.asking.told` makes of the Store's error.
        """
        for _ in range(ATTEMPTS):
            grant = await self._files.find(user_id, gift.order_id) or Grant(gift=gift)
            if grant.gift != gift:
                detail = "This orderId stands for another order"
                raise StateConflictError(detail, faults=(InputFault("/orderId", detail),))
            if grant.status is GrantStatus.REFUSED:
                raise UnprocessableError(f"The Store refused this: {grant.reason}")
            if grant.status is GrantStatus.GRANTED or is_held(grant.claimed_on, self._clock()):
                return grant
            # A claim that ran out is that of a worker whose call nobody knows the outcome of.
            doubtful = grant.doubtful or grant.claimed_on is not None
            claimed = replace(grant, claimed_on=self._clock(), doubtful=doubtful)
            try:
                return await self._send(user_id, await self._files.write(user_id, claimed))
            except ConflictError:
                continue
        raise UnavailableError("storage-tables", "the order is being made by others", retry_after=1.0)

    def retry_after(self, grant: Grant) -> float:
        """Seconds after which it is worth sending an order again that is not granted yet."""
        return max(seconds_left(grant.claimed_on, self._clock()), 5.0)

    async def _send(self, user_id: str, grant: Grant) -> Grant:
        try:
            try:
                order = await self._call(user_id, grant)
            except StoreUnknownError as error:
                _log.warning("what became of an order is not known, it is sent again: %s", error)
                grant = replace(grant, doubtful=True)
                await asyncio.sleep(REPEAT_PAUSE)
                order = await self._call(user_id, grant)
        except StoreUnknownError as error:
            return await self._file(user_id, grant, GrantStatus.UNKNOWN, str(error))
        except StoreRefusedError as refusal:
            if grant.doubtful:
                doubt = f"refused after a call whose outcome is not known: {refusal}"
                return await self._file(user_id, grant, GrantStatus.UNKNOWN, doubt)
            await self._file(user_id, grant, GrantStatus.REFUSED, str(refusal))
            raise told(refusal) from refusal
        except (StoreError, StorekeeperError) as error:
            await self._release(user_id, grant)
            raise (told(error) if isinstance(error, StoreError) else error) from error
        status, reason = judged(order, grant.gift)
        filed = await self._file(user_id, grant, status, reason)
        if status is GrantStatus.REFUSED:
            raise UnprocessableError(f"The Store refused this: {reason}")
        return filed

    async def _call(self, user_id: str, grant: Grant) -> GrantedOrder:
        gift = grant.gift

        async def call(key: UserStoreIdKey, token: ServiceToken) -> GrantedOrder:
            if not may_start(grant.claimed_on, self._clock()):
                raise UnavailableError("storekeeper", "the order was held up for too long")
            return await self._purchase.grant_free(
                key,
                token,
                order_id=gift.order_id,
                product_id=gift.product_id,
                sku_id=gift.sku_id,
                availability_id=gift.availability_id,
                language=gift.language,
                market=gift.market,
                sandbox=gift.sandbox,
            )

        return await self._keys.use(user_id, StoreIdKind.PURCHASE, call)

    async def _file(self, user_id: str, grant: Grant, status: GrantStatus, reason: str | None) -> Grant:
        return await self._files.write(user_id, replace(grant, status=status, reason=reason, claimed_on=None))

    async def _release(self, user_id: str, grant: Grant) -> None:
        """Whoever comes next may act at once."""
        try:
            await self._files.write(user_id, replace(grant, claimed_on=None))
        except (ConflictError, UnavailableError) as error:
            _log.warning("an order that was not carried out could not be released: %s", error)
