"""How a job is accepted: over HTTP and from the queue alike, whole or not at all, and once for each id.

The job's row and its blocks are written first, and stand for nothing: nobody sees or runs them. The turn is taken last,
and with it the job is accepted. Every step can be repeated, so whoever sends the same job again, after an answer that
never came, has the rest of the steps done and no step done twice.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import msgspec

from shared.clock import Clock, utc_now
from shared.errors import InputFault, StateConflictError, UnavailableError, UnprocessableError
from shared.seats.calls import Stores
from shared.seats.filing import JobFiles
from shared.seats.messages import JOB_ID, TurnMessage
from shared.seats.names import PRODUCT_PART, UserList, check_users
from shared.seats.record import Job, blocks_of, users_a_block
from shared.seats.refusals import told_to_callers
from shared.seats.states import Action, JobStatus
from shared.seats.turns import Turns
from shared.storage.queues import Queue
from shared.storage.transactions import ConflictError
from shared.store.models.business import ProductKey
from shared.tenants import tenant_meant

type FreeSeats = Callable[[str, ProductKey], Awaitable[int | None]]
"""How many seats of a tenant's product were free at the last sync; None: without limit, or not known."""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A job as its sender wants it."""

    job_id: str
    tenant_id: str
    product: ProductKey
    action: Action
    users: UserList


class Intake:
    """Takes jobs."""

    def __init__(
        self,
        tenants: Sequence[str],
        stores: Stores,
        free_seats: FreeSeats,
        files: JobFiles,
        turns: Turns,
        queue: Queue,
        chunk: int,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self._tenants = tenants
        self._stores = stores
        self._free_seats = free_seats
        self._files = files
        self._turns = turns
        self._queue = queue
        self._chunk = chunk
        self._clock = clock

    async def accept(self, request: JobRequest) -> Job:
        """Accept a job, or find that it was accepted before.

        :raises NotFoundError: no such tenant, or the Store knows no such product.
        :raises UnprocessableError: users that cannot be; all that is wrong is named.
        :raises StateConflictError: another job has this id, or the product has no seats (not online).
        :raises BadGatewayError: the Store or Entra refuses us.
        :raises UnavailableError: the Store, Entra, the vault or storage is away; nothing is begun.
        """
        tenant_id = tenant_meant(request.tenant_id, self._tenants, "/tenantId")
        _check_ids(request)
        check_users(request.users)
        digest = _digest(tenant_id, request)
        job = await self._files.find(request.job_id) or await self._created(tenant_id, request, digest)
        if job.digest != digest:
            raise StateConflictError("Another job has this jobId: its content is not the same")
        if job.status is JobStatus.PREPARING:
            await self._files.file_blocks(job.job_id, blocks_of(request.users.names, job.block_users))
            job = await self._queued(job, await self._turns.take(tenant_id, job.product, job.job_id))
        if job.status is JobStatus.QUEUED:
            await self._queue.send(TurnMessage(tenant_id, job.product.product_id, job.product.sku_id))
        return job

    async def _created(self, tenant_id: str, request: JobRequest, digest: str) -> Job:
        store = self._stores(tenant_id)
        with told_to_callers("/productId"):
            # Its answer tells all at once: whether the product is known, has seats, and is ours to manage.
            await anext(store.seats(request.product, page_size=1), None)
        job = Job(
            job_id=request.job_id,
            tenant_id=tenant_id,
            product=request.product,
            action=request.action,
            digest=digest,
            status=JobStatus.PREPARING,
            total=len(request.users.names),
            block_users=users_a_block(self._chunk),
            accepted_on=self._clock(),
            warnings=await self._warnings(tenant_id, request),
        )
        try:
            return await self._files.create(job)
        except ConflictError:
            return await self._held(job.job_id)

    async def _queued(self, job: Job, turn: int) -> Job:
        queued = replace(job, status=JobStatus.QUEUED, turn=turn, accepted_on=self._clock())
        with suppress(ConflictError):
            return await self._files.replace(queued)
        return await self._held(job.job_id)

    async def _held(self, job_id: str) -> Job:
        held = await self._files.find(job_id)
        if held is None:
            raise UnavailableError("storage-tables", "the job is being changed by others", retry_after=1.0)
        return held

    async def _warnings(self, tenant_id: str, request: JobRequest) -> tuple[str, ...]:
        if request.action is not Action.ASSIGN:
            return ()
        free = await self._free_seats(tenant_id, request.product)
        users = len(request.users.names)
        if free is None or free >= users:
            return ()
        return (
            f"{users} users are named and {free} seats were free at the last sync: "
            "users who have no seat yet fail once no more are free",
        )


def _check_ids(request: JobRequest) -> None:
    patterns = {
        "/jobId": (re.compile(JOB_ID), request.job_id),
        "/productId": (PRODUCT_PART, request.product.product_id),
        "/skuId": (PRODUCT_PART, request.product.sku_id),
    }
    faults = [
        InputFault(pointer, "expected 1 to 128 letters, digits, dots, hyphens or underscores; the first no mark")
        for pointer, (pattern, value) in patterns.items()
        if not pattern.fullmatch(value)
    ]
    if faults:
        raise UnprocessableError("The job cannot be accepted as it is", faults=tuple(faults))


def _digest(tenant_id: str, request: JobRequest) -> str:
    content = [
        tenant_id,
        request.product.product_id,
        request.product.sku_id,
        request.action,
        list(request.users.names),
    ]
    return hashlib.sha256(msgspec.json.encode(content)).hexdigest()
