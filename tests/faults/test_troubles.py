"""What goes wrong around processes that live: answers are lost, everything comes a hundredfold, a queue is down."""

import asyncio
from typing import Any

import pytest

from shared.ledger.record import OPEN
from tests.faults.lives import Bench, Life
from tests.faults.scenario import Plan, Run
from tests.faults.shop import Asked, Drive, Shop
from tests.support.polling import eventually
from tests.support.refunding import COINS, SWORD, text_of

HOSTS = 4
CONSUME = r"/collections/consume$"
TROUBLES: dict[str, dict[str, Any]] = {
    "an error after the effect": {"status": 500, "when": "after"},
    "a connection that ends after the effect": {"drop": "after"},
    "an answer nobody can read": {"status": 200, "body": "<html>", "when": "after"},
    "too many requests": {"status": 429, "retryAfter": 1},
}


@pytest.mark.parametrize("effect", TROUBLES.values(), ids=TROUBLES)
async def test_answers_of_the_store_are_lost(gated: Bench, effect: dict[str, Any]) -> None:
    async def trouble() -> None:
        await gated.control.disturb("collections", effect, path=CONSUME, times=6)

    await Run(gated, Plan(0), trouble=trouble).play()

    (fault,) = await gated.control.faults()
    assert fault["applied"] >= 1


async def test_answers_of_storage_are_lost(gated: Bench) -> None:
    """A write that took effect fails, and the SDK makes it again: that meets what it had written itself."""

    async def trouble() -> None:
        gated.gate.loses = 0.15

    await Run(gated, Plan(0), trouble=trouble).play()

    assert gated.gate.lost >= 5


class Crowd:
    """Several hosts at once, over one shop."""

    def __init__(self, bench: Bench) -> None:
        self.shop = Shop(bench)
        self.drive = Drive(self.shop, bench.lives.begin)
        self.hosts: list[Life] = []

    async def __aenter__(self) -> "Crowd":
        await self.shop.open()
        self.hosts = [await self.shop.bench.lives.begin() for _ in range(HOSTS)]
        self.drive.life = self.hosts[0]
        return self

    async def __aexit__(self, *_: object) -> None:
        for host in self.hosts:
            await host.end()

    async def everywhere(self, timer: str) -> None:
        """Have a timer run in all hosts."""
        await asyncio.gather(*(self.shop.run(host, timer) for host in self.hosts))

    async def settled(self, asked: list[Asked]) -> None:
        """Wait for these, and for everything, then compare the books."""
        await self.drive.until(lambda: self.shop.all_granted(asked), [])
        await self.drive.rest()
        await self.shop.check()


async def test_everything_a_hundredfold_over_four_processes(gated: Bench) -> None:
    async with Crowd(gated) as crowd:
        shop = crowd.shop
        anna, ben = await shop.player("anna"), await shop.player("ben")
        coins, sword = await shop.buy(anna, COINS, 9), await shop.buy(ben, SWORD)
        by_message = [shop.asks(anna, COINS, 4, over_http=False), shop.asks(ben, SWORD, 1, over_http=False)]
        over_http = shop.asks(anna, COINS, 5, over_http=True)

        await asyncio.gather(
            *(shop.send(asked, times=100) for asked in by_message),
            *(shop.post(host, over_http) for host in crowd.hosts for _ in range(25)),
        )
        await crowd.drive.until(lambda: shop.all_granted(shop.asked), [over_http])
        events = await shop.store.refund(anna, coins, send=False)
        events += await shop.store.charge_back(ben, sword, send=False)
        texts = [text_of(event) for event in events for _ in range(50)]
        await asyncio.gather(*(shop.store.put_message(text=text) for text in texts))
        await crowd.everywhere("fetch_refunds")

        await crowd.settled(shop.asked)
        assert {each.quantity for each in await gated.wiring.fulfillment.ledger.balances(anna)} == {0}


async def test_four_processes_work_on_one_players_books(gated: Bench) -> None:
    """Twenty fulfilments of one product change one balance, while refunds of earlier ones change it, too."""
    async with Crowd(gated) as crowd:
        shop = crowd.shop
        user = await shop.player("busy")
        orders = [await shop.buy(user, COINS, 3) for _ in range(20)]
        asked = [shop.asks(user, COINS, 3, over_http=number % 2 == 0) for number in range(20)]

        posts = [shop.post(crowd.hosts[number % HOSTS], each) for number, each in enumerate(asked) if each.over_http]
        sends = [shop.send(each) for each in asked if not each.over_http]
        await asyncio.gather(*posts, *sends)

        async def some_granted() -> bool:
            return len([job for job in await gated.wiring.fulfillment.ledger.files.jobs(user) if job.granted]) >= 5

        await eventually(some_granted, 60)
        consumed = {order for order in orders[:4] if await _is_consumed(shop, user, order)}
        for order in consumed:
            await shop.store.refund(user, order)
            await crowd.everywhere("fetch_refunds")
        assert consumed
        await crowd.drive.until(lambda: shop.all_granted(asked), [each for each in asked if each.over_http])

        await crowd.settled([])
        (balance,) = await gated.wiring.fulfillment.ledger.balances(user)
        assert balance.quantity == 3 * (len(asked) - len(consumed))


async def _is_consumed(shop: Shop, user: str, order_id: str) -> bool:
    """Whether nothing of an order is left to consume: to refund it makes no other fulfilment impossible."""
    orders = (await shop.store.books(user))[user]["orders"]
    return any(order["orderId"] == order_id and order["lines"][0]["held"] == 3 for order in orders)


async def test_the_outgoing_queue_is_down(gated: Bench) -> None:
    """Grants and refunds are made all the same; what is to be told waits, and is told when the queue is back."""
    shop = Shop(gated)
    await shop.open()
    gated.gate.closed_for = lambda path: "/store-events" in path
    drive = Drive(shop, gated.lives.begin)
    life = await drive.alive()
    try:
        anna = await shop.player("anna")
        kept, refunded = await shop.buy(anna, COINS, 2), await shop.buy(anna, COINS, 5)
        asked = shop.asks(anna, COINS, 7, over_http=False)
        await shop.send(asked)
        await drive.until(lambda: shop.all_granted([asked]), [])
        await shop.store.refund(anna, refunded)
        await shop.run(life, "fetch_refunds")

        async def taken_back() -> bool:
            return [each.quantity for each in await gated.wiring.fulfillment.ledger.balances(anna)] == [2]

        await drive.until(taken_back, [])
        assert gated.gate.refused
        assert await gated.storage.events(anna) == []
        waiting = [row for row in await gated.storage.rows("ledger") if row["RowKey"].startswith(OPEN)]
        assert len(waiting) == 2, "a grant and a refund"

        gated.gate.closed_for = lambda _: False
        await drive.rest()

        await shop.check()
        assert kept != refunded
    finally:
        await life.end()
