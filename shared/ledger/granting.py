"""A consume that was carried out becomes a grant: the fulfilment, its lines and the balance in one transaction.

What lies elsewhere follows: the order lines' index and the event. The fulfilment's open row stays until both are
written, so that whatever dies in between is made good by the next sweep; each may be written again at any time.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.errors import UnavailableError
from shared.events import (
    ConsumableCorrectedData,
    ConsumableGrantedData,
    Event,
    Events,
    consumable_granted,
    consumable_restored,
)
from shared.ledger.closing import Closing
from shared.ledger.filing import Files, HeldBalance, balance_write, job_row
from shared.ledger.kinds import JobStatus
from shared.ledger.order_lines import OrderLines
from shared.ledger.record import Job, Line, LineState, shard_of
from shared.storage.transactions import ConflictError, Operation

ATTEMPTS = 20
"""Tries to change a balance that others are changing too."""

REMEMBERED = 10_000
"""Balances whose last state is kept in memory: a guess that saves a read, and is put right where it was wrong."""


_GIVEN_BACK = {LineState.CHARGED_BACK, LineState.RESTORED}


class LostClaimError(Exception):
    """The fulfilment was changed by somebody else: it is theirs now."""


@dataclass(frozen=True, slots=True)
class _Earlier:
    """A line of another fulfilment that had granted the same unit, and whose it is."""

    job: Job | None
    line: Line | None


class Granting:
    """Grants. All methods raise :class:`UnavailableError` where storage is away."""

    def __init__(self, files: Files, order_lines: OrderLines, events: Events, closing: Closing) -> None:
        self._files = files
        self._order_lines = order_lines
        self._events = events
        self._closing = closing
        self._known: OrderedDict[tuple[str, str, str], HeldBalance] = OrderedDict()

    async def grant(self, job: Job, lines: Sequence[Line], new_quantity: int, now: datetime) -> Job:
        """Grant a fulfilment that is claimed.

        A developer-managed unit that was granted before is one whose chargeback was reversed: the Store lets it be
        consumed again. Then its line is restored, and nothing is granted beside it.

        :raises LostClaimError: it is no longer ours.
        """
        done = replace(
            job,
            status=JobStatus.GRANTED,
            reason=None,
            lines=tuple(lines),
            new_quantity=new_quantity,
            granted=job.quantity,
            granted_on=now,
        )
        place = job.user_id, job.sandbox, job.product_id.upper()
        held = self._known.get(place)
        for _ in range(ATTEMPTS):
            earlier = await self._earlier(done) if job.is_developer_managed else None
            held = held or await self._files.balance(job)
            granted, operations = _granted(job, done, earlier, held)
            try:
                etags = await self._files.commit(operations)
            except ConflictError as conflict:
                self._known.pop(place, None)
                held = None
                if conflict.index == 0:
                    return await self._ours(job)
                continue
            self._remember(granted, HeldBalance(granted.balance, etags[1]))
            return replace(granted, etag=etags[0])
        raise UnavailableError("storage-tables", "the player's balance is being changed by others", retry_after=1.0)

    async def finish(self, job: Job) -> None:
        """Write what follows from a grant, and close it."""
        event = _event(job)
        await asyncio.gather(self._order_lines.put(job), *([self._events.send(event)] if event else []))
        await self._closing.close(shard_of(job.user_id), job.filed_under)

    async def _ours(self, job: Job) -> Job:
        """The fulfilment as it was granted under our claim after all: a transaction whose answer was lost, say."""
        found = await self._files.job(job.user_id, job.tracking_id)
        if found and found.status is JobStatus.GRANTED and found.claim == job.claim:
            return found
        raise LostClaimError

    async def _earlier(self, job: Job) -> _Earlier | None:
        """The line that had granted the same unit, if there is one.

        Where the Store did not tell which line it was, another one of the order and product is the same only if it was
        charged back: an order may have a product twice.
        """
        for line in job.lines:
            for ref in await self._order_lines.of_order(line.order_id) if line.order_id else ():
                if ref.product_id.lower() != job.product_id.lower() or ref.tracking_id == job.tracking_id:
                    continue
                is_certain = bool(line.line_id) and line.line_id == ref.line_id
                if ref.user_id != job.user_id:
                    if is_certain:
                        return _Earlier(None, None)
                    continue
                found = await self._files.job(ref.user_id, ref.tracking_id)
                theirs = found.line(ref.order_id, ref.line_id) if found else None
                may_be = not line.line_id or not ref.line_id
                if theirs and (is_certain or (may_be and theirs.state in _GIVEN_BACK)):
                    return _Earlier(found, theirs)
        return None

    def _remember(self, job: Job, held: HeldBalance) -> None:
        place = job.user_id, job.sandbox, job.product_id.upper()
        self._known[place] = held
        self._known.move_to_end(place)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)


def _granted(job: Job, done: Job, earlier: _Earlier | None, held: HeldBalance) -> tuple[Job, list[Operation]]:
    """The fulfilment as it is granted, and the transaction that does it: itself first, the balance second."""
    others: list[Operation] = []
    if earlier:
        given_back = 0
        if earlier.job and earlier.line:
            state, given_back = _restored(earlier.line)
            restored = earlier.job.with_lines({earlier.line: replace(earlier.line, state=state)})
            if restored != earlier.job:
                others = [Operation("replace", job_row(restored), earlier.job.etag)]
        elsewhere = tuple(replace(line, quantity=0, state=LineState.ELSEWHERE) for line in done.lines)
        restores = earlier.job.tracking_id if earlier.job else None
        done = replace(done, lines=elsewhere, granted=given_back, restores=restores)
    done = replace(done, balance=held.quantity + done.granted)
    balance = balance_write(job, held, done.balance)
    return done, [Operation("replace", job_row(done), job.etag), balance, *others]


def _restored(line: Line) -> tuple[LineState, int]:
    """The state of a line whose unit the Store lets be consumed again, and what is given back with it."""
    match line.state:
        case LineState.CHARGED_BACK | LineState.REVOKED:
            return LineState.RESTORED, line.quantity
        case LineState.GRANTED:
            return LineState.REVERSED, 0
    return line.state, 0


def _event(job: Job) -> Event | None:
    """What is to be told of a grant; None where it changed nothing."""
    granted_on = job.granted_on or job.accepted_on
    if job.lines and job.lines[0].state is LineState.ELSEWHERE:
        if not job.granted or job.restores is None:
            return None
        line = job.lines[0]
        restored = ConsumableCorrectedData(
            user_id=job.user_id,
            product_id=job.product_id,
            sandbox=job.sandbox,
            quantity=job.granted,
            balance=job.balance,
            is_negative=job.balance < 0,
            cause="chargebackReversal",
            order_id=line.order_id,
            line_item_id=line.line_id,
            tracking_ids=[job.restores],
            clawback_event_id=None,
        )
        return consumable_restored(restored, job.tracking_id, granted_on)
    granted = ConsumableGrantedData(job.user_id, job.tracking_id, job.product_id, job.granted, job.balance, job.sandbox)
    return consumable_granted(granted, granted_on)
