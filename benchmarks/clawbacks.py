"""Clawback events of the kinds that occur, and the grants that they are about."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable, Iterable
from itertools import batched
from typing import Any

from shared.clock import utc_now
from shared.ledger.filing import HeldBalance, balance_write, job_row
from shared.ledger.kinds import RETAIL, JobStatus
from shared.ledger.record import Job, Line, shard_of
from shared.storage.transactions import MAX_OPERATIONS, Operation
from shared.wiring import Wiring

MIX = {"refund": 45, "chargeback": 5, "reversal": 5, "unmatched": 15, "game": 15, "kept": 5, "duplicate": 10}
"""Of 100 events: refunds and chargebacks of what was consumed, reversals of those chargebacks, refunds of what nobody
consumed here, of games, of what the player keeps, and refunds that come a second time."""

CONNECTIONS = 16
"""Connections of whoever prepares, and of the bare loop."""

PRODUCT, GAME, QUANTITY = "9NCOINS00001", "9NGAME000001", 5

type Event = dict[str, Any]


def storm(count: int) -> tuple[list[Event], list[Job]]:
    """The events in an order of their own, and the fulfilments that they are about."""
    events: list[Event] = []
    jobs: list[Job] = []
    number = {kind: count * share // 100 for kind, share in MIX.items()}
    for _ in range(number["refund"]):
        jobs.append(new_job())
        events.append(refund_of(jobs[-1]))
    events += events[: number["duplicate"]]
    for place in range(number["chargeback"]):
        jobs.append(new_job())
        events.append(refund_of(jobs[-1], source="/Purchase/Chargeback"))
        if place < number["reversal"]:
            events.append(refund_of(jobs[-1], source="/Purchase/Chargeback", eventState="ChargebackReversal"))
    events += [refund_of(new_job()) for _ in range(number["unmatched"])]
    events += [refund_of(new_job(), productId=GAME, productType="Game") for _ in range(number["game"])]
    events += [refund_of(new_job(), eventState="Refunded") for _ in range(number["kept"])]
    random.Random(count).shuffle(events)
    return events, jobs


def new_job() -> Job:
    """A fulfilment that took all of a purchase, by a player of its own."""
    line = Line(str(uuid.uuid4()), str(uuid.uuid4()), QUANTITY)
    return Job(
        user_id=f"player-{uuid.uuid4()}",
        tracking_id=str(uuid.uuid4()),
        product_id=PRODUCT,
        quantity=QUANTITY,
        consumable_type="Consumable",
        sandbox=RETAIL,
        accepted_on=utc_now(),
        status=JobStatus.GRANTED,
        lines=(line,),
        new_quantity=0,
        granted=QUANTITY,
        balance=QUANTITY,
        granted_on=utc_now(),
    )


def refund_of(job: Job, *, source: str = "/Purchase/Refund", **changes: str) -> Event:
    (line,) = job.lines
    data = {
        "lineItemId": line.line_id,
        "orderId": line.order_id,
        "productId": job.product_id,
        "productType": "Consumable",
        "eventState": "Revoked",
        "sandboxId": RETAIL,
    }
    return {"id": str(uuid.uuid4()), "source": source, "type": "ClawbackEventContractV2", "data": data | changes}


async def grant(parts: Wiring, jobs: list[Job]) -> None:
    """Write the fulfilments as granting leaves them: in the books of their players, and in the order lines' index."""
    ledger = parts.fulfillment.ledger
    shards: dict[str, list[Operation]] = {}
    for job in jobs:
        written = [Operation("create", job_row(job)), balance_write(job, HeldBalance(), QUANTITY)]
        shards.setdefault(shard_of(job.user_id), []).extend(written)
    for operations in shards.values():
        for batch in batched(operations, MAX_OPERATIONS, strict=False):
            await ledger.files.commit(batch)
    index = ledger._order_lines  # noqa: SLF001 - the same part that the app uses
    await side_by_side(index.put, [{"job": job} for job in jobs])


async def side_by_side(call: Callable[..., Awaitable[object]], calls: Iterable[dict[str, Any]]) -> None:
    waiting = iter(calls)

    async def caller() -> None:
        for options in waiting:
            await call(**options)

    await asyncio.gather(*(caller() for _ in range(CONNECTIONS)))
