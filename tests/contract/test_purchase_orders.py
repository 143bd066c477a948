"""Free products, orders and the clawback queue's address at Purchase, by the published examples."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.store.errors import (
    StoreError,
    StoreUnknownError,
)
from shared.store.models.purchase import GrantedOrder, LineItemState, OrderState
from shared.store.purchase import Purchase
from tests.support.business import LoopbackStore, Said
from tests.support.fixtures import names, wire
from tests.support.publisher import CLASSES, PURCHASE_KEY, TOKEN, body_of, published


async def grant(purchase: Purchase, **options: Any) -> GrantedOrder:
    return await purchase.grant_free(
        PURCHASE_KEY,
        TOKEN,
        order_id="9d0e1f2a-3b4c-4d5e-8f60-718293a4b5c6",
        product_id="9NABCDEF0002",
        sku_id="0010",
        availability_id="9RTEXAMPLE01",
        language="en-us",
        market="us",
        sandbox="XDKS.1",
        dev_offer_id="welcome-gift",
        **options,
    )


@pytest.mark.parametrize("version", [6, 7])
async def test_a_grant_is_sent_and_read_as_published(store: LoopbackStore, purchase: Purchase, version: int) -> None:
    store.says(published("grant-v6-response"))

    order = await grant(purchase, version=version)

    (sent,) = store.sent
    assert body_of(sent) == wire(f"grant-v{version}-request")
    assert (sent.method, sent.target) == ("POST", f"/v{version}.0/purchases/grant")
    assert sent.headers["Authorization"] == "Bearer SERVICE-TOKEN"
    (line,) = order.order_line_items
    assert (order.order_state, line.fulfillment_state) == (OrderState.PURCHASED, "Fulfilled")
    assert (line.product_id, line.line_item_id) == ("9NABCDEF0002", "4e5f6071-8293-4a5b-86d7-e8f9a0b1c2d3")


@pytest.mark.parametrize("spelling", ["Canceled", "Cancelled", "CANCELLED"])
async def test_both_spellings_of_a_canceled_order_are_one(
    store: LoopbackStore, purchase: Purchase, spelling: str
) -> None:
    store.says(Said(200, wire("grant-v6-response") | {"orderState": spelling}))

    assert (await grant(purchase)).order_state is OrderState.CANCELED


async def test_an_answer_about_another_order_is_an_unknown_outcome(store: LoopbackStore, purchase: Purchase) -> None:
    store.says(Said(200, wire("grant-v6-response") | {"orderId": "00000000-0000-4000-8000-000000000000"}))

    with pytest.raises(StoreUnknownError, match="another order"):
        await grant(purchase)


async def test_orders_are_asked_for_and_read_as_published(store: LoopbackStore, purchase: Purchase) -> None:
    store.says(published("orders-query-response"))

    kept, revoked = await purchase.orders(PURCHASE_KEY, TOKEN, sandbox="XDKS.1")

    (sent,) = store.sent
    assert body_of(sent) == wire("orders-query-request")
    assert (sent.method, sent.target) == ("POST", "/v8.0/b2b/orders/query")
    assert (kept.order_id, kept.short_order_id) == ("0f8b3c52-6f0d-4f53-9a4e-3a1f7c2d9b10", "8483000001")
    assert kept.order_line_items[0].line_item_state is LineItemState.PURCHASED
    assert (kept.order_refunded_date, revoked.order_refunded_date) == (None, "2026-10-05T10:05:35.9634676+00:00")
    assert revoked.order_line_items[0].line_item_state is LineItemState.REVOKED


async def test_orders_come_in_pages_where_the_store_says_so(store: LoopbackStore, purchase: Purchase) -> None:
    store.says(
        Said(200, wire("orders-query-response") | {"continuationToken": "x"}), published("orders-query-response")
    )

    assert len(await purchase.orders(PURCHASE_KEY, TOKEN, states=[LineItemState.REVOKED])) == 4

    first, second = (body_of(sent) for sent in store.sent)
    assert second == first | {"continuationToken": "x"}
    assert first["lineItemStateFilter"] == ["Revoked"]


async def test_the_published_dates_that_are_none_are_left_alone(store: LoopbackStore, purchase: Purchase) -> None:
    (order, _) = wire("orders-query-response")["items"]
    store.says(Said(200, {"items": [order | {"orderPurchasedDate": "2021-06-142T00:00:00Z", "shortOrderId": 848}]}))

    (found,) = await purchase.orders(PURCHASE_KEY, TOKEN)

    assert (found.order_purchased_date, found.short_order_id) == ("2021-06-142T00:00:00Z", 848)


async def test_the_address_of_the_clawback_queue_is_read_and_not_shown(
    store: LoopbackStore, purchase: Purchase
) -> None:
    store.says(published("clawback-sastoken-response"))

    address = await purchase.get_clawback_queue(TOKEN)

    (sent,) = store.sent
    assert (sent.method, sent.target, sent.body) == ("GET", "/v8.0/b2b/clawback/sastoken", b"")
    assert sent.headers["Authorization"] == "Bearer SERVICE-TOKEN"
    assert address.expires_on == datetime(2026, 11, 21, 20, 13, tzinfo=UTC)
    assert address.uri.reveal() == wire("clawback-sastoken-response")["uri"]
    assert "sig" not in f"{address!r}{address}"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-21T20:13:30Z", datetime(2026, 11, 21, 20, 13, 30, tzinfo=UTC)),
        ("2026-11-21T20:13:30.1234567+00:00", datetime(2026, 11, 21, 20, 13, 30, 123456, tzinfo=UTC)),
        ("2026-11-21T20:13", datetime(2026, 11, 21, 20, 13, tzinfo=UTC)),
        ("2026-11-21T22:13+02:00", datetime(2026, 11, 21, 20, 13, tzinfo=UTC)),
    ],
)
async def test_expiry_is_read_in_whatever_precision(
    store: LoopbackStore, purchase: Purchase, text: str, moment: datetime
) -> None:
    store.says(Said(200, wire("clawback-sastoken-response") | {"expiresOn": text}))

    assert (await purchase.get_clawback_queue(TOKEN)).expires_on == moment


@pytest.mark.parametrize("changes", [{"expiresOn": "soon"}, {"expiresOn": None}, {"uri": 5}], ids=str)
async def test_an_address_that_cannot_be_read_is_none_and_not_shown(
    store: LoopbackStore, purchase: Purchase, changes: dict[str, object]
) -> None:
    store.says(Said(200, wire("clawback-sastoken-response") | changes))

    with pytest.raises(StoreUnknownError) as unreadable:
        await purchase.get_clawback_queue(TOKEN)

    assert "sig=" not in f"{unreadable.value!r}{unreadable.value}"


@pytest.mark.parametrize("name", names("error-[0-9]*"))
@pytest.mark.parametrize("operation", ["grant", "orders", "clawback"])
async def test_every_published_error_is_told_by_its_class(
    store: LoopbackStore, purchase: Purchase, name: str, operation: str
) -> None:
    said = published(name)
    store.says(said)

    call: Any = {
        "grant": lambda: grant(purchase),
        "orders": lambda: purchase.orders(PURCHASE_KEY, TOKEN),
        "clawback": lambda: purchase.get_clawback_queue(TOKEN),
    }[operation]
    with pytest.raises(StoreError) as refusal:
        await call()

    assert type(refusal.value) is CLASSES[said.status]
    assert refusal.value.retry_after == (37 if said.status == 429 else None)
    shown = f"{refusal.value!r}{refusal.value}"
    assert PURCHASE_KEY.reveal() not in shown
    assert TOKEN.reveal() not in shown
