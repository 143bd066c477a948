"""Consumes and their replays."""

import uuid
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.emulator.market import Market, inner, opened
from tests.emulator.world import World, fixture, shape


@pytest.fixture(scope="module")
async def market(world: World) -> AsyncIterator[Market]:
    async with opened(world) as market:
        store = market.store
        await store.product("GEMS", "Consumable", title="Gems")
        await store.product("POTION", "UnmanagedConsumable")
        await store.product("LEVELS", "Durable")
        await store.product("ONLY-DEV", "Consumable", sandbox="XDKS.1")
        yield market


@pytest.fixture(autouse=True)
async def settings_as_at_first(market: Market) -> AsyncIterator[None]:
    yield
    await market.store.reset()
    await market.world.http.delete("/_emulator/faults")


async def test_a_store_managed_consume(market: Market, player: str) -> None:
    first, second = await market.store.buy(player, "GEMS", 2), await market.store.buy(player, "GEMS", 5)
    item = await market.item(player, "GEMS")
    tracking_id = str(uuid.uuid4())

    answer = await market.consumed(player, "GEMS", 3, trackingId=tracking_id)

    assert shape(answer) == shape(fixture("consume-v8-response"))
    assert answer == {
        "newQuantity": 4,
        "itemId": item["id"],
        "trackingId": tracking_id,
        "productId": "GEMS",
        "orderTransactions": [
            {
                "orderId": order["orderId"],
                "orderLineItemId": order["lines"][0]["lineItemId"],
                "quantityConsumed": quantity,
            }
            for order, quantity in ((first, 2), (second, 1))
        ],
    }
    assert (await market.item(player, "GEMS"))["modifiedDate"] > item["modifiedDate"]


async def test_orders_are_told_only_if_asked_for(market: Market, player: str) -> None:
    await market.store.buy(player, "GEMS", 2)

    assert "orderTransactions" not in await market.consumed(player, "GEMS", 1, includeOrderIds=False)
    assert "orderTransactions" not in await market.consumed(player, "GEMS", 1, includeOrderIds=None)


async def test_a_replay_deducts_nothing_and_tells_the_balance_of_now(market: Market, player: str) -> None:
    await market.store.buy(player, "GEMS", 10)
    tracking_id = str(uuid.uuid4())
    first = await market.consumed(player, "GEMS", 3, trackingId=tracking_id)
    await market.consumed(player, "GEMS", 2)

    again = await market.consumed(player, "GEMS", 3, trackingId=tracking_id.upper())

    assert (first["newQuantity"], again["newQuantity"]) == (7, 5)
    assert again["orderTransactions"] == first["orderTransactions"]
    books = await market.books(player)
    assert books["carriedOut"][tracking_id] == 1
    assert [consume["requests"] for consume in books["consumes"]] == [2, 1]


async def test_a_replay_may_come_with_another_key(market: Market, player: str) -> None:
    await market.store.buy(player, "GEMS", 10)
    tracking_id = str(uuid.uuid4())
    await market.consumed(player, "GEMS", 3, trackingId=tracking_id)
    renewed = await market.identity(player) | {"identityValue": await market.world.key(publisherUserId=player)}

    again = await market.consumed(player, "GEMS", 3, trackingId=tracking_id, beneficiary=renewed)

    assert again["newQuantity"] == 7


async def test_any_changed_value_is_a_new_consume(market: Market, player: str) -> None:
    await market.store.product("GOLD", "Consumable")
    await market.store.buy(player, "GEMS", 10)
    await market.store.buy(player, "GEMS", 10, sandbox="XDKS.1")
    await market.store.buy(player, "GOLD", 10)
    tracking_id = str(uuid.uuid4())

    await market.consumed(player, "GEMS", 3, trackingId=tracking_id)
    await market.consumed(player, "GEMS", 4, trackingId=tracking_id)
    await market.consumed(player, "GOLD", 3, trackingId=tracking_id)
    await market.consumed(player, "GEMS", 3, trackingId=tracking_id, sbx="XDKS.1")

    books = await market.books(player)
    assert books["carriedOut"][tracking_id] == 4
    assert books["products"]["RETAIL"]["GEMS"]["balance"] == 3
    assert books["products"]["XDKS.1"]["GEMS"]["balance"] == 7


async def test_a_players_tracking_id_is_no_one_elses(market: Market, player: str) -> None:
    tracking_id = str(uuid.uuid4())
    for name in (player, f"{player}-2"):
        await market.store.buy(name, "GEMS", 5)
        assert (await market.consumed(name, "GEMS", 5, trackingId=tracking_id))["newQuantity"] == 0


async def test_a_developer_managed_consume_tells_its_order_once(market: Market, player: str) -> None:
    order = await market.store.buy(player, "POTION")
    assert (await market.item(player, "POTION"))["transactionId"] == order["orderId"]
    tracking_id = str(uuid.uuid4())

    first = await market.consumed(player, "POTION", trackingId=tracking_id)
    again = await market.consumed(player, "POTION", trackingId=tracking_id)

    assert [each["orderId"] for each in first["orderTransactions"]] == [order["orderId"]]
    assert shape(again) == shape(fixture("consume-v8-response-developer-managed-replay"))
    assert (first["newQuantity"], again["newQuantity"]) == (0, 0)


async def test_a_developer_managed_consumable_is_bought_again_once_it_is_consumed(market: Market, player: str) -> None:
    await market.store.buy(player, "POTION")
    with pytest.raises(RuntimeError, match="not consumed yet"):
        await market.store.buy(player, "POTION")
    tracking_id = str(uuid.uuid4())
    await market.consumed(player, "POTION", trackingId=tracking_id)

    await market.store.buy(player, "POTION")

    assert (await market.item(player, "POTION"))["quantity"] == 1
    assert (await market.consumed(player, "POTION", trackingId=tracking_id))["newQuantity"] == 1
    assert (await market.consumed(player, "POTION"))["newQuantity"] == 0


@pytest.mark.parametrize(
    ("product", "change", "expected"),
    [
        ("GEMS", {"removeQuantity": 11}, (400, "EmulatorQuantityTooLow")),
        ("GEMS", {"removeQuantity": None}, (400, "InvalidParameter")),
        ("GEMS", {"removeQuantity": 0}, (400, "InvalidParameter")),
        ("GEMS", {"removeQuantity": -1}, (400, "InvalidParameter")),
        ("GEMS", {"removeQuantity": 2**31}, (400, "InvalidParameter")),
        ("GEMS", {"removeQuantity": "1"}, (400, "InvalidParameter")),
        ("GEMS", {"trackingId": "1"}, (400, "InvalidParameter")),
        ("GEMS", {"trackingId": None}, (400, "InvalidParameter")),
        ("GEMS", {"beneficiary": None}, (400, "InvalidParameter")),
        ("GEMS", {"includeOrderIds": "yes"}, (400, "InvalidParameter")),
        ("GEMS", {"sbx": "XDKS.1"}, (404, "EmulatorProductNotOwned")),
        ("POTION", {"removeQuantity": 1}, (400, "InvalidParameter")),
        ("POTION", {"removeQuantity": 0}, (400, "InvalidParameter")),
        ("POTION", {"removeQuantity": None, "sbx": "XDKS.1"}, (400, "EmulatorSandboxNotSupported")),
        ("LEVELS", {}, (400, "EmulatorNotConsumable")),
        ("ONLY-DEV", {}, (404, "EmulatorProductNotOwned")),
        ("NOWHERE", {}, (404, "EmulatorProductNotOwned")),
    ],
)
async def test_a_consume_that_cannot_be(
    market: Market, player: str, product: str, change: dict[str, object], expected: tuple[int, str]
) -> None:
    await market.store.buy(player, "GEMS", 10)
    await market.store.buy(player, "POTION")
    await market.store.buy(player, "LEVELS")

    answer = await market.consume(player, product, 1, **change)

    assert inner(answer) == expected
    assert (await market.books(player))["consumes"] == []
    if expected[1] == "EmulatorQuantityTooLow":
        assert shape(answer.json()) == shape(fixture("error-consume-insufficient-balance"))


async def test_what_was_refunded_is_not_there_to_consume(market: Market, player: str) -> None:
    order = await market.store.buy(player, "GEMS", 10)
    await market.store.refund(player, order["orderId"])

    assert inner(await market.consume(player, "GEMS", 1)) == (404, "EmulatorProductNotOwned")
    assert (await market.item(player, "GEMS"))["status"] == "Revoked"


async def test_of_what_nothing_is_left_is_listed_unless_told_otherwise(market: Market, player: str) -> None:
    await market.store.buy(player, "GEMS")
    await market.consumed(player, "GEMS", 1)

    assert (await market.item(player, "GEMS"))["quantity"] == 0
    await market.store.set(emptyItems=False)
    assert await market.items(player, "GEMS") == []


@pytest.mark.parametrize("effect", [{"status": 500, "when": "after"}, {"drop": "after"}], ids=["500", "dropped"])
async def test_an_answer_is_lost_after_the_consume(market: Market, player: str, effect: dict[str, object]) -> None:
    await market.store.buy(player, "GEMS", 10)
    tracking_id = str(uuid.uuid4())
    await market.world.control("faults", service="collections", path="/consume$", times=1, effect=effect)

    try:
        assert (await market.consume(player, "GEMS", 3, trackingId=tracking_id)).status_code == 500
    except httpx.TransportError:
        assert "drop" in effect
    assert (await market.books(player))["products"]["RETAIL"]["GEMS"]["balance"] == 7

    again = await market.consumed(player, "GEMS", 3, trackingId=tracking_id)
    assert again["newQuantity"] == 7
    assert len(again["orderTransactions"]) == 1
