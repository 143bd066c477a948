"""What lasts: storage that is away, a look-up that never answers, events that nobody takes, clocks that were wrong."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from local.control import Control
from local.stack import Servers
from shared.auth.tokens import StoreIdKind
from shared.errors import UnavailableError
from shared.events import ConsumableGrantedData, Events, consumable_granted
from shared.fulfillment.messages import FulfillmentMessage
from shared.fulfillment.schedule import LOOK_UP_PATIENCE
from shared.fulfillment.sweeper import FAR_TURNS, PAGE
from shared.keys.intake import Intake as KeyIntake
from shared.ledger.kinds import JobStatus
from shared.ledger.record import LineRef
from shared.messages import decode_message
from shared.storage.transactions import MAX_OPERATIONS, Operation
from shared.store.user_store_id import UserStoreIdKey
from shared.wiring import Wiring
from tests.support.app import unique
from tests.support.fulfilling import Asked, FatefulQueue, FatefulTable, Fulfilling, Instance

CONSUME = r"/collections/consume$"
QUERY = r"/collections/publisherQuery$"


class Unreachable(FatefulQueue):
    """A queue that is away."""

    async def send(self, *_: object, **__: object) -> None:
        raise UnavailableError("storage-queues", "is away")


class Choosy(FatefulQueue):
    """A queue that takes no event of one player: it is too large, say."""

    unwanted = ""

    async def send(self, message: object, *, time_to_live: int | None = None, delay: float = 0) -> None:
        if isinstance(message, dict) and message["data"]["userId"] == self.unwanted:
            raise RuntimeError("RequestBodyTooLarge")
        await super().send(message, time_to_live=time_to_live, delay=delay)


@pytest.fixture
async def world(wiring: Wiring, stack: Servers) -> AsyncIterator[Fulfilling]:
    world = Fulfilling(wiring, stack.control)
    await world.open()
    yield world
    await world.close()


@pytest.fixture
async def instance(world: Fulfilling) -> Instance:
    return world.instance()


def chest(player: str, world: Fulfilling) -> Asked:
    return Asked(player, world.chest, 1, "UnmanagedConsumable")


async def status(world: Fulfilling, asked: Asked) -> JobStatus:
    return (await world.job(asked)).status


class TestTablesAway:
    async def test_a_message_is_put_back_however_long_it_lasts(
        self, world: Fulfilling, instance: Instance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 2)

        async def away(*_: object) -> list[str]:
            raise UnavailableError("storage-tables", "answered 503")

        with monkeypatch.context() as patched:
            patched.setattr(FatefulTable, "commit", away)
            message = asked.message
            for _ in range(20):
                await instance.intake.take(message)
                assert world.jobs.due(world.clock()) == [], "not at once"
                world.later(seconds=40)
                (letter,) = world.jobs.due(world.clock())
                message = decode_message(letter, FulfillmentMessage)

        await instance.intake.take(message)
        assert await status(world, asked) is JobStatus.GRANTED
        assert await world.balance(asked.user_id) == 2
        assert world.jobs.lying == []

    async def test_with_the_queues_away_as_well_it_is_the_hosts_to_repeat(
        self, world: Fulfilling, instance: Instance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 2)

        async def away(*_: object, **__: object) -> list[str]:
            raise UnavailableError("storage-tables", "answered 503")

        with monkeypatch.context() as patched:
            patched.setattr(FatefulTable, "commit", away)
            patched.setattr(FatefulQueue, "send", away)
            with pytest.raises(UnavailableError):
                await instance.intake.take(asked.message)


class TestLookUps:
    @pytest.mark.parametrize("lost", [False, True], ids=["answered", "answer lost"])
    async def test_one_that_never_answers_holds_up_a_consume_for_minutes_and_not_for_ever(
        self, world: Fulfilling, instance: Instance, control: Control, *, lost: bool
    ) -> None:
        player = await world.player()
        order = await world.store.buy(player, world.chest)
        asked = chest(player, world)
        await control.disturb("collections", {"status": 500}, path=QUERY)
        if lost:
            await control.disturb("collections", {"drop": "after"}, path=CONSUME, times=1)

        await instance.intake.take(asked.message)
        waited = 0
        while await world.requests(asked) == 0 and waited < 120:
            waited += 1
            world.later(minutes=1)
            await world.sweep()
        await world.settle()

        assert LOOK_UP_PATIENCE.total_seconds() / 60 <= waited < 60
        job = await world.job(asked)
        assert job.status is JobStatus.GRANTED
        assert await world.carried_out(asked) == 1
        known = await instance.ledger.lines_of_order(order["orderId"])
        unknown = await instance.ledger.unlinked_lines(world.chest, 10)
        assert (len(known), len(unknown)) == ((0, 1) if lost else (1, 0))

    async def test_one_that_answers_in_time_is_waited_for(
        self, world: Fulfilling, instance: Instance, control: Control
    ) -> None:
        player = await world.player()
        order = await world.store.buy(player, world.chest)
        asked = chest(player, world)
        await control.disturb("collections", {"status": 500}, path=QUERY)
        await instance.intake.take(asked.message)
        world.later(minutes=2)
        await world.sweep()
        assert await world.requests(asked) == 0

        await control.calm()
        world.later(minutes=5)
        await world.sweep()

        job = await world.job(asked)
        assert job.status is JobStatus.GRANTED
        assert job.transaction_id == order["orderId"]


class TestKeys:
    async def test_what_waits_for_a_key_is_tried_at_once_when_there_is_one(
        self, world: Fulfilling, instance: Instance
    ) -> None:
        player = unique()
        await world.store.buy(player, world.coins, 10)
        jobs = [Asked(player, world.coins, 1) for _ in range(3)]
        for asked in jobs:
            await instance.intake.take(asked.message)
        world.later(days=5)
        await world.sweep()
        waiting = [await world.job(asked) for asked in jobs]
        assert {job.status for job in waiting} == {JobStatus.STUCK}
        assert all(job.reason and job.reason.startswith("not over after 5 days: ") for job in waiting)
        world.work.lying.clear()

        await world.hand_in_key(player)
        await instance.intake.hurry(player)
        await world.drain()

        assert await world.balance(player) == 3

    @pytest.mark.parametrize("died", [False, True], ids=["lived", "died before it told of the key"])
    async def test_so_it_is_when_another_one_is_kept_that_the_store_may_not_take(
        self, world: Fulfilling, instance: Instance, *, died: bool
    ) -> None:
        player, parts = unique(), world.wiring
        deaths = iter([died])

        async def hurry(user_id: str) -> None:
            if next(deaths, False):
                raise UnavailableError("storage-tables", "is away")
            await instance.intake.hurry(user_id)

        await world.store.buy(player, world.coins, 10)
        asked = Asked(player, world.coins, 1)
        await instance.intake.take(asked.message)
        old, new = [await world.control.store_id("collections", player, issuedDaysAgo=days) for days in (2, 1)]
        await parts.keys.intake.keep(player, StoreIdKind.COLLECTIONS, UserStoreIdKey(old))
        keys = KeyIntake(
            parts.core.publisher,
            parts.keys.files,
            parts.keys.sealer,
            parts.core.entra,
            parts.store.key_service,
            match_user=False,
            hurry=hurry,
        )
        world.work.lying.clear()

        await keys.keep(player, StoreIdKind.COLLECTIONS, UserStoreIdKey(new))
        assert await world.drain() == (0 if died else 1)

        await keys.keep(player, StoreIdKind.COLLECTIONS, UserStoreIdKey(new))
        assert await world.drain() == (1 if died else 0)
        assert await world.balance(player) == 1

    async def test_what_is_doubted_or_in_work_is_not_hurried(
        self, world: Fulfilling, instance: Instance, control: Control
    ) -> None:
        asked = Asked(await world.player(coins=1), world.coins, 1)
        await control.disturb("collections", {"status": 500}, path=CONSUME)
        await instance.intake.take(asked.message)
        claimed = Asked(unique(), world.coins, 1)
        await instance.intake.take(claimed.message)
        stuck = await world.job(claimed)
        in_work = await instance.ledger.files.replace(stuck, instance.worker.claimed(stuck))
        world.work.lying.clear()

        await instance.intake.hurry(asked.user_id)
        await instance.intake.hurry(claimed.user_id)

        assert world.work.lying == []
        assert (await world.job(claimed)).etag == in_work.etag


class TestSweeps:
    async def test_many_events_that_nobody_takes_hold_up_no_fulfilment(
        self, world: Fulfilling, instance: Instance
    ) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 2)
        rows = []
        for number in range(2 * PAGE):
            data = ConsumableGrantedData(asked.user_id, f"an earlier one {number}", world.coins, 1, 1, "RETAIL")
            rows.append(instance.ledger.outbox.row(asked.user_id, consumable_granted(data, world.clock())))
        for page in (rows[:PAGE], rows[PAGE:]):
            await instance.ledger.files.commit([Operation("put", row) for row in page])
        world.later(seconds=10)
        await instance.intake.accept(asked.request)
        world.work.lying.clear()
        world.later(minutes=3)

        sweeping = world.instance()
        sweeping.ledger.outbox._events = Events(Unreachable(world, world.told, "events", sweeping.fate))
        await sweeping.sweeper.sweep()
        await world.drain(instance)

        assert await status(world, asked) is JobStatus.GRANTED
        assert {row["RowKey"] for row in rows} <= await all_open_rows(world)

    async def test_an_event_that_is_never_taken_holds_up_no_other(self, world: Fulfilling, instance: Instance) -> None:
        players = await world.player(), await world.player()
        for player in players:
            data = ConsumableGrantedData(player, "an earlier one", world.coins, 1, 1, "RETAIL")
            row = instance.ledger.outbox.row(players[0], consumable_granted(data, world.clock()))
            await instance.ledger.files.commit([Operation("put", row)])
        world.later(minutes=3)
        sweeping = world.instance()
        queue = Choosy(world, world.told, "events", sweeping.fate)
        queue.unwanted = players[0]
        sweeping.ledger.outbox._events = Events(queue)

        await sweeping.sweeper.sweep()

        assert [len(world.events(player)) for player in players] == [0, 1]
        assert len(await world.open_rows()) == 1

    async def test_what_a_clock_that_was_far_ahead_filed_is_swept_all_the_same(
        self, world: Fulfilling, instance: Instance
    ) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 2)
        world.later(days=20)
        await instance.intake.accept(asked.request)
        world.work.lying.clear()
        world.later(days=-20, minutes=1)

        for _ in range(FAR_TURNS):
            await instance.sweeper.sweep()
        await world.drain()

        assert await status(world, asked) is JobStatus.GRANTED

    async def test_what_is_only_to_be_swept_tomorrow_is_left_alone(self, world: Fulfilling, instance: Instance) -> None:
        asked = Asked(unique(), world.coins, 2)
        await instance.intake.take(asked.message)
        world.later(days=40)
        await world.sweep()
        job, calls = await world.job(asked), len(instance.fate.calls)
        world.work.lying.clear()

        for _ in range(FAR_TURNS):
            await instance.sweeper.sweep()

        assert len(instance.fate.calls) == calls
        assert await world.job(asked) == job


class TestLargeOrders:
    async def test_all_lines_of_an_order_are_found(self, world: Fulfilling, instance: Instance) -> None:
        order, count = unique("order"), 10_050
        table = instance.ledger._order_lines._table
        assert isinstance(table, FatefulTable)
        refs = [
            {
                "PartitionKey": order,
                "RowKey": f"line|{number:06}",
                "orderId": order,
                "lineId": "line",
                "productId": world.coins,
                "trackingId": str(number),
                "userId": "player",
            }
            for number in range(count)
        ]
        pages = [refs[start : start + MAX_OPERATIONS] for start in range(0, count, MAX_OPERATIONS)]
        for page in pages:
            await table.commit([Operation("put", row) for row in page])

        found = await instance.ledger.lines_of_order(order)

        assert found == [LineRef(order, "line", world.coins, str(number), "player") for number in range(count)]


async def all_open_rows(world: Fulfilling) -> set[str]:
    table = FatefulTable(world.wiring, f"{world.name}books", world.instance().fate)
    shards = [f"{shard:02x}" for shard in range(32)]
    pages = await asyncio.gather(*(table.first(shard, "open|", "open|~", 1_000) for shard in shards))
    return {row["RowKey"] for page in pages for row in page}
