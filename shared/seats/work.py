"""Carries out one block of a job. Every step may happen twice, and a worker may die after any of them.

A worker claims a block before it calls the Store. Everything that it does at the Store is over :data:`BUDGET` after
that, while a claim holds for longer: so nobody's call arrives late, when the block is another's, or the job over and
the next one begun that wants the opposite.
"""

import asyncio
import contextlib
import random
from dataclasses import dataclass, replace
from datetime import timedelta

from shared.clock import Clock, utc_now
from shared.correlation import get_logger
from shared.errors import StorekeeperError
from shared.seats.calls import SeatCalls
from shared.seats.filing import JobFiles
from shared.seats.messages import BlockMessage
from shared.seats.outcomes import Finding, bounded
from shared.seats.record import Block, Job, Todo
from shared.seats.states import JobStatus, UserStatus
from shared.shares import Shares
from shared.storage.queues import Queue
from shared.storage.transactions import ConflictError

BUDGET = 75.0
"""Seconds in which a worker calls the Store for one block."""

CLAIM = timedelta(seconds=120)
"""How long a worker is left alone with its block."""

SENT = timedelta(seconds=120)
"""How long a message may take, beyond its delay, before it is sent again."""

MAX_TRIES = 8
"""Tries after which users whom the Store gives no clear answer for are given up."""

MAX_WAITS = 250
"""Times that a block waits for a Store that takes no calls, or not ours: most of a day."""

MAX_RESENT = 20
"""Workers that may die over one block."""

PUT_OFF = (10.0, 60.0)
"""Seconds for which a block is put off, from and to, while its tenant keeps as many workers as it may."""

FIRST_PAUSE = 2.0
LAST_PAUSE = 300.0

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Next:
    """What is left of a block after a worker was at it."""

    block: Block
    delay: float | None
    """Seconds until it is tried again; None: it is done."""


class Blocks:
    """Carries out blocks."""

    def __init__(
        self, files: JobFiles, calls: SeatCalls, queue: Queue, shares: Shares, *, clock: Clock = utc_now
    ) -> None:
        self._files = files
        self._calls = calls
        self._queue = queue
        self._shares = shares
        self._clock = clock

    async def work(self, job: Job, number: int) -> bool:
        """Deal with the users of one block; whether it is done now.

        Nothing is done where the job is not running, the block is done, or somebody else is on it.

        :raises UnavailableError: storage is away; the block is found again.
        """
        if job.status is not JobStatus.RUNNING:
            return False
        if self._shares.is_used_up(job.tenant_id):
            await self._put_off(job.job_id, number)
            return False
        with self._shares.working(job.tenant_id):
            return await self._work(job, number)

    async def _work(self, job: Job, number: int) -> bool:
        deadline = asyncio.get_running_loop().time() + BUDGET
        claimed = await self._claim(job.job_id, number)
        block = await self._files.block(job.job_id, number) if claimed else None
        if claimed is None or block is None:
            return False
        try:
            left = await self._carry_out(job, block, claimed, deadline)
        except BaseException:
            await self._release(job.job_id, claimed)
            raise
        return await self._settle(job.job_id, claimed, left)

    async def _put_off(self, job_id: str, number: int) -> None:
        """Leave a block for later without a try."""
        todo = await self._free(job_id, number)
        if todo is None:
            return
        delay = random.uniform(*PUT_OFF)  # noqa: S311 - spreads load
        later = replace(todo, due=self._clock() + timedelta(seconds=delay) + SENT, claimed=False)
        with contextlib.suppress(ConflictError):
            await self._files.alter(job_id, [(todo, later)])
            await self._queue.send(BlockMessage(job_id, number), delay=delay)

    async def _claim(self, job_id: str, number: int) -> Todo | None:
        todo = await self._free(job_id, number)
        if todo is None:
            return None
        claim = replace(todo, due=self._clock() + CLAIM, claimed=True)
        with contextlib.suppress(ConflictError):
            return (await self._files.alter(job_id, [(todo, claim)]))[0]
        return None

    async def _free(self, job_id: str, number: int) -> Todo | None:
        """What is to be done of a block that nobody is on."""
        todo = await self._files.todo(job_id, number)
        return None if todo and todo.claimed and not todo.is_overdue(self._clock()) else todo

    async def _release(self, job_id: str, claimed: Todo) -> None:
        """Let the message's next try have the block at once; failing that, the claim runs out by itself."""
        with contextlib.suppress(ConflictError, StorekeeperError):
            free = replace(claimed, due=self._clock() + SENT, claimed=False)
            await self._files.alter(job_id, [(claimed, free)])

    async def _carry_out(self, job: Job, block: Block, claimed: Todo, deadline: float) -> _Next:
        if claimed.resent >= MAX_RESENT:
            return _Next(_given_up(block), None)
        pending = block.pending
        found = await self._calls.change(job.tenant_id, job.product, job.action, pending, deadline)
        after = block.with_findings(found)
        open_ones = [found[user] for user in after.pending]
        if not open_ones:
            return _Next(after, None)
        only_waits = all(finding.waits for finding in open_ones)
        tried = replace(after, tries=after.tries + (not only_waits), waits=after.waits + only_waits)
        if tried.tries >= MAX_TRIES or tried.waits >= MAX_WAITS:
            return _Next(_given_up(tried), None)
        asked = max((finding.retry_after or 0.0 for finding in open_ones), default=0.0)
        return _Next(tried, max(asked, _pause(tried)))

    async def _settle(self, job_id: str, claimed: Todo, left: _Next) -> bool:
        todo = None
        if left.delay is not None:
            due = self._clock() + timedelta(seconds=left.delay) + SENT
            todo = replace(claimed, due=due, claimed=False, resent=0)
        try:
            await self._files.settle(job_id, left.block, claimed, todo)
        except ConflictError:
            _log.warning("block %d of job %s was taken over while it was worked on", claimed.number, job_id)
            return False
        if left.delay is not None:
            _log.info("block %d of job %s waits for %.0f seconds", claimed.number, job_id, left.delay)
            await self._queue.send(BlockMessage(job_id, claimed.number), delay=left.delay)
        return left.delay is None


def _pause(block: Block) -> float:
    doublings: int = 1 << min(block.tries + block.waits - 1, 8)
    return min(FIRST_PAUSE * doublings, LAST_PAUSE) * random.uniform(0.8, 1.2)  # noqa: S311 - jitter


def _given_up(block: Block) -> Block:
    """Those who are still open fail, each with the last that was heard of it."""
    findings = (
        Finding(UserStatus.FAILED, bounded(f"gave up: {finding.reason or 'no try came to its end'}"))
        if finding.status is UserStatus.PENDING
        else finding
        for finding in block.findings
    )
    return replace(block, findings=tuple(findings))
