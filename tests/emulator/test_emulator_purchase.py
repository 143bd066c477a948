"""Purchase: free products, subscriptions, orders."""

import uuid
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.emulator.market import Market, inner, opened
from tests.emulator.world import World, fixture, shape

GRANT = "/v7.0/purchases/grant"
RECURRENCES = "/v8.0/b2b/recurrences/query"
ORDERS = "/v8.0/b2b/orders/query"

pytestmark = pytest.mark.usefixtures("store_as_at_first")


@pytest.fixture(scope="module")
async def market(world: World) -> AsyncIterator[Market]:
    async with opened(world) as market:
        store = market.store
        await store.product("GEMS", "Consumable")
        await store.product("POTION", "UnmanagedConsumable")
        await store.product("LEVELS", "Durable", contains={"GEMS": 3})
        await store.product("GIFT", "Durable", price=0, title="Welcome gift")
        await store.product("FREE-GEMS", "Consumable", price=0)
        await store.product("DEV-GIFT", "Durable", price=0, sandbox="XDKS.1")
        await store.product("PASS", "Pass", skuId="0002", days=30)
        await store.product("DEV-PASS", "Pass", sandbox="XDKS.1")
        yield market


def grant_of(product_id: object = "GIFT", **changes: object) -> dict[str, object]:
    """A right grant but for what the test changes; ``None`` leaves a field out."""
    body: dict[str, object] = {
        "availabilityId": "9RTEXAMPLE01",
        "productId": product_id,
        "skuId": "0010",
        "language": "en-us",
        "market": "us",
        "orderId": str(uuid.uuid4()),
    }
    return {name: value for name, value in (body | changes).items() if value is not None}


# Free products


@pytest.mark.parametrize("version", ["v6.0", "v7.0"])
async def test_a_free_product_is_granted(market: Market, player: str, version: str) -> None:
    body = grant_of(devOfferId="welcome-gift", quantity=1)

    answer = await market.purchase(player, f"/{version}/purchases/grant", **body)

    assert answer.status_code == 200, answer.text
    order = answer.json()
    assert shape(order) == shape(fixture("grant-v6-response"))
    assert (order["orderId"], order["orderState"]) == (body["orderId"], "Purchased")
    assert order["clientContext"] == {"client": market.world.client_id}
    [line] = order["orderLineItems"]
    assert (line["productId"], line["fulfillmentState"], line["title"]) == ("GIFT", "Fulfilled", "Welcome gift")
    assert (await market.item(player, "GIFT"))["transactionId"] == body["orderId"]


async def test_an_order_id_is_carried_out_once(market: Market, player: str) -> None:
    body = grant_of("FREE-GEMS")

    first = await market.purchase(player, GRANT, **body)
    again = await market.purchase(player, GRANT, **body)

    assert (again.status_code, again.json()) == (200, first.json())
    assert (await market.item(player, "FREE-GEMS"))["quantity"] == 1


async def test_an_order_id_is_the_users_own(market: Market, player: str) -> None:
    body = grant_of("FREE-GEMS")
    for name in (player, f"{player}-2"):
        assert (await market.purchase(name, GRANT, **body)).status_code == 200
        assert (await market.item(name, "FREE-GEMS"))["quantity"] == 1


async def test_v7_knows_sandboxes_and_v6_does_not(market: Market, player: str) -> None:
    assert (await market.purchase(player, GRANT, **grant_of("DEV-GIFT", sbx="XDKS.1"))).status_code == 200
    assert (await market.item(player, "DEV-GIFT", sbx="XDKS.1"))["status"] == "Active"

    answer = await market.purchase(player, "/v6.0/purchases/grant", **grant_of("DEV-GIFT", sbx="XDKS.1"))
    assert inner(answer) == (400, "InvalidParameter")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        *(({name: None}, name) for name in ("availabilityId", "productId", "skuId", "language", "market", "orderId")),
        ({"orderId": "1"}, "orderId"),
        ({"quantity": 2}, "quantity"),
        ({"productId": "GEMS"}, "productId"),
        ({"productId": "NOWHERE"}, "productId"),
        ({"productId": "DEV-GIFT"}, "productId"),
        ({"skuId": "0099"}, "skuId"),
        ({"b2bKey": ""}, "b2bKey"),
    ],
)
async def test_a_wrong_grant_is_told_its_field(
    market: Market, player: str, change: dict[str, object], named: str
) -> None:
    answer = await market.purchase(player, GRANT, **grant_of(**change))

    assert inner(answer) == (400, "InvalidParameter")
    assert shape(answer.json()) == shape(fixture("error-400-invalid-parameter"))
    assert answer.json()["innererror"]["details"][0]["target"] == named


async def test_the_id_of_a_purchase_and_what_is_owned_are_not_granted(market: Market, player: str) -> None:
    bought = await market.store.buy(player, "GEMS")
    await market.purchase(player, GRANT, **grant_of())

    assert inner(await market.purchase(player, GRANT, **grant_of(orderId=bought["orderId"]))) == (
        400,
        "InvalidParameter",
    )
    assert inner(await market.purchase(player, GRANT, **grant_of())) == (409, "EmulatorNotGranted")


async def test_a_collections_key_is_not_for_purchase(market: Market, player: str) -> None:
    key = await market.key(player, "collections")

    answer = await market.post("/purchase" + RECURRENCES, {"b2bKey": key})

    assert inner(answer) == (401, "AuthenticationTokenInvalid")


# Subscriptions


async def recurrences(market: Market, player: str, **more: object) -> list[dict[str, Any]]:
    answer = await market.purchase(player, RECURRENCES, **more)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def change(market: Market, player: str, recurrence_id: str, kind: str, **more: object) -> dict[str, Any]:
    answer = await market.purchase(player, f"/v8.0/b2b/recurrences/{recurrence_id}/change", changeType=kind, **more)
    assert answer.status_code == 200, answer.text
    changed: dict[str, Any] = answer.json()
    return changed


def moment(item: dict[str, Any], name: str = "expirationTime") -> datetime:
    return datetime.fromisoformat(item[name])


async def test_a_subscription_has_the_published_shape(market: Market, player: str) -> None:
    subscription = await market.store.subscribe(player, "PASS")

    [item] = await recurrences(market, player)

    assert shape(item) == shape(fixture("recurrence-query-response")["items"][0])
    assert (item["id"], item["recurrenceState"], item["autoRenew"]) == (subscription["id"], "Active", True)
    assert (item["beneficiary"], item["skuId"]) == (f"pub:{player}", "0002")
    assert moment(item) - moment(item, "startTime") == timedelta(days=30)
    assert moment(item, "expirationTimeWithGrace") - moment(item) == timedelta(days=14)
    assert moment(await market.item(player, "PASS"), "endDate") == moment(item)


async def test_subscriptions_come_in_pages(market: Market, player: str) -> None:
    for _ in range(3):
        await market.store.end((await market.store.subscribe(player, "PASS"))["id"], "Inactive")
    current = await market.store.subscribe(player, "PASS")

    first = (await market.purchase(player, RECURRENCES, pageSize="3")).json()
    second = (
        await market.purchase(player, RECURRENCES, pageSize=3, continuationToken=first["continuationToken"])
    ).json()

    assert [item["recurrenceState"] for item in first["items"]] == ["Inactive"] * 3
    assert [item["id"] for item in second["items"]] == [current["id"]]
    assert "continuationToken" not in second


async def test_a_page_has_25_subscriptions(market: Market, player: str) -> None:
    for _ in range(26):
        await market.store.end((await market.store.subscribe(player, "PASS"))["id"], "Inactive")

    assert len(await recurrences(market, player)) == 25


async def test_subscriptions_of_sandboxes_are_apart(market: Market, player: str) -> None:
    await market.store.subscribe(player, "PASS", sandbox="XDKS.1")

    assert await recurrences(market, player) == []
    assert len(await recurrences(market, player, sbx="XDKS.1")) == 1


@pytest.mark.parametrize(("days", "sent"), [(5, 5), (5, "5"), (-3, -3), (-3, "-3")])
async def test_extend(market: Market, player: str, days: int, sent: object) -> None:
    subscription = await market.store.subscribe(player, "PASS")
    [before] = await recurrences(market, player)

    changed = await change(market, player, subscription["id"], "Extend", extensionTimeInDays=sent)

    assert shape(changed) == shape(fixture("recurrence-change-response-single"))
    assert moment(changed) - moment(before) == timedelta(days=days)
    assert moment(changed, "expirationTimeWithGrace") - moment(changed) == timedelta(days=14)
    assert changed["lastModified"] > before["lastModified"]


async def test_extend_is_carried_out_as_often_as_it_is_sent(market: Market, player: str) -> None:
    subscription = await market.store.subscribe(player, "PASS")
    first = await change(market, player, subscription["id"], "Extend", extensionTimeInDays=5)

    second = await change(market, player, subscription["id"], "Extend", extensionTimeInDays=5)

    assert moment(second) - moment(first) == timedelta(days=5)


async def test_cancel_ends_it(market: Market, player: str) -> None:
    subscription = await market.store.subscribe(player, "PASS")

    changed = await change(market, player, subscription["id"], "Cancel", extensionTimeInDays=0)

    assert shape(changed) == shape(fixture("recurrence-query-response")["items"][1])
    assert (changed["recurrenceState"], changed["autoRenew"]) == ("Canceled", False)
    assert changed["expirationTime"] == changed["cancellationDate"]
    assert (await market.item(player, "PASS"))["status"] == "Expired"


async def test_cancel_may_keep_the_time_that_was_paid(market: Market, player: str) -> None:
    await market.store.set(cancel="keepsPaidTime")
    subscription = await market.store.subscribe(player, "PASS")

    changed = await change(market, player, subscription["id"], "cancel")

    assert (changed["recurrenceState"], changed["autoRenew"]) == ("Active", False)
    assert changed["expirationTime"] == subscription["expiration"]


async def test_toggle_only_switches_off(market: Market, player: str) -> None:
    subscription = await market.store.subscribe(player, "PASS")

    once = await change(market, player, subscription["id"], "ToggleAutoRenew")
    twice = await change(market, player, subscription["id"], "ToggleAutoRenew")

    assert (once["autoRenew"], once["recurrenceState"]) == (False, "Active")
    assert twice == once


async def test_refund_ends_it_and_makes_an_event(market: Market, player: str) -> None:
    subscription = await market.store.subscribe(player, "PASS")

    changed = await change(market, player, subscription["id"], "Refund")

    assert changed["recurrenceState"] == "Canceled"
    assert (await market.item(player, "PASS"))["status"] == "Revoked"
    [event] = [event for event in await market.store.events() if subscription["id"] in str(event)]
    assert event["data"]["recurrenceData"]["refundType"] == "Full"


async def test_the_answer_may_be_a_list(market: Market, player: str) -> None:
    await market.store.set(changeAnswer="items")
    subscription = await market.store.subscribe(player, "PASS")

    changed = await change(market, player, subscription["id"], "Extend", extensionTimeInDays=1)

    assert shape(changed) == shape(fixture("recurrence-change-response-items-variant"))


async def test_what_ended_cannot_be_changed(market: Market, player: str) -> None:
    subscription = await market.store.subscribe(player, "PASS")
    await change(market, player, subscription["id"], "Cancel")
    path = f"/v8.0/b2b/recurrences/{subscription['id']}/change"

    for kind in ("Cancel", "Extend", "Refund", "ToggleAutoRenew"):
        answer = await market.purchase(player, path, changeType=kind, extensionTimeInDays=1)
        assert inner(answer) == (400, "EmulatorRecurrenceEnded")


async def test_a_change_of_what_is_not_in_retail(market: Market, player: str) -> None:
    subscription = await market.store.subscribe(player, "DEV-PASS", sandbox="XDKS.1")

    answer = await market.purchase(
        player, f"/v8.0/b2b/recurrences/{subscription['id']}/change", changeType="Cancel", sbx="XDKS.1"
    )

    assert answer.status_code == 400
    assert answer.json()["message"] == fixture("error-400-recurrence-catalog-not-found")["message"]
    assert shape(answer.json()) == shape(fixture("error-400-recurrence-catalog-not-found"))


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "changeType"),
        ({"changeType": "Pause"}, "changeType"),
        ({"changeType": "Extend"}, "extensionTimeInDays"),
        ({"changeType": "Extend", "extensionTimeInDays": "five"}, "extensionTimeInDays"),
    ],
)
async def test_a_wrong_change_is_told_its_field(
    market: Market, player: str, body: dict[str, object], named: str
) -> None:
    subscription = await market.store.subscribe(player, "PASS")

    answer = await market.purchase(player, f"/v8.0/b2b/recurrences/{subscription['id']}/change", **body)

    assert inner(answer) == (400, "InvalidParameter")
    assert answer.json()["innererror"]["details"][0]["target"] == named


async def test_another_users_subscription_is_not_there(market: Market, player: str) -> None:
    subscription = await market.store.subscribe(player, "PASS")

    answer = await market.purchase(
        f"{player}-2", f"/v8.0/b2b/recurrences/{subscription['id']}/change", changeType="Cancel"
    )

    assert inner(answer) == (404, "EmulatorRecurrenceNotFound")


# Orders


async def orders(market: Market, player: str, *states: str, **more: object) -> list[dict[str, Any]]:
    answer = await market.purchase(player, ORDERS, lineItemStateFilter=list(states) or None, **more)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_orders_tell_what_became_of_their_lines(market: Market, player: str) -> None:
    kept, consumed, returned = [await market.store.buy(player, "GEMS") for _ in range(3)]
    for _ in range(2):
        await market.consumed(player, "GEMS", 1)
    for order in (consumed, returned):
        await market.store.refund(player, order["orderId"])

    found = {order["orderId"]: order for order in await orders(market, player)}

    published = fixture("orders-query-response")["items"]
    assert shape(found[kept["orderId"]]) == shape(published[0])
    assert shape(found[consumed["orderId"]]) == shape(published[1])
    assert {
        order_id: (line["lineItemState"], line["wasConsumableQuantityRevoked"])
        for order_id, order in found.items()
        for line in order["orderLineItems"]
    } == {
        kept["orderId"]: ("Purchased", False),
        consumed["orderId"]: ("Revoked", False),
        returned["orderId"]: ("Refunded", True),
    }
    assert [order["orderId"] for order in await orders(market, player, "Revoked")] == [consumed["orderId"]]


async def test_only_consumables_of_the_last_90_days_are_listed(market: Market, player: str) -> None:
    await market.store.buy(player, "GEMS", daysAgo=91)
    recent = await market.store.buy(player, "GEMS", daysAgo=89)
    bundle = await market.store.buy(player, "LEVELS")
    await market.store.buy(player, "GEMS", sandbox="XDKS.1")

    found = await orders(market, player)

    assert [order["orderId"] for order in found] == [recent["orderId"], bundle["orderId"]]
    assert [line["productId"] for line in found[1]["orderLineItems"]] == ["GEMS"]
    assert len(await orders(market, player, sbx="XDKS.1")) == 1


async def test_a_filter_that_is_none(market: Market, player: str) -> None:
    answer = await market.purchase(player, ORDERS, lineItemStateFilter=["Gone"])

    assert inner(answer) == (400, "InvalidParameter")


async def test_orders_count_against_the_rate_limit_and_v6_grants_do_not(market: Market, player: str) -> None:
    await market.store.set(operations=1)

    assert await orders(market, player) == []
    assert (await market.purchase(player, ORDERS)).status_code == 429
    assert (await market.purchase(player, GRANT, **grant_of())).status_code == 429
    assert (await market.purchase(player, "/v6.0/purchases/grant", **grant_of())).status_code == 200
