"""Refunds, chargebacks and reversals: fetched by a timer, and shown."""

from datetime import datetime

import msgspec
from azure.functions import TimerRequest

from functions.http.answers import Answer
from functions.http.calls import Call
from functions.http.endpoints import endpoint
from functions.http.queries import Query
from functions.parts import parts, settings
from functions.timers import timer_function
from shared.correlation import get_logger
from shared.refunds.record import Refund
from shared.refunds.status import RefundStatus

_DEFAULT_PAGE, _MAX_PAGE = 100, 500

_log = get_logger(__name__)


class RefundView(msgspec.Struct, rename="camel", omit_defaults=True):
    """A clawback event and what was done about it.

    ``quantity``: units taken back from the player; below zero, given back. ``content`` is the message as it came, where
    a person is to look at it. ``nextLookOn``: not settled, and matched again then. What follows ``nextLookOn`` is
    missing where the message could not be read.
    """

    refund_id: str
    status: RefundStatus
    reason: str
    quantity: int
    received_on: datetime
    message_id: str
    user_id: str | None = None
    content: str | None = None
    next_look_on: datetime | None = None
    state: str | None = None
    source: str | None = None
    product_id: str | None = None
    product_type: str | None = None
    order_id: str | None = None
    line_item_id: str | None = None
    sandbox: str | None = None
    event_date: str | None = None
    recurrence_id: str | None = None


class RefundList(msgspec.Struct, rename="camel", omit_defaults=True):
    """A page of events, the oldest first."""

    refunds: list[RefundView]
    continuation_token: str | None = None


@endpoint(
    answers={200: RefundList},
    query={
        "status": Query("only events of this status", choices=tuple(RefundStatus)),
        "pageSize": Query(f"events a page; default {_DEFAULT_PAGE}", kind="count", most=_MAX_PAGE),
        "continuationToken": Query("of the page before"),
    },
)
async def list_refunds(call: Call) -> Answer:
    """Clawback events and what was done about each; without a status, those first that want attention."""
    named, token = call.query.text("status"), call.query.text("continuationToken")
    status = RefundStatus(named) if named else None
    page = await parts().refunds.listing.page(status, call.query.count("pageSize", _DEFAULT_PAGE), token)
    shown = [_shown(refund) for refund in page.refunds]
    return Answer(200, RefundList(shown, page.continuation_token), {"Cache-Control": "no-store"})


@timer_function
async def fetch_refunds(timer: TimerRequest) -> None:
    """Reads the Store's queue of clawback events once through, and looks again at what waits."""
    if settings().publisher is None:
        return
    tally = await parts().refunds.running.run()
    _log.info("refunds: %s%s", tally or "another run is at it", " (late)" if timer.past_due else "")


def _shown(refund: Refund) -> RefundView:
    view = RefundView(
        refund_id=refund.event_id,
        status=refund.status,
        reason=refund.reason,
        quantity=refund.quantity,
        received_on=refund.received_on,
        message_id=refund.message_id,
        user_id=refund.user_id,
        content=refund.content if refund.status is RefundStatus.REVIEW else None,
        next_look_on=refund.due_on,
    )
    event = refund.event
    if event is None:
        return view
    data, recurrence = event.data, event.data.recurrence_data
    return msgspec.structs.replace(
        view,
        state=event.data.event_state,
        source=event.source,
        product_id=data.product_id,
        product_type=data.product_type,
        order_id=data.order_id,
        line_item_id=data.line_item_id,
        sandbox=data.sandbox_id,
        event_date=data.event_date,
        recurrence_id=recurrence.recurrence_id if recurrence else None,
    )
