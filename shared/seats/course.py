"""The course of a job from its turn to its end, and on to the next one's turn.

Whoever finds something to be moved on moves it on, from whatever state it is in; so a worker that dies leaves nothing
that the next message, or the next sweep, does not finish.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Literal

from shared.clock import Clock, utc_now
from shared.correlation import get_logger
from shared.events import Events, SeatJobCompletedData, seat_job_completed
from shared.seats.filing import JobFiles
from shared.seats.messages import BlockMessage, TurnMessage
from shared.seats.record import Counts, Job, Todo
from shared.seats.states import Action, JobStatus, status_at_end
from shared.seats.turns import Turns
from shared.seats.work import MAX_RESENT, SENT, Blocks
from shared.storage.queues import Queue
from shared.storage.transactions import ConflictError
from shared.store.models.business import ProductKey

TELL_AFTER = timedelta(seconds=30)
"""How long whoever ended a job is left alone to announce it."""

LONGEST_SENT = timedelta(minutes=30)
"""The most that is waited before a message is sent again: its queue may be long."""

TIME_BUDGET = 60.0
"""Seconds after which a message begins no further job and leaves the rest to a new message."""

WINDOW = 8
"""Blocks of a job that are under way at once, over all instances.

With ten calls each they fill an instance's budget of calls (``STORE_CONCURRENCY``). More would stand in the way of the
others: a host takes no new messages while more than 8 are worked on (host.json, ``newBatchThreshold``), and those of a
job whose Store is slow or throttled are worked on for long.
"""

_ENDS: Mapping[JobStatus, Literal["completed", "completedWithFailures", "failed"]] = {
    JobStatus.COMPLETED: "completed",
    JobStatus.COMPLETED_WITH_FAILURES: "completedWithFailures",
    JobStatus.FAILED: "failed",
}

_log = get_logger(__name__)


class Course:
    """Moves the jobs of a product on."""

    def __init__(
        self,
        files: JobFiles,
        turns: Turns,
        blocks: Blocks,
        events: Events,
        turns_queue: Queue,
        blocks_queue: Queue,
        *,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._files = files
        self._turns = turns
        self._blocks = blocks
        self._events = events
        self._turns_queue = turns_queue
        self._blocks_queue = blocks_queue
        self._clock = clock
        self._monotonic = monotonic

    async def work(self, job_id: str, number: int) -> None:
        """Carry out one block and go on: with the next that waits or, where it was the last, to the job's end.

        :raises UnavailableError: storage is away.
        """
        job = await self._files.find(job_id)
        if job and await self._blocks.work(job, number) and not await self._has_begun_next(job):
            await self.advance(job.tenant_id, job.product)

    async def _has_begun_next(self, job: Job) -> bool:
        """Whether there is more to be done, once one more block was begun."""
        while waiting := await self._files.waiting(job.job_id, WINDOW):
            # Others are choosing, too: the first would be everybody's choice.
            if await self._begin(job.job_id, [random.choice(waiting)]):  # noqa: S311 - spreads load
                return True
        return await self._files.has_todos(job.job_id)

    async def advance(self, tenant_id: str, product: ProductKey) -> None:
        """Move on the job whose turn it is, and those after it, as far as they can be moved now.

        :raises UnavailableError: storage is away; the sweep comes again.
        """
        started = self._monotonic()
        while turn := await self._turns.first(tenant_id, product):
            if self._monotonic() - started > TIME_BUDGET:
                await self._turns_queue.send(TurnMessage(tenant_id, product.product_id, product.sku_id))
                return
            job = await self._files.find(turn.job_id)
            # A job without a row was taken away by hand; the others are not to wait for it.
            if job and not await self._is_finished(job, turn.number):
                return
            await self._turns.give_back(turn)

    async def _is_finished(self, job: Job, number: int) -> bool:
        """Whether a job is over and announced, once it has been moved on."""
        if job.status.is_over:
            return await self._is_told(job)
        try:
            if job.status is not JobStatus.RUNNING:
                job = await self._files.replace(
                    replace(job, status=JobStatus.RUNNING, turn=number, started_on=self._clock())
                )
            if await self._is_under_way(job):
                return False
            counts = await self._files.counts(job.job_id)
            if counts.succeeded + counts.failed < job.total:
                _log.error("job %s has nothing to be done and users without an outcome: rows are missing", job.job_id)
                return False
            job = await self._ended(job, counts)
        except ConflictError:
            return False  # somebody else moves it on
        await self._tell(job)
        return True

    async def _is_under_way(self, job: Job) -> bool:
        """Whether anything is to be done yet. What nobody is on is sent; a block alone is done here and now."""
        # In this order: a block that is begun between the two readings is seen twice, the other way round never.
        waiting = await self._files.waiting(job.job_id, WINDOW + 1)
        todos = await self._files.todos(job.job_id)
        if not todos and len(waiting) == 1:
            begun = await self._note_begun(job.job_id, waiting)
            return not (begun and await self._blocks.work(job, waiting[0]))
        overdue = [todo for todo in todos if todo.is_overdue(self._clock())]
        if overdue:
            await self._send_again(job.job_id, overdue)
        if room := waiting[: max(WINDOW - len(todos), 0)]:
            await self._begin(job.job_id, room)
        return bool(todos or waiting)

    async def _begin(self, job_id: str, numbers: Sequence[int]) -> bool:
        """Begin blocks that wait, unless somebody else has begun one of them.

        Noted first, then sent: dying in between costs a wait, the other way round would cost messages twice.
        """
        begun = await self._note_begun(job_id, numbers)
        if begun:
            await self._send(job_id, numbers)
        return begun

    async def _note_begun(self, job_id: str, numbers: Sequence[int]) -> bool:
        try:
            await self._files.begin(job_id, numbers, self._clock() + SENT)
        except ConflictError:
            return False
        return True

    async def _send_again(self, job_id: str, todos: Sequence[Todo]) -> None:
        try:
            await self._files.alter(job_id, [(todo, self._sent_again(todo)) for todo in todos])
        except ConflictError:
            return  # somebody is on them after all
        _log.warning("job %s: %d blocks were sent and not dealt with; they are sent again", job_id, len(todos))
        await self._send(job_id, [todo.number for todo in todos])

    def _sent_again(self, todo: Todo) -> Todo:
        resent = min(todo.resent + 1, MAX_RESENT)
        due = self._clock() + min(SENT * (1 << resent), LONGEST_SENT)
        return replace(todo, due=due, claimed=False, resent=resent)

    async def _send(self, job_id: str, numbers: Sequence[int]) -> None:
        await asyncio.gather(*(self._blocks_queue.send(BlockMessage(job_id, number)) for number in numbers))

    async def _ended(self, job: Job, counts: Counts) -> Job:
        return await self._files.replace(
            replace(
                job,
                status=status_at_end(counts.succeeded, counts.failed),
                succeeded=counts.succeeded,
                failed=counts.failed,
                ended_on=self._clock(),
                untold=True,
            )
        )

    async def _is_told(self, job: Job) -> bool:
        if not job.untold:
            return True
        if job.ended_on and self._clock() < job.ended_on + TELL_AFTER:
            return False
        await self._tell(job)
        return True

    async def _tell(self, job: Job) -> None:
        """Announce a job's end: once, unless we die right after it; then again, under the same id."""
        ended_on = job.ended_on or self._clock()
        await self._events.send(seat_job_completed(_event_data(job), ended_on))
        try:
            await self._files.replace(replace(job, untold=False))
        except ConflictError:
            _log.info("the end of job %s was announced by another worker, too", job.job_id)


def _event_data(job: Job) -> SeatJobCompletedData:
    return SeatJobCompletedData(
        job.job_id,
        job.tenant_id,
        job.product.product_id,
        job.product.sku_id,
        "assign" if job.action is Action.ASSIGN else "reclaim",
        _ENDS[job.status],
        job.total,
        job.succeeded,
        job.failed,
    )
