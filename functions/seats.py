"""Seats: jobs for many users, their results, and the seats that there are."""

from uuid import uuid4

import msgspec

from functions.http.answers import Answer
from functions.http.calls import Call
from functions.http.endpoints import endpoint
from functions.http.queries import Query
from functions.http.tenants import TENANT, tenant_named, tenant_of
from functions.parts import parts
from functions.queues import queue_function
from functions.seat_shapes import (
    Seat,
    SeatJob,
    SeatList,
    SeatResultPage,
    job_shown,
    result_row,
    result_shown,
    seat_shown,
)
from shared.errors import BadRequestError, InputFault, PayloadTooLargeError
from shared.seats.intake import JobRequest
from shared.seats.messages import BLOCKS_QUEUE, JOBS_QUEUE, TURNS_QUEUE, BlockMessage, SeatJobMessage, TurnMessage
from shared.seats.names import UserList, in_json
from shared.seats.sheets import MAX_BYTES, MEDIA_TYPE, read_users, write
from shared.seats.states import Action, UserStatus
from shared.store.models.business import ProductKey

_STATUS = Query("only users of this status", choices=tuple(UserStatus))
_DEFAULT_PAGE, _MAX_PAGE = 1000, 5000


class SeatJobBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A job: 1 to 100,000 users. Without ``jobId`` every request is a job of its own."""

    product_id: str
    sku_id: str
    action: Action
    users: list[str]
    job_id: str | None = None
    tenant_id: str | None = None


@endpoint(
    body=(SeatJobBody, MEDIA_TYPE),
    answers={202: SeatJob},
    query={
        "jobId": Query("CSV only: the job's id"),
        "tenantId": Query("CSV only: the tenant; optional where one is configured"),
        "productId": Query("CSV only: the product"),
        "skuId": Query("CSV only: the product's SKU"),
        "action": Query("CSV only: what to do", choices=tuple(Action)),
    },
)
async def create_seat_job(call: Call) -> Answer:
    """Assigns or reclaims seats of many users. The same jobId with the same content is the same job."""
    job = await parts().seats.intake.accept(_requested(call))
    state = await parts().seats.results.state(job.job_id)
    return Answer(202, job_shown(state), {"Location": f"/api/seat-jobs/{job.job_id}"})


@endpoint(answers={200: SeatJob})
async def get_seat_job(call: Call) -> Answer:
    """Where a job stands, at any time."""
    return Answer(200, job_shown(await parts().seats.results.state(call.path("jobId"))), _LIVE)


@endpoint(
    answers={200: (SeatResultPage, MEDIA_TYPE)},
    query={
        "status": _STATUS,
        "pageSize": Query(f"results a page; default {_DEFAULT_PAGE}", kind="count", most=_MAX_PAGE),
        "continuationToken": Query("of the page before"),
    },
)
async def list_seat_job_results(call: Call) -> Answer:
    """What became of each user: pages of JSON, or all of it as CSV (``Accept: text/csv``)."""
    job_id, results = call.path("jobId"), parts().seats.results
    named = call.query.text("status")
    status = UserStatus(named) if named else None
    if call.prefers(MEDIA_TYPE):
        rows = await results.all(job_id, status)
        sheet = write(["userName", "status", "reason", "mayInstall"], (result_row(row) for row in rows))
        return Answer(200, sheet, _LIVE, f"{MEDIA_TYPE}; charset=utf-8")
    size, token = call.query.count("pageSize", _DEFAULT_PAGE), call.query.text("continuationToken")
    page = await results.page(job_id, status, size, token)
    shown = [result_shown(result) for result in page.results]
    return Answer(200, SeatResultPage(job_id, shown, page.continuation_token), _LIVE)


@endpoint(
    answers={200: SeatList},
    query={"tenantId": TENANT},
)
async def list_product_seats(call: Call) -> Answer:
    """All seats of a product, live from the Store."""
    seats = await parts().seats.live.of_product(tenant_of(call), _product(call))
    return Answer(200, SeatList([seat_shown(each) for each in seats]), _LIVE)


@endpoint(
    answers={200: Seat},
    query={"tenantId": TENANT},
)
async def get_seat(call: Call) -> Answer:
    """A user's seat of a product, live from the Store: whether the user may install."""
    user = call.path("user").replace("%2F", "/").replace("%2f", "/")
    return Answer(200, seat_shown(await parts().seats.live.one(tenant_of(call), _product(call), user)), _LIVE)


@endpoint(
    answers={200: SeatList},
    query={"user": Query("the user's UPN", required=True), "tenantId": TENANT},
)
async def list_user_seats(call: Call) -> Answer:
    """All seats of a user, live from the Store."""
    seats = await parts().seats.live.of_user(tenant_of(call), call.query.needed("user"))
    return Answer(200, SeatList([seat_shown(each) for each in seats]), _LIVE)


@queue_function(JOBS_QUEUE, SeatJobMessage)
async def take_seat_job(message: SeatJobMessage) -> None:
    """Accepts a job that was sent over the queue."""
    await parts().seats.post.take(message)


@queue_function(TURNS_QUEUE, TurnMessage)
async def advance_seat_jobs(message: TurnMessage) -> None:
    """Moves on the job of a product whose turn it is."""
    await parts().seats.course.advance(message.tenant_id, ProductKey(message.product_id, message.sku_id))


@queue_function(BLOCKS_QUEUE, BlockMessage)
async def change_seats(message: BlockMessage) -> None:
    """Deals with one block of a job's users."""
    await parts().seats.course.work(message.job_id, message.number)


_LIVE = {"Cache-Control": "no-store"}


def _requested(call: Call) -> JobRequest:
    """The job of a request, from JSON or from CSV with the rest in the query."""
    media_type = call.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != MEDIA_TYPE:
        if call.query.values:
            faults = tuple(InputFault(f"?{name}", "belongs into the JSON body") for name in call.query.values)
            raise BadRequestError("The query says what the body is to say", faults=faults)
        body = call.body(SeatJobBody, limit=MAX_BYTES)
        product = ProductKey(body.product_id, body.sku_id)
        tenant_id = tenant_named(body.tenant_id, "/tenantId")
        return JobRequest(body.job_id or str(uuid4()), tenant_id, product, body.action, in_json(body.users))
    needed = {name: call.query.text(name) for name in ("productId", "skuId", "action")}
    if faults := tuple(InputFault(f"?{name}", "is required") for name, value in needed.items() if not value):
        raise BadRequestError("The query does not name the job", faults=faults)
    product = ProductKey(call.query.needed("productId"), call.query.needed("skuId"))
    job_id = call.query.text("jobId") or str(uuid4())
    action = Action(call.query.needed("action"))
    return JobRequest(job_id, tenant_of(call), product, action, _listed(call))


def _listed(call: Call) -> UserList:
    content = call.request.get_body()
    if len(content) > MAX_BYTES:
        detail = f"The body has {len(content)} bytes; at most {MAX_BYTES} are accepted"
        raise PayloadTooLargeError(detail, faults=(InputFault("", detail),))
    return read_users(content)


def _product(call: Call) -> ProductKey:
    return ProductKey(call.path("productId"), call.path("skuId"))
