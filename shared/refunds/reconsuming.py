"""Consumes what the Store added back to a player when it reversed a chargeback (reference, section 8).

Each consume is a fulfilment like any other, under a tracking id that follows from the reversal: asked for again, it is
the same one, so that a crash anywhere neither loses it nor carries it out twice.
"""

import uuid
from dataclasses import dataclass

import msgspec

from shared.ledger.kinds import JobStatus
from shared.ledger.ledger import Ledger
from shared.ledger.record import Job, LineRef
from shared.storage.queues import Queue
from shared.store.models.clawback import ClawbackEvent

MOST_CONSUMES = 20
"""Consumes for one reversal, at most: a balance that never ends is none that this could end."""

_NAMESPACE = uuid.UUID("2b3f5a0c-9f0e-4a0f-8a53-6f0f4f1f6f2d")


class ConsumeAgain(msgspec.Struct, rename="camel"):
    """A message of the queue ``fulfillment-jobs``."""

    user_id: str
    tracking_id: str
    product_id: str
    sandbox: str
    quantity: int = 1
    consumable_type: str = "UnmanagedConsumable"
    version: int = 1


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is; ``is_over`` where nothing is left to consume, or to be tried."""

    reason: str
    is_over: bool


class Reconsuming:
    """Consumes until the Store's balance is zero: it shows 1 however many units there are."""

    def __init__(self, ledger: Ledger, jobs: Queue) -> None:
        self._ledger = ledger
        self._jobs = jobs

    async def go_on(self, event: ClawbackEvent, line: LineRef) -> Progress:
        """Ask for the next consume, if the last one has ended and left something.

        :raises UnavailableError: storage is away.
        """
        for number in range(MOST_CONSUMES):
            tracking_id = str(uuid.uuid5(_NAMESPACE, f"{event.id.lower()}|{line.user_id}|{number}"))
            job = await self._ledger.job(line.user_id, tracking_id)
            if job is None:
                await self._jobs.send(ConsumeAgain(line.user_id, tracking_id, line.product_id, event.data.sandbox_id))
                return Progress(f"the unit that the Store added back is consumed again under {tracking_id}", False)
            if job.status is not JobStatus.GRANTED or not job.new_quantity:
                return _last(job)
        return Progress(f"{MOST_CONSUMES} consumes did not empty the Store's balance", True)


def _last(job: Job) -> Progress:
    match job.status:
        case JobStatus.PENDING:
            return Progress(f"the consume {job.tracking_id} is under way", False)
        case JobStatus.STUCK:
            return Progress(f"the consume {job.tracking_id} is stuck: {job.reason}", True)
        case JobStatus.REFUSED:
            return Progress(f"the consume {job.tracking_id} was refused: {job.reason}", True)
    return Progress(f"the consume {job.tracking_id} left nothing to consume", True)
