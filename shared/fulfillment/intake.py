"""A request becomes a fulfilment: over HTTP and from the queue alike, once for each tracking id.

The row is written before the Store is asked for anything, with every value of the call and, in the same transaction,
what has it swept. A message only makes it quick.
"""

from dataclasses import replace
from datetime import datetime

from shared.auth.tokens import StoreIdKind
from shared.clock import Clock, utc_now
from shared.correlation import get_logger
from shared.errors import InputFault, NotFoundError, StateConflictError, UnavailableError, UnprocessableError
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


class Intake:
    """Takes requests, and tells what became of them."""

    def __init__(self, files: Files, keys: KeyFiles, worker: Worker, queue: Queue, *, clock: Clock = utc_now) -> None:
        self._files = files
        self._keys = keys
        self._worker = worker
        self._queue = queue
        self._clock = clock

    async def accept(self, request: Request) -> Job:
        """Take a request over HTTP. Asked for again it is as it stands; one that is stuck is tried again at once.

        :raises UnprocessableError: it cannot be fulfilled as it is.
        :raises StateConflictError: its tracking id stands for another request, or the player has no collections key.
        :raises UnavailableError: storage is away.
        """
        now = self._clock()
        job = new_job(request, now)
        has_key = await self._has_key(job.user_id, now)
        known = None if has_key else await self._files.job(job.user_id, job.tracking_id)
        if known is None:
            if not has_key:
                raise NoKeyError(StoreIdKind.COLLECTIONS)
            try:
                job = await self._files.create(job, now + SENT)
            except ConflictError:
                known = await self.find(job.user_id, job.tracking_id)
        if known:
            if not known.asks_the_same(job):
                raise _another(known, job)
            if not (has_key and _can_be_hurried(known)):
                return known
            job = await self._hurried(known, now)
        try:
            await self._queue.send(work_on(job))
        except UnavailableError as error:
            _log.warning("fulfilment %s waits for the next sweep: %s", job.tracking_id, error)
        return job

    async def take(self, message: FulfillmentMessage) -> None:
        """Take a request from the queue, and carry it out. Without a key of the player it waits, as ``stuck``.

        :raises GivenUpError: it cannot be fulfilled as it is, or its tracking id stands for another request.
        :raises UnavailableError: storage is away.
        """
        now = self._clock()
        request = Request(
            message.user_id,
            message.tracking_id,
            message.product_id,
            message.quantity,
            message.consumable_type,
            message.sandbox,
        )
        try:
            job = self._worker.claimed(new_job(request, now))
        except UnprocessableError as error:
            raise GivenUpError(error.detail) from error
        try:
            created = await self._files.create(job, now + CLAIM)
        except ConflictError:
            await self._take_again(job)
            return
        await self._carry_out(created)

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

    async def _take_again(self, job: Job) -> None:
        known = await self.find(job.user_id, job.tracking_id)
        if not known.asks_the_same(job):
            raise GivenUpError(_another(known, job).detail)
        if known.claim == job.claim:
            # Storage had written the row, and its answer was lost.
            await self._carry_out(known)
        else:
            await self._worker.advance(known)

    async def _carry_out(self, job: Job) -> None:
        try:
            await self._worker.carry_out(job)
        except UnavailableError as error:
            _log.warning("fulfilment %s waits for the next sweep: %s", job.tracking_id, error)

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


def _another(known: Job, job: Job) -> StateConflictError:
    """The error that says in what the request under this tracking id was another one."""
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
    return StateConflictError(f"The tracking id {job.tracking_id} stands for another request: {names}", faults=faults)
