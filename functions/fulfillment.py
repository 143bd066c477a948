"""Fulfilments of consumables, and what players hold of them."""

from datetime import datetime
from urllib.parse import quote

import msgspec

from functions.http.answers import Answer
from functions.http.calls import Call
from functions.http.endpoints import endpoint
from functions.http.sandboxes import SANDBOX, sandbox_of
from functions.parts import parts
from functions.queues import queue_function
from shared.fulfillment.messages import (
    JOBS_QUEUE,
    WORK_QUEUE,
    FulfillmentMessage,
    ProductId,
    Quantity,
    Sandbox,
    TrackingId,
    WorkMessage,
)
from shared.fulfillment.request import Request
from shared.ledger.kinds import ConsumableType, JobStatus
from shared.ledger.record import Job

_LIVE = {"Cache-Control": "no-store"}


class FulfillmentBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A consumable to be fulfilled. ``Consumable`` is store-managed, ``UnmanagedConsumable`` developer-managed.

    Without ``trackingId`` every request is one of its own: send one, and sending it again changes nothing.
    """

    product_id: ProductId
    quantity: Quantity
    consumable_type: ConsumableType
    tracking_id: TrackingId | None = None
    sandbox: Sandbox | None = None


class Fulfillment(msgspec.Struct, rename="camel", omit_defaults=True):
    """A fulfilment and where it stands; ``reason`` says what it waits for, or why it was refused.

    ``newQuantity`` is what the Store said was left of the item when it was consumed.
    """

    tracking_id: str
    product_id: str
    quantity: int
    consumable_type: ConsumableType
    sandbox: str
    status: JobStatus
    accepted_on: datetime
    reason: str | None = None
    new_quantity: int | None = None
    granted_on: datetime | None = None


class PlayerBalance(msgspec.Struct, rename="camel"):
    """What a player holds of a product; below zero where a refund took what had been spent."""

    product_id: str
    quantity: int


class BalanceList(msgspec.Struct):
    """All that a player holds."""

    balances: list[PlayerBalance]


@endpoint(
    body=FulfillmentBody,
    answers={202: Fulfillment},
)
async def create_fulfillment(call: Call) -> Answer:
    """Has a consumable consumed at the Store and granted, exactly once for each trackingId."""
    user_id = call.user_id()
    body = call.body(FulfillmentBody)

    request = Request(user_id, body.tracking_id, body.product_id, body.quantity, body.consumable_type, body.sandbox)
    job = await parts().fulfillment.intake.accept(request)
    named = "me" if call.path("userId") == "me" else quote(user_id, safe="")
    return Answer(202, _shown(job), {"Location": f"/api/users/{named}/fulfillments/{job.tracking_id}"})


@endpoint(
    answers={200: Fulfillment},
)
async def get_fulfillment(call: Call) -> Answer:
    """Where a fulfilment stands, at any time."""
    job = await parts().fulfillment.intake.find(call.user_id(), call.path("trackingId"))
    return Answer(200, _shown(job), _LIVE)


@endpoint(
    answers={200: BalanceList},
    query={"sandbox": SANDBOX},
)
async def list_balances(call: Call) -> Answer:
    """What a player holds, as fulfilments and refunds have left it."""
    balances = await parts().fulfillment.intake.balances(call.user_id(), sandbox_of(call))
    return Answer(200, BalanceList([PlayerBalance(each.product_id, each.quantity) for each in balances]), _LIVE)


@queue_function(JOBS_QUEUE, FulfillmentMessage)
async def take_fulfillment(message: FulfillmentMessage) -> None:
    """Takes a fulfilment that was sent over the queue, and carries it out."""
    await parts().fulfillment.intake.take(message)


@queue_function(WORK_QUEUE, WorkMessage)
async def work_on_fulfillment(message: WorkMessage) -> None:
    """Moves on a fulfilment that was accepted, or that a sweep found."""
    await parts().fulfillment.worker.work(message)


def _shown(job: Job) -> Fulfillment:
    return Fulfillment(
        tracking_id=job.tracking_id,
        product_id=job.product_id,
        quantity=job.quantity,
        consumable_type=job.consumable_type,
        sandbox=job.sandbox,
        status=job.status,
        accepted_on=job.accepted_on.replace(microsecond=0),
        reason=job.reason,
        new_quantity=job.new_quantity,
        granted_on=job.granted_on,
    )
