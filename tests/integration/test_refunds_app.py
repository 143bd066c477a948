"""Refunds in the running app: fetched by the timer, shown to operators alone."""

from typing import Any
from uuid import uuid4

import httpx
import pytest

from local.control import Control
from local.stack import Servers
from shared.refunds.status import RefundStatus
from tests.support.app import App, Storage, problem, started, unique
from tests.support.polling import eventually
from tests.support.refunding import COINS, crafted

OFF = {"PUBLISHER_TENANT_ID": "", "PUBLISHER_CLIENT_ID": ""}


@pytest.fixture
async def front(control: Control, storage: Storage) -> Control:
    """The Store's counter, with the clawback queue of this app: it keeps the address that it was given once."""
    await control.store.connect_clawback(storage.connection_string, queue="clawback-of-the-app")
    await control.store.product(COINS, "Consumable")
    return control


async def fetch(app: App) -> None:
    answer = await app.http.post(f"{app.server.url}/admin/functions/fetch_refunds?wait=true", json={})
    assert answer.status_code == 200, answer.text


async def listed(app: App, **query: Any) -> httpx.Response:
    return await app.http.get("/refunds", params=query, headers=await app.operator())


async def shown(app: App, refund_id: str) -> dict[str, Any]:
    """One event, of all pages."""
    token: dict[str, Any] = {}
    while True:
        answer = await listed(app, pageSize=500, **token)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        for each in page["refunds"]:
            if each["refundId"] == refund_id:
                found: dict[str, Any] = each
                return found
        token = {"continuationToken": page["continuationToken"]}


async def test_a_purchase_is_fulfilled_refunded_and_taken_back(app: App, front: Control) -> None:
    user = unique()
    player = await app.player(user)
    await app.keep(player, "collections", await front.store_id("collections", user))
    order = await front.store.buy(user, COINS, 7)
    body = {"trackingId": str(uuid4()), "productId": COINS, "quantity": 7, "consumableType": "Consumable"}
    accepted = await app.http.post("/users/me/fulfillments", json=body, headers=player)
    assert accepted.status_code == 202, accepted.text

    async def balance() -> list[int]:
        answer = await app.http.get("/users/me/balances", headers=player)
        return [each["quantity"] for each in answer.json()["balances"]]

    await eventually(lambda: _is(balance, [7]))
    (event,) = await front.store.refund(user, order["orderId"])

    await fetch(app)

    assert await balance() == [0]
    refund = await shown(app, event["id"])
    assert (refund["status"], refund["quantity"], refund["userId"]) == ("applied", 7, user)
    assert (refund["orderId"], refund["productId"], refund["state"]) == (order["orderId"], COINS, "Revoked")
    assert "content" not in refund


async def test_events_are_listed_by_status_and_page(app: App, front: Control) -> None:
    events = [crafted(f"order-{uuid4()}", "line-1", eventState="Refunded") for _ in range(5)]
    for event in events:
        await front.store.put_message(event=event)
    await front.store.put_message(text="bm90IGpzb24=")
    await fetch(app)

    found: list[str] = []
    token: dict[str, Any] = {}
    while True:
        answer = await listed(app, status="ignored", pageSize=2, **token)
        assert answer.headers["cache-control"] == "no-store"
        page = answer.json()
        assert 1 <= len(page["refunds"]) <= 2
        assert {each["status"] for each in page["refunds"]} == {"ignored"}
        found += [each["refundId"] for each in page["refunds"]]
        if "continuationToken" not in page:
            break
        token = {"continuationToken": page["continuationToken"]}

    assert {event["id"] for event in events} <= set(found)
    assert len(set(found)) == len(found)
    review = (await listed(app, status="review")).json()["refunds"]
    assert "bm90IGpzb24=" in {each["content"] for each in review}
    everything = (await listed(app, pageSize=500)).json()["refunds"]
    assert everything[0]["status"] == "review"


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ({"status": "done"}, "?status"),
        ({"pageSize": "0"}, "?pageSize"),
        ({"pageSize": "501"}, "?pageSize"),
        ({"continuationToken": "###"}, "?continuationToken"),
        ({"continuationToken": "aWdub3JlZHw", "status": "review"}, "?continuationToken"),
        ({"state": "review"}, "?state"),
    ],
)
async def test_a_query_that_cannot_be_is_refused(app: App, query: dict[str, str], pointer: str) -> None:
    problem(await listed(app, **query), 400, pointer)


async def test_players_do_not_see_refunds(app: App) -> None:
    problem(await app.http.get("/refunds", headers=await app.player()), 403)
    problem(await app.http.get("/refunds"), 401)


async def test_without_the_publishers_half_the_timer_does_nothing(stack: Servers, front: Control) -> None:
    await front.store.put_message(event=crafted("order-1", "line-1", eventState="Refunded"))
    since = await front.last_seen()

    async with started(stack, "no-refunds", OFF) as app:
        await fetch(app)

        assert (await listed(app, status=RefundStatus.REVIEW.value)).status_code == 200
    assert await front.count(path="sastoken$", since=since) == 0


async def test_the_queues_address_is_in_no_log(app: App, front: Control, stack: Servers) -> None:
    await fetch(app)

    log = (stack.folder / "app.log").read_text("utf-8", errors="replace")
    assert "fetch_refunds" in log
    assert "sig=" not in log


async def _is(ask: Any, expected: object) -> bool:
    return bool(await ask() == expected)
