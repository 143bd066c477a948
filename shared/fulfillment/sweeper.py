"""Finds what nobody is on any more: a message that was never put, a worker that died, an event that was not sent."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count

from shared.clock import Clock, utc_now
from shared.correlation import get_logger
from shared.errors import StorekeeperError, UnavailableError
from shared.fulfillment.messages import work_on
from shared.fulfillment.schedule import CLAIM, FARTHEST, LONGEST_SENT, SENT, is_in_force
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

FAR_TURNS = 16
"""Sweeps after which each shard was looked at for what a clock that was far ahead has filed."""

_MAX_DOUBLINGS = 8

_log = get_logger(__name__)


@dataclass(slots=True)
class _Sweep:
    """One run: the monotonic time by which it ends, and whether the queue of events is away."""

    deadline: float
    is_mute: bool = False


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
        self._turns = count(random.randrange(FAR_TURNS))  # noqa: S311 - for those whose processes do not live long

    async def sweep(self) -> None:
        """Put a message for each fulfilment, and send each event, that is overdue. What fails is for the next sweep."""
        sweep = _Sweep(self._monotonic() + TIME_BUDGET)
        turn = next(self._turns) % FAR_TURNS
        shards = iter(range(SHARDS))

        async def sweeper() -> None:
            for number in shards:
                shard = f"{number:02x}"
                try:
                    await self._sweep(shard, sweep)
                    if number % FAR_TURNS == turn:
                        far = self._clock() + FARTHEST
                        await self._moved_on(await self._files.due_later(shard, far, PAGE), sweep)
                except StorekeeperError as error:
                    _log.log(error.log_level, "shard %s of the books waits for the next sweep: %s", shard, error)

        await asyncio.gather(*(sweeper() for _ in range(SWEEPERS)))

    async def _sweep(self, shard: str, sweep: _Sweep) -> None:
        """Look at all that is due. What cannot be moved on is passed by: it must not hide what lies behind it."""
        page = await self._files.due(shard, self._clock(), PAGE)
        await self._moved_on(page, sweep)
        while len(page) == PAGE and self._monotonic() < sweep.deadline:
            page = await self._files.due(shard, self._clock(), PAGE, after=page[-1].name)
            await self._moved_on(page, sweep)

    async def _moved_on(self, page: list[Due], sweep: _Sweep) -> None:
        for due in page:
            try:
                if due.event is None:
                    await self._fulfillment_moved_on(due)
                elif not sweep.is_mute:
                    await self._outbox.send(due)
            except ConflictError:
                pass  # somebody is on it after all
            except UnavailableError as error:
                if due.event is None or error.dependency != "storage-queues":
                    raise
                sweep.is_mute = True
                _log.warning("events wait for the next sweep: %s", error)
            except StorekeeperError:
                raise
            except Exception:  # noqa: BLE001 - one row's fault must not keep the others from being swept
                _log.exception("the open row %s cannot be dealt with", due.name)

    async def _fulfillment_moved_on(self, due: Due) -> None:
        job = await self._files.job(due.user_id, due.tracking_id)
        if job is None or job.filed_under != due.name or job.status is JobStatus.REFUSED:
            await self._files.remove(due.shard, due.name)
            return
        now = self._clock()
        if is_in_force(job.claimed_until, now, CLAIM):
            return
        # Noted first, then sent: dying in between costs a wait, the other way round would cost messages twice.
        again = now + min(SENT * (1 << min(job.sent, _MAX_DOUBLINGS)), LONGEST_SENT)
        moved = await self._files.replace(job, replace(job, sent=job.sent + 1), due=again)
        await self._queue.send(work_on(moved))
