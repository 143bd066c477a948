"""The Store's queue is read once through: in batches, inside the window, deleting last, leaving others' alone."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from local.control import Control
from shared.errors import UnavailableError
from shared.ledger.ledger import Ledger
from shared.ledger.record import LineRef
from shared.refunds.desk import Arrival
from shared.refunds.drain import MARGIN, MOST_TRIES, VISIBILITY, Drain, Tally
from shared.refunds.filing import RefundFiles
from shared.refunds.record import Refund
from shared.refunds.running import LONGEST_LOOK
from shared.refunds.status import RefundStatus
from shared.store.clawback_queue import MOST_AT_ONCE, ClawbackQueue, QueueMessage
from shared.store.errors import StoreAnswer, StoreUnknownError
from shared.wiring import Wiring
from tests.support.app import Storage
from tests.support.refunding import COINS, Refunding, crafted


@pytest.fixture
async def world(wiring: Wiring, control: Control, storage: Storage) -> AsyncIterator[Refunding]:
    world = Refunding(wiring, control, storage)
    await world.prepare()
    yield world
    await world.queue.close()


class Watched(ClawbackQueue):
    """The queue, with its calls counted, its deletions lost on demand, and a clock that runs while it is read."""

    def __init__(self, world: Refunding) -> None:
        super().__init__(world.queue._find)
        self.pages: list[int] = []
        self.deleted: list[str] = []
        self.lose_deletions = False

    async def receive(self, visibility_seconds: int) -> list[QueueMessage]:
        page = await super().receive(visibility_seconds)
        self.pages.append(len(page))
        return page

    async def delete(self, message: QueueMessage) -> bool:
        if self.lose_deletions:
            return False
        self.deleted.append(message.id)
        return await super().delete(message)


@pytest.fixture
async def queue(world: Refunding) -> AsyncIterator[Watched]:
    queue = Watched(world)
    yield queue
    await queue.close()


async def test_many_are_read_in_full_pages(world: Refunding, queue: Watched) -> None:
    user = await world.player()
    orders = [await world.buy(user, COINS, 2) for _ in range(40)]
    await world.fulfill(user, COINS, 80)
    for order in orders:
        await world.control.store.refund(user, order)

    tally = await world.refunds(queue=queue).run()

    assert tally is not None
    assert (tally.read, tally.done) == (40, 40)
    assert queue.pages == [32, 8, 0]
    assert await world.balance(user) == await world.truth(user) == 0
    assert await world.left() == 0


async def test_rounds_grow_while_they_are_quick_and_shrink_when_they_are_slow(
    world: Refunding, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Endless(Watched):
        def __init__(self, world: Refunding) -> None:
            super().__init__(world)
            self.seconds = 0.0

        async def receive(self, visibility_seconds: int) -> list[QueueMessage]:
            self.pages.append(visibility_seconds)
            number = len(self.pages)
            return [QueueMessage(f"{number}-{each}", "", "", 1, world.clock()) for each in range(MOST_AT_ONCE)]

        async def delete(self, message: QueueMessage) -> bool:
            return True

        def monotonic(self) -> float:
            return self.seconds

    class Slow:
        def open(self, message_id: str, content: str) -> Arrival:
            return Arrival(message_id, content, message_id, None, "", is_foreign=False, opened_at=0)

        async def settle(self, arrival: Arrival) -> None:
            reads = int(arrival.message_id.partition("-")[0])
            endless.seconds += 0.01 if reads <= 15 else 0.2

    endless = Endless(world)
    desk: Any = Slow()
    sizes: list[int] = []
    work = Drain._work

    async def noting(self: Drain, messages: Sequence[QueueMessage], until: float, tally: Tally) -> set[str]:
        sizes.append(len(messages) // MOST_AT_ONCE)
        return await work(self, messages, until, tally)

    monkeypatch.setattr(Drain, "_work", noting)

    tally = await Drain(endless, desk, monotonic=endless.monotonic).run()

    assert sizes[:7] == [1, 2, 4, 8, 8, 4, 4]
    assert tally.done == tally.read == MOST_AT_ONCE * sum(sizes)


async def test_what_was_read_is_worked_on_though_the_next_read_fails(world: Refunding) -> None:
    class Failing(Watched):
        async def receive(self, visibility_seconds: int) -> list[QueueMessage]:
            if len(self.pages) in {2, 3}:
                self.pages.append(0)
                raise StoreUnknownError(StoreAnswer("read clawback queue", None))
            return await super().receive(visibility_seconds)

    for number in range(70):
        await world.put(crafted(f"order-{number}", "line-1", eventState="Refunded"))
    queue = Failing(world)

    tally = await world.refunds(queue=queue).run()
    await queue.close()

    assert tally is not None
    assert queue.pages == [32, 32, 0, 0]
    assert await world.left() == 6


async def test_what_comes_back_is_counted_but_for_others(world: Refunding, queue: Watched) -> None:
    class Shown(Watched):
        async def receive(self, visibility_seconds: int) -> list[QueueMessage]:
            page = await super().receive(visibility_seconds)
            return [replace(message, dequeue_count=2) for message in page]

    await world.put(crafted("order-1", "line-1", eventState="Refunded"))
    await world.put(crafted("order-2", "line-1", sandboxId="XDKS.1"))
    shown = Shown(world)

    tally = await Drain(shown, world.desk()).run()
    await shown.close()

    assert (tally.read, tally.foreign, tally.again) == (2, 1, 1)


async def test_others_sandboxes_are_left_alone_and_do_not_loop(world: Refunding, queue: Watched) -> None:
    for sandbox in ("XDKS.1", "xdks.2"):
        await world.put(crafted("order-1", "line-1", sandboxId=sandbox))
    mine = crafted("order-1", "line-1", sandboxId="Retail", eventState="Refund")
    await world.put(mine)

    tally = await world.refunds(queue=queue).run()

    assert tally is not None
    assert (tally.read, tally.done, tally.foreign) == (3, 1, 2)
    assert await world.left() == 2
    assert (await world.found(mine)).status is RefundStatus.IGNORED
    assert len(await world.listed(RefundStatus.UNMATCHED)) == 0


async def test_what_comes_back_in_the_same_pass_ends_it(world: Refunding) -> None:
    class Impatient(Watched):
        async def receive(self, visibility_seconds: int) -> list[QueueMessage]:
            page = await super().receive(1)
            await asyncio.sleep(1.1)  # until Azurite shows them again: a queue's seconds cannot be moved
            return page

    await world.put(crafted("order-1", "line-1", sandboxId="XDKS.1"))
    queue = Impatient(world)

    tally = await world.refunds(queue=queue).run()
    await queue.close()

    assert tally is not None
    assert tally.foreign == 1
    assert queue.pages == [1, 1]


async def test_a_sandbox_of_our_own_is_compared_in_any_case(wiring: Wiring, control: Control, storage: Storage) -> None:
    world = Refunding(wiring, control, storage, sandbox="XDKS.1")
    await world.prepare()
    event = crafted("order-1", "line-1", sandboxId="xdks.1", eventState="Refunded")
    await world.put(event)
    await world.put(crafted("order-1", "line-1"))

    await world.run()
    await world.queue.close()

    assert (await world.found(event)).status is RefundStatus.IGNORED
    assert await world.left() == 1


async def test_what_nobody_can_read_is_kept_for_a_person_and_told_once(world: Refunding) -> None:
    await world.control.store.put_message(text="bm90IGpzb24=")
    await world.control.store.put_message(text="### no base64 ###")
    good = crafted("order-1", "line-1", eventState="Refunded")
    await world.put(good)

    await world.run()
    await world.run()

    refunds = await world.listed(RefundStatus.REVIEW)
    assert {refund.content for refund in refunds} == {"bm90IGpzb24=", "### no base64 ###"}
    assert {refund.event for refund in refunds} == {None}
    assert {each["refundId"] for each in await world.told("refund.review-needed")} == {
        refund.event_id for refund in refunds
    }
    assert len(await world.told("refund.review-needed")) == 2
    assert (await world.found(good)).status is RefundStatus.IGNORED
    assert await world.left() == 0


@pytest.mark.parametrize("change", [{"eventState": "Confiscated"}, {"productType": "Boat"}, {"type": "V3"}])
async def test_what_nobody_documented_is_kept_for_a_person(world: Refunding, change: dict[str, str]) -> None:
    user = await world.player()
    order = await world.buy(user, COINS, 5)
    job = await world.fulfill(user, COINS, 5)
    event = crafted(order, job.lines[0].line_id, **change)
    await world.put(event, times=3)

    await world.run()

    assert (await world.found(event)).status is RefundStatus.REVIEW
    assert await world.balance(user) == 5
    (told,) = await world.told("refund.review-needed")
    assert told["orderId"] == order
    assert await world.left() == 0


async def test_a_message_whose_receipt_was_lost_does_no_harm(world: Refunding, queue: Watched) -> None:
    user = await world.player()
    order = await world.buy(user, COINS, 5)
    await world.fulfill(user, COINS, 5)
    (event,) = await world.control.store.refund(user, order)
    queue.lose_deletions = True
    await world.refunds(queue=queue).run()
    assert await world.left() == 1
    await world.put(event)
    queue.lose_deletions = False

    await world.refunds(queue=queue).run()

    assert await world.balance(user) == 0
    assert len(await world.told("consumable.revoked")) == 1


async def test_events_come_many_times_and_count_once(world: Refunding) -> None:
    user = await world.player()
    order = await world.buy(user, COINS, 5)
    await world.buy(user, COINS, 5)
    await world.fulfill(user, COINS, 10)
    await world.control.store.refund(user, order, times=20)

    tally = await world.run()

    assert tally.done == 20
    assert await world.balance(user) == await world.truth(user) == 5
    assert len(await world.told("consumable.revoked")) == 1


async def test_several_runs_at_once_do_no_harm(world: Refunding) -> None:
    user = await world.player()
    orders = [await world.buy(user, COINS, 3) for _ in range(12)]
    await world.fulfill(user, COINS, 36)
    for order in orders[:11]:
        await world.control.store.refund(user, order, times=3)
    desks = [world.desk() for _ in range(4)]

    tallies = await asyncio.gather(*(Drain(world.queue, desk).run() for desk in desks))

    assert sum(tally.done + tally.failed for tally in tallies) == 33
    await world.run()
    assert await world.balance(user) == await world.truth(user) == 3
    assert len(await world.told("consumable.revoked")) == 11


async def test_a_lease_keeps_others_away(world: Refunding) -> None:
    await world.put(crafted("order-1", "line-1", eventState="Refunded"))
    one, other = world.refunds(), world.refunds()

    ran = await asyncio.gather(one.run(), other.run())

    assert [tally is None for tally in ran].count(True) == 1
    assert await world.left() == 0


async def test_what_was_not_reached_inside_the_window_is_left_for_later(world: Refunding, queue: Watched) -> None:
    for number in range(10):
        await world.put(crafted(f"order-{number}", "line-1", eventState="Refunded"))
    ticks = iter([0.0, *[1.0] * 4, *[float(VISIBILITY - MARGIN)] * 20])

    tally = await Drain(queue, world.desk(), monotonic=lambda: next(ticks)).run()

    assert (tally.read, tally.done, tally.late) == (4, 4, 6)
    assert await world.left() == 6
    assert len(queue.deleted) == 4


async def test_a_message_is_deleted_only_after_the_commit(world: Refunding, queue: Watched) -> None:
    class Away:
        async def send(self, *_: Any) -> None:
            raise UnavailableError("storage-queues", "away")

    await world.control.store.put_message(text="broken")
    events: Any = Away()

    tally = await world.refunds(queue=queue, events=events).run()

    assert tally is not None
    assert (tally.done, tally.failed) == (0, 1)
    assert queue.deleted == []
    assert await world.listed(RefundStatus.REVIEW) == []
    await world.control.store.put_message(text="broken")
    await world.run()
    assert len(await world.listed(RefundStatus.REVIEW)) == 1


async def test_a_message_that_always_fails_is_kept_before_the_queue_forgets_it(world: Refunding) -> None:
    class Old(Watched):
        tries = MOST_TRIES - 1

        async def receive(self, visibility_seconds: int) -> list[QueueMessage]:
            page = await super().receive(visibility_seconds)
            return [replace(message, dequeue_count=self.tries) for message in page]

    class Broken(Ledger):
        async def lines_of_order(self, order_id: str) -> list[LineRef]:
            raise RuntimeError(order_id)

    tables = world.ledger.files._table, world.ledger._order_lines._table
    broken, queue = Broken(*tables, world.events, clock=world.clock), Old(world)
    user = await world.player()
    order = await world.buy(user, COINS, 5)
    await world.fulfill(user, COINS, 5)
    (event,) = await world.control.store.refund(user, order)
    await world.refunds(queue=queue, ledger=broken).run()
    assert (await world.left(), await world.listed(RefundStatus.REVIEW)) == (1, [])
    await world.put(event)

    queue.tries = MOST_TRIES
    await world.refunds(queue=queue, ledger=broken).run()
    await queue.close()

    assert await world.left() == 1
    assert (await world.found(event)).status is RefundStatus.REVIEW
    assert len(await world.told("refund.review-needed")) == 1
    await world.run()
    assert (await world.found(event)).status is RefundStatus.APPLIED
    assert await world.balance(user) == 0


async def test_one_that_cannot_even_be_set_aside_holds_up_no_other(world: Refunding) -> None:
    bad = crafted("order-0", "line-1", eventState="Refunded")

    class Old(Watched):
        async def receive(self, visibility_seconds: int) -> list[QueueMessage]:
            return [replace(message, dequeue_count=MOST_TRIES) for message in await super().receive(visibility_seconds)]

    class Broken(RefundFiles):
        async def of_group(self, group: str, shard: str) -> list[Refund]:
            if group == "order-0":
                raise RuntimeError(group)
            return await super().of_group(group, shard)

    await world.put(bad)
    for number in range(1, 40):
        await world.put(crafted(f"order-{number}", "line-1", eventState="Refunded"))
    queue = Old(world)

    tally = await world.refunds(queue=queue, files=Broken(world.table)).run()
    await queue.close()

    assert tally is not None
    assert (tally.done, tally.failed) == (39, 1)
    assert await world.left() == 1


async def test_an_address_that_ended_is_renewed_on_the_way(world: Refunding, control: Control) -> None:
    await world.prepare(sasLifetimeSeconds=1)
    since = await control.last_seen()
    await world.run()
    await world.put(crafted("order-1", "line-1", eventState="Refunded"))

    async def read() -> bool:
        return (await world.run()).done == 1 and await control.count(path="sastoken$", since=since) > 1

    # Azure and Azurite end an address on whole seconds; each run that comes later needs another one.
    await asyncio.sleep(2.1)

    assert await read()
    assert await world.left() == 0


async def test_without_a_queue_what_waits_is_looked_at_all_the_same(world: Refunding) -> None:
    user = await world.player()
    order = await world.buy(user, COINS, 10)
    line = (await world.control.store.books(user))[user]["orders"][0]["lines"][0]["lineItemId"]
    event = crafted(order, line)
    await world.put(event)
    await world.run()
    await world.fulfill(user, COINS, 10)
    await world.control.store.disconnect_clawback()
    world.queue._address = None
    world.offset += timedelta(minutes=1)

    tally = await world.run()

    assert tally.read == 0
    assert (await world.found(event)).status is RefundStatus.APPLIED


async def test_looking_again_ends_in_time_and_goes_on_with_the_next_run(
    world: Refunding, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = [crafted(f"order-{number}", "line-1") for number in range(3)]
    for event in events:
        await world.put(event)

    async def tries() -> int:
        return sum([(await world.found(event)).attempts for event in events])

    await world.run()
    before = await tries()
    world.offset += timedelta(minutes=10)
    desk = world.desk()
    look_again, looked = desk.look_again, list[Refund]()

    async def noting(refund: Refund, since: float | None = None) -> None:
        looked.append(refund)
        await look_again(refund, since)

    with monkeypatch.context() as patched:
        patched.setattr(world, "desk", lambda: desk)
        patched.setattr(desk, "look_again", noting)
        patched.setattr(desk, "now", lambda: LONGEST_LOOK if looked else 0.0)
        await world.refunds().run()
    assert await tries() == before + 1

    await world.run()
    assert await tries() == before + 3


async def test_what_waits_is_looked_at_oldest_first_and_never_lost(
    world: Refunding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.refunds.running.MOST_AGAIN", 2)
    monkeypatch.setattr("shared.refunds.running._PAGE", 2)
    events = [crafted(f"order-{number}", "line-1") for number in range(5)]
    for event in events:
        await world.put(event)
    await world.run()

    async def looks() -> list[int]:
        return [(await world.found(event)).attempts for event in events]

    counts = [await looks()]
    for _ in range(4):
        world.offset += timedelta(seconds=30)
        await world.run()
        counts.append(await looks())

    assert [sum(after) - sum(before) for before, after in pairwise(counts)] == [2, 2, 2, 2]
    assert min(counts[-1]) >= 2, "one was never looked at again"
