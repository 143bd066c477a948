"""A refund stays open for work in hand that may have taken of its order line, and for no other."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from local.control import Control
from shared.auth.tokens import StoreIdKind
from shared.ledger.kinds import JobStatus
from shared.refunds.in_hand import WorkInHand
from shared.refunds.record import SHARDS as GROUP_SHARDS
from shared.refunds.status import RefundStatus
from shared.storage.tables import Table
from shared.wiring import Wiring
from tests.support.app import Storage
from tests.support.refunding import COINS, GAME, SWORD, Refunding, crafted


@pytest.fixture
async def world(wiring: Wiring, control: Control, storage: Storage) -> AsyncIterator[Refunding]:
    world = Refunding(wiring, control, storage)
    await world.prepare()
    yield world
    await world.queue.close()


@pytest.fixture
def reads(world: Refunding, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often tables of this world were read: ``get`` or ``first``, and which of them."""
    counted: Counter[str] = Counter()
    for name in ("get", "first"):
        read = getattr(Table, name)

        async def counting(table: Table, *arguments: Any, _read: Any = read, _name: str = name, **options: Any) -> Any:
            counted[f"{_name} {table.name.removeprefix(world.name) or 'refunds'}"] += 1
            return await _read(table, *arguments, **options)

        monkeypatch.setattr(Table, name, counting)
    return counted


async def stuck(world: Refunding, user: str, product_id: str) -> None:
    """A fulfilment that waits for a key."""
    await world.wiring.keys.intake.forget(user, StoreIdKind.COLLECTIONS)
    job = await world.fulfill(user, product_id)
    assert job.status is JobStatus.STUCK


async def test_a_stuck_fulfilment_of_another_product_keeps_no_refund_open(world: Refunding) -> None:
    user = await world.player()
    order = await world.buy(user, COINS, 10)
    await world.fulfill(user, COINS, 10)
    await stuck(world, user, SWORD)
    (event,) = await world.control.store.refund(user, order)

    await world.run()

    refund = await world.found(event)
    assert (refund.status, refund.due_on) == (RefundStatus.APPLIED, None)
    assert await world.balance(user) == 0


async def test_a_stuck_fulfilment_of_the_same_product_does(world: Refunding) -> None:
    user = await world.player()
    order = await world.buy(user, COINS, 10)
    await world.fulfill(user, COINS, 10)
    await stuck(world, user, COINS)
    (event,) = await world.control.store.refund(user, order)

    await world.run()

    refund = await world.found(event)
    assert (refund.status, refund.quantity) == (RefundStatus.APPLIED, 10)
    assert refund.due_on is not None


async def test_what_was_accepted_after_the_event_keeps_it_open_no_longer(world: Refunding) -> None:
    user = await world.player()
    order = await world.buy(user, COINS, 10)
    await world.fulfill(user, COINS, 10)
    await world.control.disturb("collections", {"status": 500, "when": "before"}, path="consume$", times=1)
    pending = await world.fulfill(user, COINS)
    (event,) = await world.control.store.refund(user, order)
    await world.run()
    assert (await world.found(event)).due_on is not None

    world.offset += timedelta(hours=2)
    await stuck(world, user, COINS)
    await world.ledger.files.remove(*await open_row(world, pending.user_id, pending.tracking_id))
    await world.run()

    assert (await world.found(event)).due_on is None


async def test_what_is_due_sooner_while_it_is_looked_for_is_found(
    world: Refunding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever reads page by page has passed the place that it goes to, and does not find it where it was."""
    user, files = await world.player(), world.ledger.files
    await world.buy(user, COINS, 10)
    await world.wiring.keys.intake.forget(user, StoreIdKind.COLLECTIONS)
    jobs = [await world.fulfill(user, COINS) for _ in range(3)]
    last = max(jobs, key=lambda job: job.filed_under)
    moves = iter([last])
    send = Table._send

    async def moving(table: Table, method: str, *arguments: Any, **options: Any) -> Any:
        answer = await send(table, method, *arguments, **options)
        if method == "GET" and (job := next(moves, None)):
            await files.replace(job, job, due=world.clock() - timedelta(hours=1))
        return answer

    for module in ("storage.tables", "refunds.in_hand"):
        monkeypatch.setattr(f"shared.{module}.MOST_A_PAGE", 1)
    monkeypatch.setattr(Table, "_send", moving)

    picture = await WorkInHand(world.ledger).picture(user, 0)

    assert picture.open[user] == {job.tracking_id for job in jobs}


async def open_row(world: Refunding, user: str, tracking_id: str) -> tuple[str, str]:
    rows = await world.storage.rows_of(user, world.books_table.name)
    (row,) = [row for row in rows if row["RowKey"].startswith("open|") and row["trackingId"] == tracking_id]
    return row["PartitionKey"], row["RowKey"]


async def test_what_is_open_is_read_once_for_all_events_that_were_in_hand(
    world: Refunding, reads: Counter[str]
) -> None:
    user = await world.player()
    orders = [await world.buy(user, COINS, 2) for _ in range(12)]
    await world.fulfill(user, COINS, 24)
    for order in orders:
        await world.control.store.refund(user, order)
    reads.clear()

    await world.run()

    assert reads["first books"] == 1
    # Once more where the books were looked into only after the lines.
    assert 12 <= reads["first lines"] <= 24
    assert reads["first refunds"] == 12 + 2 * GROUP_SHARDS
    assert await world.balance(user) == 0


async def test_what_waits_is_read_once_and_judged_by_one_read_of_its_group(
    world: Refunding, reads: Counter[str]
) -> None:
    events = [crafted(f"order-{number}", "line-1") for number in range(20)]
    for event in events:
        await world.put(event)
    await world.run()
    world.offset += timedelta(minutes=5)
    reads.clear()

    await world.run()

    assert reads == {"first refunds": 20 + 2 * GROUP_SHARDS, "first lines": 20}


async def test_a_game_costs_no_look_at_the_books(world: Refunding, reads: Counter[str]) -> None:
    await world.put(crafted("order-1", "line-1", GAME, productType="Game"))
    reads.clear()

    await world.run()

    assert reads["first books"] == reads["get books"] == 0
