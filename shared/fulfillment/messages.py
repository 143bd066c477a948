"""The queues over which fulfilments come in and are carried out."""

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from shared.ledger.kinds import ConsumableType

if TYPE_CHECKING:
    from shared.ledger.record import Job

JOBS_QUEUE = "fulfillment-jobs"
WORK_QUEUE = "fulfillment-work"

MAX_QUANTITY = 2**31 - 1
TRACKING_ID = r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$(?!\n)"

type TrackingId = Annotated[str, msgspec.Meta(pattern=TRACKING_ID)]
type ProductId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$(?!\n)")]
type Quantity = Annotated[int, msgspec.Meta(ge=1, le=MAX_QUANTITY)]
type Sandbox = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$(?!\n)")]


class FulfillmentMessage(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A consumable of a player that is to be fulfilled. Without ``sandbox`` it is ``RETAIL``.

    The tracking id is the sender's, and stands for this request for ever: sent again, it changes nothing.
    """

    version: int
    user_id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    tracking_id: TrackingId
    product_id: ProductId
    quantity: Quantity
    consumable_type: ConsumableType
    sandbox: Sandbox | None = None


class WorkMessage(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A fulfilment is to be worked on.

    ``row`` is what it was when the message was put, and ``etag`` its version: who acts on that needs not read it.
    """

    user_id: str
    tracking_id: str
    row: dict[str, Any] | None = None
    etag: str | None = None
    version: int = 1

    def job(self) -> "Job | None":
        """The fulfilment as it was; None where the message does not say."""
        from shared.ledger.record import job_from  # noqa: PLC0415 - with the first message, not with the app

        return job_from(self.row, self.etag) if self.row and self.etag else None


def work_on(job: "Job") -> WorkMessage:
    """The message for a fulfilment that has just been written; one that is over is read when it comes to it."""
    from shared.ledger.record import to_properties  # noqa: PLC0415 - with the first message, not with the app

    if job.status.is_over:
        return WorkMessage(job.user_id, job.tracking_id)
    return WorkMessage(job.user_id, job.tracking_id, to_properties(job), job.etag)
