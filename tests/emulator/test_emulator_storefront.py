"""The store front and the books: what tests and the guided run arrange and compare with."""

import json
import uuid
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest

from local.emulator import Emulator
from local.emulator.persistence import StateError
from tests.emulator.market import Market, opened
from tests.emulator.world import World, running


@pytest.fixture(scope="module")
async def market(world: World) -> AsyncIterator[Market]:
    async with opened(world) as market:
        await stock(market)
        yield market


async def stock(market: Market) -> None:
    await market.store.product("GEMS", "Consumable")
    await market.store.product("POTION", "UnmanagedConsumable")
    await market.store.product("LEVELS", "Durable")
    await market.store.product("STARTER", "Durable", price=4.99, contains={"GEMS": 5, "POTION": 1})
    await market.store.product("PASS", "Pass", days=30)


async def test_the_catalogue(market: Market) -> None:
    listed = (await market.world.http.get("/_emulator/store/products")).json()["products"]

    assert {"GEMS": "Consumable", "PASS": "Pass"}.items() <= {
        each["productId"]: each["kind"] for each in listed
    }.items()


async def test_one_order_for_each_of_many_players(market: Market, player: str) -> None:
    players = [f"{player}-{n}" for n in range(50)]

    orders = await market.store.buy_for_all(players, "GEMS", quantity=3)

    assert [order["player"] for order in orders] == players
    assert len({order["orderId"] for order in orders}) == 50
    books = await market.store.books(*players)
    assert {name: book["products"]["RETAIL"]["GEMS"]["balance"] for name, book in books.items()} == dict.fromkeys(
        players, 3
    )


async def test_a_bundle_is_an_order_of_lines_with_one_id(market: Market, player: str) -> None:
    order = await market.store.buy(player, "STARTER")

    assert [(line["productId"], line["quantity"]) for line in order["lines"]] == [
        ("STARTER", 1),
        ("GEMS", 5),
        ("POTION", 1),
    ]
    assert len({line["lineItemId"] for line in order["lines"]}) == 1
    [shown] = (await market.books(player))["orders"]
    assert shown["amount"] == 4.99
    assert [line["bundle"] for line in shown["lines"]] == [None, "STARTER", "STARTER"]


async def test_what_is_owned_is_not_sold_again(market: Market, player: str) -> None:
    order = await market.store.buy(player, "LEVELS")
    await market.store.buy(player, "STARTER")

    with pytest.raises(RuntimeError, match=r"409.*owned already"):
        await market.store.buy(player, "LEVELS")
    with pytest.raises(RuntimeError, match=r"409.*STARTER is owned already"):
        await market.store.buy(player, "STARTER")
    await market.store.refund(player, order["orderId"])
    assert await market.store.buy(player, "LEVELS")


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("purchases", {"player": "p", "productId": "NOWHERE"}, "404.*no product NOWHERE"),
        ("purchases", {"productId": "GEMS"}, "400.*either player or players"),
        ("purchases", {"player": "p", "productId": "GEMS", "quantity": 0}, "400.*quantity"),
        ("purchases", {"player": "p", "productId": "POTION", "quantity": 2}, "409.*one at a time"),
        ("purchases", {"player": "p", "productId": "PASS"}, "400.*subscriptions"),
        ("products", {"productId": "X", "kind": "Thing"}, "400.*kind"),
        ("products", {"productId": "X", "kind": "Durable", "contains": {"NOWHERE": 1}}, "400.*NOWHERE"),
        ("products", {"productId": "X", "kind": "Durable", "cost": 1}, "400.*cost"),
        ("subscriptions", {"player": "p", "productId": "GEMS"}, "409.*not a Pass"),
        ("subscriptions/nothing/lapses", {}, "404.*no subscription"),
        ("refunds", {"player": "p", "orderId": "nothing"}, "409.*no order"),
    ],
)
async def test_what_cannot_be_is_told(market: Market, path: str, body: dict[str, object], told: str) -> None:
    answer = await market.world.http.post(f"/_emulator/store/{path}", json=body)

    status, message = told.split(".*")
    assert answer.status_code == int(status)
    assert message in answer.json()["error"]


async def test_the_books_tell_everything_about_a_player(market: Market, player: str) -> None:
    order = await market.store.buy(player, "GEMS", 10)
    tracking_id = str(uuid.uuid4())
    for _ in range(3):
        await market.consumed(player, "GEMS", 4, trackingId=tracking_id)

    book = await market.books(player)

    assert book["products"] == {
        "RETAIL": {"GEMS": {"kind": "Consumable", "balance": 6, "bought": 10, "consumed": 4, "held": 4}}
    }
    assert book["carriedOut"] == {tracking_id: 1}
    [consume] = book["consumes"]
    assert (consume["trackingId"], consume["quantity"], consume["requests"]) == (tracking_id, 4, 3)
    assert consume["orderTransactions"] == [
        {
            "orderId": order["orderId"],
            "orderLineItemId": order["lines"][0]["lineItemId"],
            "quantityConsumed": 4,
        }
    ]
    [line] = book["orders"][0]["lines"]
    assert (line["consumed"], line["held"], line["state"]) == (4, 4, "Purchased")
    assert player in await market.store.books()


# Subscriptions


def after(subscription: dict[str, str], name: str = "expiration") -> timedelta:
    """How long from now until a time of a subscription, to the minute."""
    return timedelta(
        minutes=round((datetime.fromisoformat(subscription[name]) - datetime.now().astimezone()).total_seconds() / 60)
    )


async def test_a_subscription_lapses_into_grace_and_recovers(market: Market, player: str) -> None:
    subscription = await market.store.subscribe(player, "PASS")

    lapsed = await market.store.lapse(subscription["id"], graceDays=3, endedDaysAgo=1)
    assert lapsed["state"] == "InDunning"
    assert (after(lapsed), after(lapsed, "grace")) == (timedelta(days=-1), timedelta(days=2))
    assert (await market.item(player, "PASS"))["status"] == "Active"

    recovered = await market.store.renew(subscription["id"])
    # "Paying in dunning deducts the grace time from the next period."
    assert (recovered["state"], after(recovered)) == ("Active", timedelta(days=29))
    assert len(recovered["orders"]) == 2
    assert (await market.item(player, "PASS"))["transactionId"] == recovered["orders"][1]


async def test_the_grace_may_be_over_while_the_state_lags(market: Market, player: str) -> None:
    subscription = await market.store.subscribe(player, "PASS")

    lapsed = await market.store.lapse(subscription["id"], graceDays=3, endedDaysAgo=4)

    assert lapsed["state"] == "InDunning"
    assert after(lapsed, "grace") == timedelta(days=-1)


@pytest.mark.parametrize("state", ["Inactive", "Canceled", "Failed"])
async def test_what_ended_stays_so_and_a_new_subscription_has_a_new_id(
    market: Market, player: str, state: Literal["Inactive", "Canceled", "Failed"]
) -> None:
    subscription = await market.store.subscribe(player, "PASS")
    with pytest.raises(RuntimeError, match=r"409.*already"):
        await market.store.subscribe(player, "PASS")

    ended = await market.store.end(subscription["id"], state)

    assert ended["state"] == state
    assert (await market.item(player, "PASS"))["status"] == "Expired"
    with pytest.raises(RuntimeError, match=rf"409.*it is {state}"):
        await market.store.renew(subscription["id"])
    new = await market.store.subscribe(player, "PASS", trial=True)
    assert new["id"] != subscription["id"]
    assert (new["trial"], (await market.item(player, "PASS"))["status"]) == (True, "Active")


# The file


async def test_the_books_outlive_a_restart(tmp_path: Path) -> None:
    state, tracking_id = tmp_path / "state.json", str(uuid.uuid4())
    async with running(state) as world, opened(world) as market:
        await stock(market)
        await market.store.buy("ann", "GEMS", 10)
        await market.store.subscribe("ann", "PASS")
        await market.consumed("ann", "GEMS", 4, trackingId=tracking_id)
        await market.store.set(operations=77)
        before = await market.books("ann")

    async with running(state) as world, opened(world) as market:
        assert await market.books("ann") == before
        again = await market.consumed("ann", "GEMS", 4, trackingId=tracking_id)
        assert (again["newQuantity"], len(again["orderTransactions"])) == (6, 1)
        assert (await market.world.http.get("/_emulator/store/settings")).json()["operations"] == 77


async def test_the_file_is_the_owners_alone(tmp_path: Path) -> None:
    async with running(tmp_path / "state.json") as world, opened(world) as market:
        await stock(market)

    books = tmp_path / "books.json"
    assert books.stat().st_mode & 0o777 == 0o600
    assert json.loads(books.read_text())["products"].keys() == {"GEMS", "POTION", "LEVELS", "STARTER", "PASS"}


@pytest.mark.parametrize("content", ["nonsense", '{"version": 0}', '{"version": 1, "accounts": []}'])
async def test_a_file_that_is_none_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "books.json").write_text(content)

    with pytest.raises(StateError, match=r"books\.json.*remove it"):
        Emulator(tmp_path / "state.json")
