"""What a clawback event takes from a player's books, or gives back: once for each event, whatever is repeated.

Everything that one event changes, its own row and what is told of it included, is one transaction. Only an order line
that more fulfilments drew from than a transaction holds takes several: the lines say themselves which event has
changed them, and the event's row comes with the last.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import msgspec

from shared.clock import Clock, to_iso, utc_now
from shared.errors import UnavailableError
from shared.events import ConsumableCorrectedData, Event, consumable_restored, consumable_revoked
from shared.ledger.filing import Files, HeldBalance, balance_write, job_row
from shared.ledger.outbox import Outbox
from shared.ledger.record import Job, Line, LineRef, LineState, refund_name, shard_of
from shared.storage.rows import Row
from shared.storage.transactions import MAX_OPERATIONS, ConflictError, Operation

ATTEMPTS = 20
"""Tries to change books that others are changing too."""

JOBS_A_COMMIT = MAX_OPERATIONS - 3
"""Fulfilments that one transaction changes beside the balance, the event's row and what is told of it."""

READERS = 16
"""Fulfilments read side by side, where many drew from one order line."""

MOST_TOLD = 1_000
"""Tracking ids that an event names at most: a queue's message has 64 KiB."""

_BESIDES = ".besides"
"""Follows the id of an event that met a line which a chargeback had taken."""


@dataclass(frozen=True, slots=True)
class Clawback:
    """What a clawback event names; ids in any letter case."""

    event_id: str
    order_id: str
    line_id: str
    product_id: str
    is_chargeback: bool = False


@dataclass(frozen=True, slots=True)
class Correction:
    """What an event changed in one player's books: ``quantity`` taken or given back, and the balance after it.

    ``is_new`` is False where the event had been applied before: then this is what it did at that time.
    """

    quantity: int
    balance: int
    tracking_ids: tuple[str, ...]
    is_new: bool

    @property
    def is_negative(self) -> bool:
        """Whether the player had spent what was taken."""
        return self.balance < 0


type _Cause = Literal["refund", "chargeback", "chargebackReversal"]

type _Rule = Callable[[Line], tuple[LineState, int]]
"""The state that a line goes into, and by how much the balance changes with it."""


class Corrections:
    """Applies clawback events. All methods raise :class:`UnavailableError` where storage is away."""

    def __init__(self, files: Files, outbox: Outbox, *, clock: Clock = utc_now) -> None:
        self._files = files
        self._outbox = outbox
        self._clock = clock

    async def apply_refund(self, user_id: str, lines: Sequence[LineRef], clawback: Clawback) -> Correction:
        """Take back what the player still holds of these lines, all of one product."""
        rule = _chargeback if clawback.is_chargeback else _refund
        return await self._apply(user_id, lines, clawback, rule, "chargeback" if clawback.is_chargeback else "refund")

    async def restore(
        self, user_id: str, lines: Sequence[LineRef], clawback: Clawback, chargebacks: Collection[str] | None = None
    ) -> Correction:
        """Give back what a chargeback took of these lines; of one that is yet to come, take nothing then.

        ``chargebacks`` are the ids of those that are known: a line that another one has met since stays as it is.
        """
        return await self._apply(user_id, lines, clawback, _reversal_of(chargebacks), "chargebackReversal")

    async def _apply(
        self, user_id: str, lines: Sequence[LineRef], clawback: Clawback, rule: _Rule, cause: _Cause
    ) -> Correction:
        for _ in range(ATTEMPTS):
            try:
                return await self._once(user_id, lines, clawback, rule, cause)
            except ConflictError:
                # An event that was applied before meets its own row.
                if done := await self._done(user_id, clawback):
                    return done
        raise UnavailableError("storage-tables", "the player's books are being changed by others", retry_after=1.0)

    async def _once(
        self, user_id: str, lines: Sequence[LineRef], clawback: Clawback, rule: _Rule, cause: _Cause
    ) -> Correction:
        gives_back = cause == "chargebackReversal"
        jobs = await self._jobs(user_id, lines)
        steps = [_Step(job, lines, clawback.event_id, rule, gives_back=gives_back) for job in jobs]
        pending = [step for step in steps if step.is_pending]
        is_one = 0 < len(pending) <= JOBS_A_COMMIT
        if not is_one and (done := await self._done(user_id, clawback)):
            return done
        held = await self._files.balance(steps[0].before) if steps else HeldBalance()
        while len(pending) > JOBS_A_COMMIT:
            now, pending = pending[:JOBS_A_COMMIT], pending[JOBS_A_COMMIT:]
            balance = held.quantity + sum(step.change for step in now)
            etags = await self._files.commit([balance_write(now[0].before, held, balance), *_writes(now)])
            held = HeldBalance(balance, etags[0])
        return await self._last(user_id, clawback, cause, steps, pending, held)

    async def _done(self, user_id: str, clawback: Clawback) -> Correction | None:
        """What an event did that was applied before."""
        found = await self._files.refund(user_id, clawback.event_id)
        return _from_row(found) if found else None

    async def _last(
        self,
        user_id: str,
        clawback: Clawback,
        cause: _Cause,
        steps: "list[_Step]",
        pending: "list[_Step]",
        held: HeldBalance,
    ) -> Correction:
        """The transaction that ends it, and what is told of it."""
        balance = held.quantity + sum(step.change for step in pending)
        changed = [step for step in steps if step.total]
        tracking_ids = tuple(step.before.tracking_id for step in changed)[:MOST_TOLD]
        correction = Correction(abs(sum(step.total for step in changed)), balance, tracking_ids, is_new=True)
        if not (pending or changed):
            # Nothing is noted of what did nothing: if it comes again, the lines may have been given back since.
            return correction
        operations = _writes(pending)
        if pending:
            operations.append(balance_write(pending[0].before, held, balance))
        operations.append(Operation("create", self._row(user_id, clawback, cause, correction)))
        if not changed:
            await self._files.commit(operations)
            return correction
        event = self._event(changed[0].before, clawback, cause, correction)
        row = self._outbox.row(user_id, event)
        await self._files.commit([*operations, Operation("put", row)])
        await self._outbox.send_now(row, event)
        return correction

    async def _jobs(self, user_id: str, lines: Sequence[LineRef]) -> list[Job]:
        tracking_ids = list(dict.fromkeys(line.tracking_id for line in lines))
        found: dict[str, Job | None] = {}
        waiting = iter(tracking_ids)

        async def reader() -> None:
            for each in waiting:
                found[each] = await self._files.job(user_id, each)

        await asyncio.gather(*(reader() for _ in range(min(READERS, len(tracking_ids)))))
        return [job for each in tracking_ids if (job := found[each])]

    def _row(self, user_id: str, clawback: Clawback, cause: _Cause, correction: Correction) -> Row:
        return {
            "PartitionKey": shard_of(user_id),
            "RowKey": refund_name(user_id, clawback.event_id),
            "userId": user_id,
            "eventId": clawback.event_id,
            "orderId": clawback.order_id,
            "lineId": clawback.line_id,
            "productId": clawback.product_id,
            "cause": cause,
            "quantity": str(correction.quantity),
            "balance": str(correction.balance),
            "trackingIds": msgspec.json.encode(correction.tracking_ids),
            "appliedOn": to_iso(self._clock()),
        }

    def _event(self, job: Job, clawback: Clawback, cause: _Cause, correction: Correction) -> Event:
        data = ConsumableCorrectedData(
            user_id=job.user_id,
            product_id=job.product_id,
            sandbox=job.sandbox,
            quantity=correction.quantity,
            balance=correction.balance,
            is_negative=correction.is_negative,
            cause=cause,
            order_id=clawback.order_id,
            line_item_id=clawback.line_id,
            tracking_ids=list(correction.tracking_ids),
            clawback_event_id=clawback.event_id,
        )
        make = consumable_restored if cause == "chargebackReversal" else consumable_revoked
        return make(data, clawback.event_id, self._clock())


class _Step:
    """What an event does to one fulfilment. ``total`` counts what it did in a transaction before this one, too."""

    def __init__(self, before: Job, lines: Sequence[LineRef], event_id: str, rule: _Rule, *, gives_back: bool) -> None:
        self.before = before
        self.change = 0
        self.total = 0
        places = {(ref.order_id, ref.line_id) for ref in lines if ref.tracking_id == before.tracking_id}
        changed: dict[Line, Line] = {}
        for line in before.lines:
            if (line.order_id, line.line_id) not in places:
                continue
            if line.changed_by == event_id:
                self.total += _done(line, gives_back=gives_back)
                continue
            state, change = rule(line)
            self.change += change
            # Noted, too, where another one had taken it: a reversal that was judged without this one leaves it then.
            is_besides = line.state is LineState.CHARGED_BACK and not gives_back
            if is_besides or state is not line.state:
                by = event_id + _BESIDES if is_besides else event_id
                changed[line] = replace(line, state=state, changed_by=by)
        self.total += self.change
        self.is_pending = any(old != new for old, new in changed.items())
        self.after = before.with_lines(changed)


def _writes(steps: Sequence[_Step]) -> list[Operation]:
    return [Operation("replace", job_row(step.after), step.before.etag) for step in steps]


def _refund(line: Line) -> tuple[LineState, int]:
    if line.state is LineState.CHARGED_BACK:
        return LineState.REVOKED, 0  # taken for good: no reversal brings it back, whichever of them comes first
    return (LineState.REVOKED, -line.quantity) if line.state.is_held else (line.state, 0)


def _chargeback(line: Line) -> tuple[LineState, int]:
    if line.state is LineState.REVERSED:
        return LineState.RESTORED, 0
    return (LineState.CHARGED_BACK, -line.quantity) if line.state.is_held else (line.state, 0)


def _reversal_of(chargebacks: Collection[str] | None) -> _Rule:
    def reversal(line: Line) -> tuple[LineState, int]:
        match line.state:
            case LineState.CHARGED_BACK if chargebacks is None or _is_by(line, chargebacks):
                return LineState.RESTORED, line.quantity
            case LineState.GRANTED:
                return LineState.REVERSED, 0
        return line.state, 0

    return reversal


def _is_by(line: Line, events: Collection[str]) -> bool:
    """Whether one of these events, or what followed from it, changed a line last."""
    by = line.changed_by or ""
    return any(by == each or by.startswith(f"{each}.") for each in events)


def _done(line: Line, *, gives_back: bool) -> int:
    """By how much the balance changed when this event put the line into its state."""
    if gives_back:
        return line.quantity if line.state is LineState.RESTORED else 0
    return -line.quantity if line.state in {LineState.REVOKED, LineState.CHARGED_BACK} else 0


def _from_row(row: Row) -> Correction:
    tracking_ids = msgspec.json.decode(row["trackingIds"], type=tuple[str, ...])
    return Correction(int(row["quantity"]), int(row["balance"]), tracking_ids, is_new=False)
