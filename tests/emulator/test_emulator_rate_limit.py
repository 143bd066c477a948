"""The rate limit of a user, and the settings of the Store."""

from collections.abc import AsyncIterator

import pytest

from tests.emulator.market import Market, opened
from tests.emulator.world import World, fixture
from tests.support.polling import eventually

pytestmark = pytest.mark.usefixtures("store_as_at_first")


@pytest.fixture(scope="module")
async def market(world: World) -> AsyncIterator[Market]:
    async with opened(world) as market:
        await market.store.product("GEMS", "Consumable")
        yield market


async def test_two_hundred_operations_and_no_more(market: Market, player: str) -> None:
    await market.store.buy(player, "GEMS", 300)
    for _ in range(199):
        await market.consumed(player, "GEMS", 1)
    assert (await market.query(player, "GEMS")).status_code == 200

    refused = await market.consume(player, "GEMS", 1)
    neighbor = await market.query(f"{player}-2", "GEMS")

    assert refused.status_code == 429
    assert refused.json() == fixture("error-429-rate-limited")
    assert 290 <= int(refused.headers["Retry-After"]) <= 300
    assert neighbor.status_code == 200
    assert (await market.books(player))["products"]["RETAIL"]["GEMS"]["balance"] == 101
    assert (await market.purchase(player, "/v8.0/b2b/recurrences/query")).status_code == 429


async def test_the_rate_limit_can_be_changed_and_lifted(market: Market, player: str) -> None:
    await market.store.set(operations=1, seconds=60)

    first, second = await market.query(player, "GEMS"), await market.query(player, "GEMS")
    assert (first.status_code, second.status_code) == (200, 429)
    assert "1 operations in 60 seconds" in second.json()["message"]
    assert int(second.headers["Retry-After"]) <= 60

    await market.store.set(operations=None)
    assert (await market.query(player, "GEMS")).status_code == 200


async def test_bad_settings_are_named(market: Market) -> None:
    for change, named in (({"operation": 1}, "operation"), ({"cancel": "maybe"}, "$.cancel")):
        answer = await market.world.http.patch("/_emulator/store/settings", json=change)
        assert answer.status_code == 400
        assert named in answer.json()["error"]


async def test_who_waited_may_call_again(market: Market, player: str) -> None:
    await market.store.set(operations=1, seconds=0.3)
    assert (await market.query(player, "GEMS")).status_code == 200
    assert (await market.query(player, "GEMS")).status_code == 429

    async def admitted() -> bool:
        return (await market.query(player, "GEMS")).status_code == 200

    await eventually(admitted)
