"""Carries out one fulfilment. Every step may happen twice, and a worker may die after any of them.

A worker claims the fulfilment by its ETag. Its grant is on that claim: one that was replaced meanwhile commits nothing.
The consume is the same, value for value, in every try, so the Store takes nothing twice; and what it took is granted by
one transaction, which only one worker can make.
"""

import asyncio
import random
import secrets
from dataclasses import replace
from datetime import timedelta

from shared.auth.tokens import StoreIdKind
from shared.clock import Clock, utc_now
from shared.correlation import get_logger
from shared.errors import StorekeeperError, UnavailableError
from shared.fulfillment.lines import lines_of, transaction_of
from shared.fulfillment.messages import WorkMessage, work_on
from shared.fulfillment.outcomes import after_failure
from shared.fulfillment.request import tracking_id_at_store
from shared.fulfillment.schedule import (
    BUDGET,
    CLAIM,
    LONGEST_WAIT,
    LOOK_UP_BUDGET,
    LOOK_UP_PATIENCE,
    SENT,
    is_in_force,
)
from shared.keys.current import CurrentKeys
from shared.ledger.filing import Files
from shared.ledger.granting import Granting, LostClaimError
from shared.ledger.kinds import RETAIL
from shared.ledger.record import Job
from shared.storage.queues import Queue
from shared.storage.transactions import ConflictError
from shared.store.collections import Collections
from shared.store.errors import StoreError, StoreRefusedError, StoreUnknownError
from shared.store.models.collections import ConsumeAnswer

WRITE_PAUSES = (0.5, 1, 2, 4, 8)
"""Seconds between the tries to write a grant while storage is away: a developer-managed order is told only once."""

_log = get_logger(__name__)


class Worker:
    """Works on fulfilments."""

    def __init__(
        self,
        files: Files,
        granting: Granting,
        keys: CurrentKeys,
        store: Collections,
        queue: Queue,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self._files = files
        self._granting = granting
        self._keys = keys
        self._store = store
        self._queue = queue
        self._clock = clock

    async def work(self, message: WorkMessage) -> None:
        """Move a fulfilment on, unless it is over, claimed, or not due yet.

        Where storage is away the message is given up without a fault: the sweep puts another one.
        """
        try:
            known = message.job()
            job = known or await self._files.job(message.user_id, message.tracking_id)
            if job and await self.advance(job) is None and known:
                # What the message knew is no longer so.
                job = await self._files.job(message.user_id, message.tracking_id)
                if job:
                    await self.advance(job)
        except UnavailableError as error:
            _log.warning("fulfilment %s waits for the next sweep: %s", message.tracking_id, error)

    async def advance(self, job: Job) -> bool | None:
        """Move on a fulfilment that was read; False where there is nothing to do now, None where it has changed.

        :raises UnavailableError: storage is away; the sweep comes again.
        """
        now = self._clock()
        if is_in_force(job.claimed_until, now, CLAIM):
            return False
        if job.status.is_over:
            if not await self._files.is_open(job):
                return False
            await self._finish(job)
            return True
        if is_in_force(job.not_before, now, LONGEST_WAIT):
            return False
        claimed = await self._claim(job)
        if claimed is None:
            return None
        await self.carry_out(claimed)
        return True

    async def _claim(self, job: Job) -> Job | None:
        """The fulfilment, claimed; None where somebody else has changed it."""
        claimed = self.claimed(job)
        try:
            return await self._files.replace(job, claimed)
        except ConflictError:
            # Storage may have written it, and its answer was lost: what the SDK sent again met our own row.
            found = await self._files.job(job.user_id, job.tracking_id)
            return found if found and found.claim == claimed.claim else None

    def claimed(self, job: Job) -> Job:
        """The fulfilment with a claim of its own on it. One that was left behind may have consumed."""
        until = self._clock() + CLAIM
        uncertain = job.uncertain or job.claim is not None
        return replace(job, claim=secrets.token_hex(8), claimed_until=until, not_before=None, uncertain=uncertain)

    async def carry_out(self, job: Job) -> Job | None:
        """Consume and grant a fulfilment that is claimed; as it is then, None where it was taken from us.

        :raises UnavailableError: storage is away; the sweep comes again.
        """
        asked = False
        try:
            async with asyncio.timeout(BUDGET):
                if job.is_developer_managed and not job.looked_up:
                    job = await self._looked_up(job)
                asked = True
                answer = await self._consumed(job)
        except (StoreError, StorekeeperError, TimeoutError) as error:
            return await self._settle(job, error, asked=asked)
        except ConflictError:
            _log.warning("fulfilment %s was taken over while it was worked on", job.tracking_id)
            return None
        return await self._grant(job, answer)

    async def _looked_up(self, job: Job) -> Job:
        """The fulfilment with its item's order, which a replay would not tell.

        Never after a consume: the item may be of another order by then. Where it cannot be had the consume's answer is
        likely to tell it all the same; if that is lost, a refund is for a person (reference, section 8).
        """
        try:
            async with asyncio.timeout(LOOK_UP_BUDGET):
                items = await self._keys.use(
                    job.user_id,
                    StoreIdKind.COLLECTIONS,
                    lambda key, token: self._store.query_v9(key, token, [job.product_id], sandbox=_named(job.sandbox)),
                )
        except (StoreRefusedError, StoreUnknownError, TimeoutError) as error:
            is_final = isinstance(error, StoreRefusedError)
            until = job.look_up_until
            if not is_final and (until is None or is_in_force(until, self._clock(), LOOK_UP_PATIENCE)):
                raise
            _log.warning("the order of fulfilment %s cannot be looked up: %s", job.tracking_id, error)
            items = []
        transaction_id = transaction_of(job.product_id, items)
        return await self._files.replace(job, replace(job, looked_up=True, transaction_id=transaction_id))

    async def _consumed(self, job: Job) -> ConsumeAnswer:
        return await self._keys.use(
            job.user_id,
            StoreIdKind.COLLECTIONS,
            lambda key, token: self._store.consume(
                key,
                token,
                tracking_id=tracking_id_at_store(job.user_id, job.tracking_id),
                product_id=job.product_id,
                quantity=None if job.is_developer_managed else job.quantity,
                sandbox=_named(job.sandbox),
            ),
        )

    async def _settle(self, job: Job, error: Exception, *, asked: bool) -> Job | None:
        after = after_failure(job, error, self._clock(), random.random(), asked=asked)  # noqa: S311 - jitter
        _log.info("fulfilment %s is %s: %s", job.tracking_id, after.status, after.reason)
        try:
            if after.not_before is None:
                return await self._files.end(job, after)
            after = await self._files.replace(job, after, due=after.not_before + SENT)
        except ConflictError:
            _log.warning("fulfilment %s was taken over while it was worked on", job.tracking_id)
            return None
        delay = (after.not_before or self._clock()) - self._clock()
        await self._queue.send(work_on(after), delay=max(delay / timedelta(seconds=1), 0))
        return after

    async def _grant(self, job: Job, answer: ConsumeAnswer) -> Job | None:
        lines = lines_of(job, answer)
        if any(not line.line_id for line in lines):
            _log.warning("the Store did not tell the order line of fulfilment %s", job.tracking_id)
        for pause in (*WRITE_PAUSES, None):
            try:
                granted = await self._granting.grant(job, lines, answer.new_quantity, self._clock())
            except LostClaimError:
                _log.warning("fulfilment %s was taken over before it was granted", job.tracking_id)
                return None
            except UnavailableError:
                if pause is None:
                    raise
                await asyncio.sleep(pause)
            else:
                break
        await self._finish(granted)
        return granted

    async def _finish(self, job: Job) -> None:
        try:
            await self._granting.finish(job)
        except UnavailableError as error:
            _log.warning("what follows from fulfilment %s waits for the next sweep: %s", job.tracking_id, error)


def _named(sandbox: str) -> str | None:
    return None if sandbox == RETAIL else sandbox
