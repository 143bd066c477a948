"""Where one clawback message is dealt with, from its arrival to its record."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from shared.clock import Clock, utc_now
from shared.correlation import get_logger
from shared.errors import UnavailableError
from shared.events import Events, RefundReviewNeededData, refund_review_needed
from shared.refunds.books import Books
from shared.refunds.entitlements import Entitlements
from shared.refunds.filing import RefundFiles
from shared.refunds.findings import Finding, ignored, next_look, review
from shared.refunds.record import Refund, group_of, shard_of, unread_group
from shared.refunds.rules import Course, course_of
from shared.refunds.status import RefundStatus
from shared.storage.transactions import ConflictError
from shared.store.models.clawback import ClawbackEvent, UnreadableEventError, decode_event

ATTEMPTS = 6
"""Tries to file an event that others are filing too."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message as it came. ``fault`` says why it holds no event. ``opened_at`` in seconds, see :meth:`Desk.now`."""

    message_id: str
    content: str
    group: str
    event: ClawbackEvent | None
    fault: str
    is_foreign: bool
    opened_at: float

    @property
    def event_id(self) -> str:
        """Under which it is filed: the event's id or, where there is none, the message's."""
        return self.event.id if self.event else self.group


class Desk:
    """Deals with events of one sandbox. Each may come any number of times, to any number of workers at once."""

    def __init__(
        self,
        files: RefundFiles,
        books: Books,
        entitlements: Entitlements,
        events: Events,
        sandbox: str,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self._files = files
        self._books = books
        self._entitlements = entitlements
        self._events = events
        self._sandbox = sandbox.lower()
        self._clock = clock

    def now(self) -> float:
        """The time by which arrivals are told, in seconds."""
        return self._books.now()

    def open(self, message_id: str, content: str, *, since: float | None = None) -> Arrival:
        """Read a message that is in hand, ``since`` then. The queue is shared: other sandboxes' are foreign to us."""
        opened_at = self.now() if since is None else since
        try:
            event = decode_event(content)
        except UnreadableEventError as error:
            group = unread_group(message_id)
            return Arrival(message_id, content, group, None, str(error), is_foreign=False, opened_at=opened_at)
        foreign = event.data.sandbox_id.lower() != self._sandbox
        return Arrival(message_id, content, group_of(event), event, "", is_foreign=foreign, opened_at=opened_at)

    async def settle(self, arrival: Arrival) -> None:
        """Do what the message asks for and file it; when this returns, the message may be deleted.

        What waits in its group may have waited for this, and is looked at again.

        :raises UnavailableError: storage is away; nothing that was done is done again by the next try.
        """
        for waiting in await self._settle(arrival):
            await self.look_again(waiting, arrival.opened_at)

    async def set_aside(self, arrival: Arrival) -> None:
        """File a message that fails again and again, for a person, and so that its deletion loses nothing.

        It is still tried, as what waits is. Raises as :meth:`settle`.
        """
        group = await self._files.of_group(arrival.group, shard_of(arrival.group))
        if _of(arrival, group) is None:
            finding = review("it failed in a way nobody foresaw; see the log", look_again=True)
            with suppress(ConflictError):
                await self._write(arrival, None, finding, group)

    async def look_again(self, refund: Refund, since: float | None = None) -> None:
        """Match an event again that was not settled, by what was so ``since`` then. Raises as :meth:`settle`."""
        await self._settle(self.open(refund.message_id, refund.content, since=since))

    async def _settle(self, arrival: Arrival) -> list[Refund]:
        """Settle one event; the others of its group that wait."""
        shard = shard_of(arrival.group)
        for _ in range(ATTEMPTS):
            group = await self._files.of_group(arrival.group, shard)
            before = _of(arrival, group)
            if before and before.due_on is None:
                return []
            try:
                await self._write(arrival, before, await self._judge(arrival, before, group), group)
            except ConflictError:
                continue
            return [each for each in group if each.due_on and each is not before]
        raise UnavailableError("storage-tables", "the event is being filed by others", retry_after=1.0)

    async def _write(self, arrival: Arrival, before: Refund | None, finding: Finding, group: Sequence[Refund]) -> None:
        now = self._clock()
        received_on = before.received_on if before else now
        if finding.status is RefundStatus.REVIEW and not (before and before.status is RefundStatus.REVIEW):
            await self._events.send(refund_review_needed(_told(arrival, finding), now))
        if finding.status is not RefundStatus.APPLIED:
            _log.info("clawback event %s is %s: %s", arrival.event_id, finding.status, finding.reason)
        await self._files.write(before, _filed(arrival, before, finding, received_on, now), group)

    async def _judge(self, arrival: Arrival, before: Refund | None, group: Sequence[Refund]) -> Finding:
        event = arrival.event
        if event is None:
            return review(arrival.fault)
        course, why = course_of(event)
        match course:
            case Course.REVIEW:
                return review(why)
            case Course.NOTHING:
                return ignored(why)
            case Course.ENTITLEMENT:
                return await self._entitlements.settle(event, group)
            case Course.BOOKS:
                return await self._books.settle(event, before, group, arrival.opened_at)


def _of(arrival: Arrival, group: Sequence[Refund]) -> Refund | None:
    return next((each for each in group if each.event_id.lower() == arrival.event_id.lower()), None)


def _filed(arrival: Arrival, before: Refund | None, finding: Finding, received_on: datetime, now: datetime) -> Refund:
    filed = before or Refund(
        group=arrival.group,
        event_id=arrival.event_id,
        message_id=arrival.message_id,
        content=arrival.content,
        received_on=received_on,
        status=finding.status,
        reason=finding.reason,
    )
    return replace(
        filed,
        status=finding.status,
        reason=finding.reason,
        quantity=finding.quantity,
        user_id=finding.user_id or filed.user_id,
        attempts=filed.attempts + 1,
        due_on=next_look(received_on, now) if finding.look_again else None,
    )


def _told(arrival: Arrival, finding: Finding) -> RefundReviewNeededData:
    data = arrival.event.data if arrival.event else None
    return RefundReviewNeededData(
        refund_id=arrival.event_id,
        reason=finding.reason,
        order_id=data.order_id if data else None,
        line_item_id=data.line_item_id if data else None,
        product_id=data.product_id if data else None,
    )
