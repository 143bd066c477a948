"""The gaps of the published sample's clawback flow (store-services reference, section 9), each shown closed."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from local.control import Control
from shared.errors import UnavailableError
from shared.ledger.corrections import Clawback, Correction
from shared.ledger.ledger import Ledger
from shared.refunds.status import RefundStatus
from shared.wiring import Wiring
from tests.support.app import Storage
from tests.support.refunding import CHEST, COINS, GAME, SEASON, SWORD, Refunding, crafted


@pytest.fixture
async def world(wiring: Wiring, control: Control, storage: Storage) -> AsyncIterator[Refunding]:
    world = Refunding(wiring, control, storage)
    await world.prepare()
    yield world
    await world.queue.close()


async def bundle(world: Refunding, user: str) -> str:
    """A bundle that was bought, and what is in it consumed; its order."""
    order = await world.buy(user, CHEST)
    await world.fulfill(user, COINS, 100)
    await world.fulfill(user, SWORD)
    return order


async def test_gap_13_an_event_for_one_item_of_a_bundle_leaves_the_others(world: Refunding) -> None:
    user = await world.player()
    order = await bundle(world, user)
    await world.control.store.refund(user, order, products=[SWORD])

    await world.run()

    assert (await world.balance(user), await world.balance(user, SWORD)) == (100, 0)


async def test_gap_14_returned_takes_nothing_and_a_reversal_is_undone(world: Refunding) -> None:
    user = await world.player()
    returned, reversed_ = await world.buy(user, COINS, 50), await world.buy(user, COINS, 50)
    job = await world.fulfill(user, COINS, 100)
    line = next(line for line in job.lines if line.order_id == returned)
    await world.put(crafted(returned, line.line_id, eventState="Returned"))
    await world.control.store.charge_back(user, reversed_)
    await world.control.store.reverse_chargeback(user, reversed_)

    await world.run()

    assert await world.balance(user) == 100
    assert [each["quantity"] for each in await world.told("consumable.restored")] == [50]


async def test_gap_15_an_error_while_revoking_keeps_the_message(world: Refunding) -> None:
    class Away(Ledger):
        away = True

        async def apply_refund(self, user_id: str, lines: object, clawback: Clawback) -> Correction:
            if self.away:
                raise UnavailableError("storage-tables", "away")
            assert isinstance(lines, list)
            return await super().apply_refund(user_id, lines, clawback)

    user = await world.player()
    order = await world.buy(user, COINS, 5)
    await world.fulfill(user, COINS, 5)
    (event,) = await world.control.store.refund(user, order)
    ledger = Away(world.ledger.files._table, world.ledger._order_lines._table, world.events, clock=world.clock)

    tally = await world.refunds(ledger=ledger).run()

    assert tally is not None
    assert tally.failed == 1
    assert await world.left() == 1
    assert await world.balance(user) == 5
    ledger.away = False
    await world.put(event)
    await world.refunds(ledger=ledger).run()
    assert await world.balance(user) == 0


async def test_gap_16_an_event_before_its_grant_is_kept_and_matched_later(world: Refunding) -> None:
    user = await world.player()
    order = await world.buy(user, COINS, 5)
    line = (await world.control.store.books(user))[user]["orders"][0]["lines"][0]["lineItemId"]
    event = crafted(order.upper(), line.upper())
    await world.put(event)
    await world.run()
    assert await world.left() == 0
    await world.fulfill(user, COINS, 5)

    world.offset += timedelta(days=30)
    await world.run()

    assert (await world.found(event)).status is RefundStatus.APPLIED
    assert await world.balance(user) == 0


async def test_gap_17_one_broken_message_holds_up_no_other(world: Refunding) -> None:
    user = await world.player()
    order = await world.buy(user, COINS, 5)
    await world.fulfill(user, COINS, 5)
    await world.control.store.put_message(text="bm90IGpzb24=")
    await world.control.store.refund(user, order)

    tally = await world.run()

    assert tally.done == 2
    assert await world.balance(user) == 0
    assert len(await world.listed(RefundStatus.REVIEW)) == 1
    assert await world.left() == 0


async def test_gap_18_an_event_counts_once_by_its_id(world: Refunding) -> None:
    user = await world.player()
    orders = [await world.buy(user, COINS, 5) for _ in range(2)]
    await world.fulfill(user, COINS, 10)
    (event,) = await world.control.store.refund(user, orders[0], times=3)
    await world.run()
    await world.put(event)
    await world.put(event | {"id": event["id"].upper()})

    await world.run()

    assert await world.balance(user) == 5
    assert len(await world.listed(RefundStatus.APPLIED)) == 1


async def test_gap_19_passes_durables_and_games_are_told(world: Refunding) -> None:
    user = await world.player()
    subscription = await world.control.store.subscribe(user, SEASON)
    await world.control.store.refund_subscription(subscription["id"])
    for product_id in (GAME, CHEST):
        await world.control.store.refund(user, await world.buy(user, product_id), products=[product_id])

    await world.run()

    told = {each["productId"]: each for each in await world.told("entitlement.revoked")}
    assert told.keys() == {SEASON, GAME, CHEST}
    assert told[SEASON]["recurrenceId"] == subscription["id"]


async def test_gap_20_a_balance_below_zero_says_so_and_one_failure_stops_nobody(world: Refunding) -> None:
    class Unlucky(Ledger):
        unlucky = ""

        async def apply_refund(self, user_id: str, lines: object, clawback: Clawback) -> Correction:
            if user_id == self.unlucky:
                raise RuntimeError("nobody foresaw this")
            assert isinstance(lines, list)
            return await super().apply_refund(user_id, lines, clawback)

    ledger = Unlucky(world.ledger.files._table, world.ledger._order_lines._table, world.events, clock=world.clock)
    users = [await world.player() for _ in range(3)]
    for user in users:
        order = await world.buy(user, COINS, 5)
        await world.fulfill(user, COINS, 5)
        await world.control.store.refund(user, order)
    await world.spend(users[0], 3)
    ledger.unlucky = users[1]

    tally = await world.refunds(ledger=ledger).run()

    assert tally is not None
    assert (tally.done, tally.failed) == (2, 1)
    assert [await world.balance(user) for user in users] == [-3, 5, 0]
    told = {each["userId"]: (each["balance"], each["isNegative"]) for each in await world.told("consumable.revoked")}
    assert told == {users[0]: (-3, True), users[2]: (0, False)}
