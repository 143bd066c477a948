"""Carries out changes of subscriptions, each once (store-services reference, section 7, "Recurrence change").

The Store keeps no id of a change. So what the subscription was before is filed before the call, and after an outcome
that nobody knows the subscription is read and compared before anything is sent again:

- Extend: its end has moved by what was asked (done), not at all (sent again, once the effect of the last call can no
  longer be on its way), or otherwise (unknown: a person must look).
- Refund: never sent again; unknown until the subscription shows it.
- Cancel, ToggleAutoRenew: sent again unless the subscription shows it.
"""

from dataclasses import replace

from shared.auth.tokens import ServiceToken, StoreIdKind
from shared.clock import Clock, utc_now
from shared.correlation import get_logger
from shared.entitlements.asking import told
from shared.entitlements.change import Asked, Change, Shown, shown
from shared.entitlements.change_filing import ChangeFiles
from shared.entitlements.claims import ATTEMPTS, CLAIM, is_held, may_start, seconds_left
from shared.entitlements.statuses import ChangeStatus
from shared.entitlements.subscriptions import Subscriptions
from shared.errors import InputFault, StateConflictError, StorekeeperError, UnavailableError, UnprocessableError
from shared.keys.current import CurrentKeys
from shared.storage.transactions import ConflictError
from shared.store.errors import StoreError, StoreRefusedError, StoreUnknownError
from shared.store.models.purchase import Recurrence
from shared.store.purchase import Purchase
from shared.store.user_store_id import UserStoreIdKey

_log = get_logger(__name__)


class Changes:
    """Changes of players' subscriptions."""

    def __init__(
        self,
        keys: CurrentKeys,
        purchase: Purchase,
        subscriptions: Subscriptions,
        files: ChangeFiles,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self._keys = keys
        self._purchase = purchase
        self._subscriptions = subscriptions
        self._files = files
        self._clock = clock

    async def carry_out(self, user_id: str, asked: Asked) -> Change:
        """Make the change, or go on with it, or tell what became of it.

        :raises StateConflictError: its id stands for another change, or another one of the subscription is not
            settled, or the player has no purchase key.
        :raises UnprocessableError: the Store refuses it, or refused it before.
        :raises NotFoundError: the player has no such subscription.
        :raises StorekeeperError: what :func:`shared.entitlements.asking.told` makes of the Store's error.
        """
        for _ in range(ATTEMPTS):
            found = await self._files.find(user_id, asked.change_id)
            if found and found.asked != asked:
                detail = "This changeId stands for another change"
                raise StateConflictError(detail, faults=(InputFault("/changeId", detail),))
            try:
                return await (self._resume(user_id, found) if found else self._begin(user_id, asked))
            except ConflictError:
                continue
        raise UnavailableError("storage-tables", "the change is being made by others", retry_after=1.0)

    def retry_after(self, change: Change) -> float:
        """Seconds after which it is worth sending a change again that is not settled."""
        return max(seconds_left(change.claimed_on, self._clock()), 5.0)

    async def _begin(self, user_id: str, asked: Asked) -> Change:
        now = await self._subscriptions.one(user_id, asked.recurrence_id, asked.sandbox)
        state, expiration = now.recurrence_state.value, now.expiration_time
        change = Change(asked=asked, state=state, expiration=expiration, claimed_on=self._clock())
        return await self._send(user_id, await self._files.open(user_id, change), is_repeated=False)

    async def _resume(self, user_id: str, change: Change) -> Change:
        if change.status is ChangeStatus.REFUSED:
            raise UnprocessableError(f"The Store refused this: {change.reason}")
        is_busy = is_held(change.claimed_on, self._clock())
        if change.status is ChangeStatus.DONE or (is_busy and change.status is ChangeStatus.PENDING):
            return change
        asked = change.asked
        now = await self._subscriptions.one(user_id, asked.recurrence_id, asked.sandbox)
        if change.claimed_on is None:
            # Nothing was carried out, so that what counts is how the subscription is today.
            state, expiration = now.recurrence_state.value, now.expiration_time
            change = replace(change, state=state, expiration=expiration)
            return await self._claim_and_send(user_id, change, is_repeated=False)
        found = shown(change, now)
        if found is Shown.NOTHING and not change.closed:
            return change if is_busy else await self._claim_and_send(user_id, change, is_repeated=True)
        return await self._conclude(user_id, change, found, now)

    async def _claim_and_send(self, user_id: str, change: Change, *, is_repeated: bool) -> Change:
        claimed = replace(change, status=ChangeStatus.PENDING, reason=None, claimed_on=self._clock())
        return await self._send(user_id, await self._files.update(user_id, claimed), is_repeated=is_repeated)

    async def _send(self, user_id: str, change: Change, *, is_repeated: bool) -> Change:
        asked = change.asked

        async def call(key: UserStoreIdKey, token: ServiceToken) -> Recurrence:
            if not may_start(change.claimed_on, self._clock()):
                raise UnavailableError("storekeeper", "the change was held up for too long")
            days, sandbox = asked.extension_days, asked.sandbox
            return await self._purchase.change_recurrence(
                key, token, asked.recurrence_id, asked.change, extension_days=days, sandbox=sandbox
            )

        try:
            changed = await self._keys.use(user_id, StoreIdKind.PURCHASE, call)
        except StoreUnknownError as error:
            _log.warning("what became of %s is not known: %s", asked, error)
            return await self._look(user_id, change, error)
        except StoreRefusedError as refusal:
            return await self._refused(user_id, change, refusal, is_repeated=is_repeated)
        except (StoreError, StorekeeperError) as error:
            await self._release(user_id, change, is_repeated=is_repeated)
            raise (told(error) if isinstance(error, StoreError) else error) from error
        return await self._done(user_id, change, changed)

    async def _refused(self, user_id: str, change: Change, refusal: StoreRefusedError, *, is_repeated: bool) -> Change:
        if is_repeated:
            # What is refused now may be what was carried out the first time.
            looked = await self._look(user_id, change, refusal)
            if looked.status is not ChangeStatus.REFUSED:
                return looked
        else:
            await self._files.settle(user_id, _as_refused(change, refusal))
        raise told(refusal) from refusal

    async def _look(self, user_id: str, change: Change, error: StoreError) -> Change:
        """What the subscription shows of a change whose call met ``error``, as far as it can be read."""
        unknown = replace(change, status=ChangeStatus.UNKNOWN, reason=str(error))
        try:
            now = await self._subscriptions.one(user_id, change.asked.recurrence_id, change.asked.sandbox)
        except StorekeeperError as unreadable:
            _log.warning("the subscription cannot be read: %s", unreadable)
            return await self._files.update(user_id, unknown)
        found = shown(change, now)
        if found is not Shown.NOTHING:
            return await self._conclude(user_id, unknown, found, now)
        if isinstance(error, StoreRefusedError):
            return await self._files.settle(user_id, _as_refused(change, error))
        return await self._files.update(user_id, unknown)

    async def _conclude(self, user_id: str, change: Change, found: Shown, now: Recurrence) -> Change:
        """Settle what needs no further call."""
        if found is Shown.DONE:
            return await self._done(user_id, change, now)
        if change.closed:
            return change
        return await self._files.settle(user_id, replace(change, status=ChangeStatus.UNKNOWN, closed=True))

    async def _done(self, user_id: str, change: Change, now: Recurrence) -> Change:
        done = replace(
            change,
            status=ChangeStatus.DONE,
            reason=None,
            state_after=now.recurrence_state.value,
            expiration_after=now.expiration_time,
        )
        if change.closed:
            return await self._files.update(user_id, done)
        return await self._files.settle(user_id, replace(done, closed=True))

    async def _release(self, user_id: str, change: Change, *, is_repeated: bool) -> None:
        """Nothing was carried out: whoever comes next may act at once."""
        released = replace(change, claimed_on=None)
        if is_repeated:
            # By this call, that is. An earlier one may have been, so what was before it is what counts.
            released = replace(change, status=ChangeStatus.UNKNOWN, claimed_on=self._clock() - CLAIM)
        try:
            await self._files.update(user_id, released)
        except (ConflictError, UnavailableError) as error:
            _log.warning("a change that was not carried out could not be released: %s", error)


def _as_refused(change: Change, refusal: StoreRefusedError) -> Change:
    return replace(change, status=ChangeStatus.REFUSED, closed=True, reason=str(refusal))
