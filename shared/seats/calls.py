"""The calls that assign and reclaim, and what each says of every user it was made for."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import batched

from shared.correlation import get_logger
from shared.errors import BadGatewayError, NotFoundError, StorekeeperError, UnavailableError
from shared.seats.outcomes import SUCCESS, Finding, bounded, by_refusal, by_user, reason_of
from shared.seats.states import Action, UserStatus
from shared.store.business import BusinessStore
from shared.store.errors import StoreError, StoreRefusedError, StoreUnknownError
from shared.store.models.business import ProductKey

type Stores = Callable[[str], BusinessStore]
"""The Store of a tenant.

:raises NotFoundError: the tenant is not configured.
"""

OUT_OF_TIME = "no answer in time"

_log = get_logger(__name__)

_FORBIDDEN = 403
_UNANSWERED = (StoreError, BadGatewayError, UnavailableError, TimeoutError)


class SeatCalls:
    """Changes seats through bulk calls of at most ``chunk`` users, at most ``concurrency`` of them at once a tenant.

    More would only queue for connections, and there they would run out of time.
    """

    def __init__(self, stores: Stores, chunk: int, concurrency: int) -> None:
        self._stores = stores
        self._chunk = chunk
        self._concurrency = concurrency
        self._budgets: dict[str, asyncio.Semaphore] = {}

    async def change(
        self, tenant_id: str, product: ProductKey, action: Action, users: Sequence[str], deadline: float
    ) -> dict[str, Finding]:
        """What became of each user. After ``deadline`` (of the event loop's clock) nothing more is sent."""
        try:
            work = _Work(self._stores(tenant_id), product, action, deadline)
        except NotFoundError as error:  # it was configured when the job was accepted, and may be so again
            return dict.fromkeys(users, Finding(UserStatus.PENDING, bounded(error.detail), waits=True))
        budget = self._budgets.setdefault(tenant_id, asyncio.Semaphore(self._concurrency))

        async def limited(chunk: Sequence[str]) -> dict[str, Finding]:
            async with budget:
                try:
                    return await work.change(chunk)
                except Exception as error:  # noqa: BLE001 - the others' outcomes are not to be lost, whatever it is
                    _log.exception("a chunk failed in a way nobody foresaw")
                    return dict.fromkeys(chunk, Finding(UserStatus.PENDING, f"unforeseen: {type(error).__name__}"))

        found: dict[str, Finding] = {}
        for findings in await asyncio.gather(*(limited(chunk) for chunk in batched(users, self._chunk, strict=False))):
            found |= findings
        return found


class _Work:
    """One block's calls. When one finds that the Store takes none now, the rest are not made."""

    def __init__(self, store: BusinessStore, product: ProductKey, action: Action, deadline: float) -> None:
        self._store = store
        self._product = product
        self._action = action
        self._deadline = deadline
        self._closed: Finding | None = None

    async def change(self, users: Sequence[str]) -> dict[str, Finding]:
        if asyncio.get_running_loop().time() >= self._deadline:
            self._closed = Finding(UserStatus.PENDING, OUT_OF_TIME, waits=True)
        if self._closed:
            return dict.fromkeys(users, self._closed)
        if len(users) == 1:
            return {users[0]: await self._change_one(users[0])}
        try:
            async with asyncio.timeout_at(self._deadline):
                result = await self._store.change_seats(self._product, users, self._action.seat_action)
        except StoreRefusedError as error:
            if error.answer.status == 400:
                return await self._one_by_one(users)
            return dict.fromkeys(users, self._refused(error))
        except _UNANSWERED as error:
            return dict.fromkeys(users, self._unanswered(error))
        return by_user(self._action, users, result)

    async def _one_by_one(self, users: Sequence[str]) -> dict[str, Finding]:
        """One name that the Store cannot read must not fail those who stand beside it."""
        found: dict[str, Finding] = {}
        for user in users:
            found |= await self.change([user])
        return found

    async def _change_one(self, user: str) -> Finding:
        call = self._store.assign_seat if self._action is Action.ASSIGN else self._store.reclaim_seat
        try:
            async with asyncio.timeout_at(self._deadline):
                await call(self._product, user)
        except StoreRefusedError as error:
            return self._unanswered(error) if _is_about_us(error) else by_refusal(self._action, error.answer)
        except _UNANSWERED as error:
            return self._unanswered(error)
        return SUCCESS

    def _refused(self, error: StoreRefusedError) -> Finding:
        """A whole chunk is refused: the product, not a user, is the cause."""
        if _is_about_us(error):
            return self._unanswered(error)
        finding = by_refusal(self._action, error.answer)
        return finding if finding.reason else Finding(UserStatus.FAILED, reason_of(error.answer))

    def _unanswered(self, error: Exception) -> Finding:
        """An answer that says nothing of the users. Where the Store takes no calls now, the rest are not made."""
        match error:
            case TimeoutError():
                return Finding(UserStatus.PENDING, OUT_OF_TIME)
            case StoreError(answer=answer, retry_after=retry_after):
                reason, waits = reason_of(answer), not isinstance(error, StoreUnknownError)
            case StorekeeperError(detail=reason):
                retry_after, waits = getattr(error, "retry_after", None), True
        finding = Finding(UserStatus.PENDING, bounded(reason), waits=waits, retry_after=retry_after)
        if waits:
            self._closed = finding
        return finding


def _is_about_us(error: StoreRefusedError) -> bool:
    return error.answer.status == _FORBIDDEN
