"""A request becomes a fulfilment: over HTTP and from the queue alike, once for each tracking id.

The row is written before the Store is asked for anything, with every value of the call and, in the same transaction,
what has it swept. Whoever writes it has claimed it, and goes on at once; a message is put only where a process has its
hands full.
"""

import asyncio
from dataclasses import replace
from datetime import datetime

from shared.auth.tokens import StoreIdKind
from shared.clock import Clock, utc_now
from shared.correlation import get_logger
from shared.errors import InputFault, NotFoundError, StateConflictError, UnavailableError, UnprocessableError
from shared.fulfillment.in_hand import AT_ONCE, InHand
from shared.fulfillment.messages import FulfillmentMessage, work_on
from shared.fulfillment.request import Request, is_tracking_id, new_job
from shared.fulfillment.schedule import CLAIM, MAX_REFUSALS, SENT
from shared.fulfillment.work import Worker
from shared.keys.current import NoKeyError
from shared.keys.filing import Files as KeyFiles
from shared.keys.status import Status
from shared.ledger.filing import Files
from shared.ledger.kinds import RETAIL, JobStatus
from shared.ledger.record import Balance, Job
from shared.messages import GivenUpError
from shared.storage.queues import Queue
from shared.storage.transactions import ConflictError

_log = get_logger(__name__)


HURRIED = 50
"""Stuck fulfilments that a new key has tried at once; the game waits for that. The sweep has the others' turn come."""

PUT_BACK_FOR = 10.0
"""Seconds before a message is seen again that found the tables away."""


class Intake:
    """Takes requests, and tells what became of them. ``jobs`` is the queue that they come by, ``work`` our own."""

    def __init__(
        self,
        files: Files,
        keys: KeyFiles,
        worker: Worker,
        work: Queue,
        jobs: Queue,
        *,
        clock: Clock = utc_now,
        at_once: int = AT_ONCE,
    ) -> None:
        self._files = files
        self._keys = keys
        self._worker = worker
        self._work = work
        self._jobs = jobs
        self._clock = clock
        self._in_hand = InHand(worker, at_once)

    async def accept(self, request: Request) -> Job:
        """Take a request over HTTP. A new one is carried out here and now, as far as that goes in a second.

        Asked for again it is as it stands; one that is stuck is tried again at once.

        :raises UnprocessableError: it cannot be fulfilled as it is.
        :raises StateConflictError: its tracking id stands for another request, or the player has no collections key.
        :raises UnavailableError: storage is away.
        """
        now = self._clock()
        job = new_job(request, now)
        has_key = await self._has_key(job.user_id, now)
        if has_key:
            return await self._filed(job, now)
        known = await self._files.job(job.user_id, job.tracking_id)
        if known is None:
            raise NoKeyError(StoreIdKind.COLLECTIONS)
        return _same(known, job)

    async def take(self, message: FulfillmentMessage) -> None:
        """Take a request from the queue, and carry it out. Without a key of the player it waits, as ``stuck``.

        While the tables are away it is put back, and not given up however long that is.

        :raises GivenUpError: it cannot be fulfilled as it is, or its tracking id stands for another request.
        :raises UnavailableError: the queues are away as well.
        """
        try:
            await self._taken(message)
        except UnavailableError as error:
            _log.warning("fulfilment %s is offered again later: %s", message.tracking_id, error)
            await self._jobs.send(message, delay=PUT_BACK_FOR)
        except (UnprocessableError, StateConflictError) as error:
            raise GivenUpError(error.detail) from error

    async def hurry(self, user_id: str) -> None:
        """Have tried at once what is stuck, now that the player has a key: :data:`HURRIED` fulfilments at the most.

        :raises UnavailableError: storage is away; it is tried when its time has come.
        """
        await asyncio.gather(*(self._hurry(user_id, each) for each in await self._files.stuck(user_id, HURRIED)))

    async def _hurry(self, user_id: str, tracking_id: str) -> None:
        job = await self.find(user_id, tracking_id)
        if _can_be_hurried(job):
            await self._work.send(work_on(await self._hurried(job, self._clock())))

    async def find(self, user_id: str, tracking_id: str) -> Job:
        """A fulfilment.

        :raises NotFoundError: there is none.
        """
        known = await self._files.job(user_id, tracking_id.lower()) if is_tracking_id(tracking_id) else None
        if known is None:
            raise NotFoundError("No such fulfilment")
        return known

    async def balances(self, user_id: str, sandbox: str | None) -> list[Balance]:
        """What a player holds in a sandbox, by product id."""
        return await self._files.balances(user_id, sandbox or RETAIL)

    async def _filed(self, job: Job, now: datetime) -> Job:
        """A request of a player with a key, as it stands once somebody sees to it."""
        mine, is_new = self._in_hand.reserve(), False
        try:
            if mine:
                filed, is_new = await self._create(self._worker.claimed(job), now + CLAIM)
            else:
                filed, is_new = await self._create(job, now + SENT)
        finally:
            if mine and not is_new:
                self._in_hand.release()
        if is_new and mine:
            return await self._in_hand.carry_out(filed)
        if not is_new:
            _same(filed, job)
            if not _can_be_hurried(filed):
                return filed
            filed = await self._hurried(filed, now)
        try:
            await self._work.send(work_on(filed))
        except UnavailableError as error:
            _log.warning("fulfilment %s waits for the next sweep: %s", job.tracking_id, error)
        return filed

    async def _taken(self, message: FulfillmentMessage) -> None:
        now = self._clock()
        request = Request(
            message.user_id,
            message.tracking_id,
            message.product_id,
            message.quantity,
            message.consumable_type,
            message.sandbox,
        )
        job = self._worker.claimed(new_job(request, now))
        filed, is_new = await self._create(job, now + CLAIM)
        if not is_new:
            await self._worker.advance(_same(filed, job))
            return
        try:
            await self._worker.carry_out(filed)
        except UnavailableError as error:
            _log.warning("fulfilment %s waits for the next sweep: %s", filed.tracking_id, error)

    async def _create(self, job: Job, due: datetime) -> tuple[Job, bool]:
        """The fulfilment of this id, and whether it is ours: storage may have written it, and its answer was lost."""
        try:
            return await self._files.create(job, due), True
        except ConflictError:
            known = await self.find(job.user_id, job.tracking_id)
            return known, job.claim is not None and known.claim == job.claim

    async def _hurried(self, job: Job, now: datetime) -> Job:
        try:
            return await self._files.replace(job, replace(job, not_before=None), due=now + SENT)
        except ConflictError:
            return await self.find(job.user_id, job.tracking_id)

    async def _has_key(self, user_id: str, now: datetime) -> bool:
        record = await self._keys.find(user_id)
        key = record.keys.get(StoreIdKind.COLLECTIONS) if record else None
        return key is not None and key.status_at(now) is Status.ACTIVE


def _can_be_hurried(job: Job) -> bool:
    """Whether it is stuck and waits. To change it while a worker has it would take the worker's claim from it."""
    return job.status is JobStatus.STUCK and job.not_before is not None and job.refusals < MAX_REFUSALS


def _same(known: Job, job: Job) -> Job:
    """The fulfilment that is known, if it is of the same request.

    :raises StateConflictError: it is not; says in what.
    """
    if known.asks_the_same(job):
        return known
    values = (
        ("productId", known.product_id, job.product_id),
        ("quantity", known.quantity, job.quantity),
        ("consumableType", known.consumable_type, job.consumable_type),
        ("sandbox", known.sandbox, job.sandbox),
    )
    faults = tuple(
        InputFault(f"/{name}", f"was {was} when this id was accepted") for name, was, is_ in values if was != is_
    )
    names = ", ".join(fault.pointer.removeprefix("/") for fault in faults)
    raise StateConflictError(f"The tracking id {job.tracking_id} stands for another request: {names}", faults=faults)
