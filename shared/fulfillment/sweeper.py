"""Finds what nobody is on any more: a message that was never put, a worker that died, an event that was not sent."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace

from shared.clock import Clock, utc_now
from shared.correlation import get_logger
from shared.errors import StorekeeperError
from shared.fulfillment.messages import work_on
from shared.fulfillment.schedule import CLAIM, LONGEST_SENT, SENT, is_in_force
from shared.ledger.filing import Due, Files
from shared.ledger.kinds import JobStatus
from shared.ledger.outbox import Outbox
from shared.ledger.record import SHARDS
from shared.storage.queues import Queue
from shared.storage.transactions import ConflictError

SWEEPERS = 16
"""Shards that are looked at side by side."""

PAGE = 64
"""Open rows of a shard that are looked at in one go."""

TIME_BUDGET = 40.0
"""Seconds after which a sweep begins no further page, and leaves the rest to the next."""

_MAX_DOUBLINGS = 8

_log = get_logger(__name__)


class FulfillmentSweeper:
    """Sweeps all shards: one small read for each where nothing is overdue."""

    def __init__(
        self,
        files: Files,
        outbox: Outbox,
        queue: Queue,
        *,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = files
        self._outbox = outbox
        self._queue = queue
        self._clock = clock
        self._monotonic = monotonic

    async def sweep(self) -> None:
        """Put a message for each fulfilment, and send each event, that is overdue. What fails is for the next sweep."""
        deadline = self._monotonic() + TIME_BUDGET
        shards = iter([f"{shard:02x}" for shard in range(SHARDS)])

        async def sweeper() -> None:
            for shard in shards:
                try:
                    await self._sweep(shard, deadline)
                except StorekeeperError as error:
                    _log.log(error.log_level, "shard %s of the books waits for the next sweep: %s", shard, error)

        await asyncio.gather(*(sweeper() for _ in range(SWEEPERS)))

    async def _sweep(self, shard: str, deadline: float) -> None:
        more = True
        while more and self._monotonic() < deadline:
            page = await self._files.due(shard, self._clock(), PAGE)
            # Events last: while their queue is away they end the sweep of a shard.
            moved = [await self._moved_on(due) for due in sorted(page, key=lambda due: due.event is not None)]
            more = len(page) == PAGE and any(moved)

    async def _moved_on(self, due: Due) -> bool:
        """Whether an open row is no longer in the way of those behind it."""
        try:
            if due.event is not None:
                await self._outbox.send(due)
                return True
            return await self._fulfillment_moved_on(due)
        except ConflictError:
            return True  # somebody is on it after all
        except (KeyError, ValueError, TypeError):
            _log.exception("the fulfilment of the open row %s cannot be read", due.name)
            return False

    async def _fulfillment_moved_on(self, due: Due) -> bool:
        job = await self._files.job(due.user_id, due.tracking_id)
        if job is None or job.filed_under != due.name or job.status is JobStatus.REFUSED:
            await self._files.remove(due.shard, due.name)
            return True
        now = self._clock()
        if is_in_force(job.claimed_until, now, CLAIM):
            return False
        # Noted first, then sent: dying in between costs a wait, the other way round would cost messages twice.
        again = now + min(SENT * (1 << min(job.sent, _MAX_DOUBLINGS)), LONGEST_SENT)
        moved = await self._files.replace(job, replace(job, sent=job.sent + 1), due=again)
        await self._queue.send(work_on(moved))
        return True
