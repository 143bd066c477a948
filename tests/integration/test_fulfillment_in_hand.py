"""Over HTTP a process carries out itself what it takes; what has ended is no longer swept, and removed with others."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from local.control import Control
from local.stack import Servers
from shared.fulfillment.in_hand import ANSWER_WITHIN
from shared.ledger.closing import Closing
from shared.ledger.kinds import JobStatus
from shared.ledger.record import Job
from shared.storage.transactions import ConflictError, Operation
from shared.wiring import Wiring
from tests.support.fulfilling import Asked, Fate, FatefulTable, Fulfilling, Instance
from tests.support.polling import eventually

CONSUME = r"/collections/consume$"


@pytest.fixture
async def world(wiring: Wiring, stack: Servers) -> AsyncIterator[Fulfilling]:
    world = Fulfilling(wiring, stack.control)
    await world.open()
    yield world
    await world.close()


@pytest.fixture
async def instance(world: Fulfilling) -> Instance:
    """A process with nothing in memory, as the app has it."""
    return world.instance(at_once=32)


class TestInHand:
    async def test_the_answer_says_that_it_is_granted(self, world: Fulfilling, instance: Instance) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 4)

        job = await instance.intake.accept(asked.request)

        assert (job.status, job.balance, job.new_quantity) == (JobStatus.GRANTED, 4, 6)
        assert (await world.job(asked)).etag == job.etag
        assert world.work.lying == []
        assert not await world.open_rows()

    async def test_it_costs_the_storage_no_message_and_no_claim_beside_the_row(
        self, world: Fulfilling, instance: Instance
    ) -> None:
        player = await world.player()
        order = await world.store.buy(player, world.coins, 10)

        await instance.intake.accept(Asked(player, world.coins, 4).request)

        assert sorted(instance.fate.calls) == [
            "commit create job, create open",
            "commit delete open",
            f"commit put {order['lines'][0]['lineItemId']}",
            "commit replace job, create balance",
            "consume",
            "put events",
            "read balance",
        ]

    async def test_a_refusal_is_told_at_once(self, world: Fulfilling, instance: Instance) -> None:
        asked = Asked(await world.player(coins=1), world.coins, 2)

        job = await instance.intake.accept(asked.request)

        assert job.status is JobStatus.REFUSED
        assert not await world.open_rows()

    async def test_a_slow_store_does_not_keep_the_caller(
        self, world: Fulfilling, instance: Instance, control: Control
    ) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 4)
        await control.disturb("collections", {"latencyMs": (ANSWER_WITHIN + 1) * 1000}, path=CONSUME, times=1)

        job = await instance.intake.accept(asked.request)
        assert job.status is JobStatus.PENDING

        async def granted() -> bool:
            return (await world.job(asked)).status is JobStatus.GRANTED

        await eventually(granted)
        assert world.work.lying == []

    async def test_who_has_its_hands_full_leaves_the_rest_to_all(self, world: Fulfilling, control: Control) -> None:
        player = await world.player(coins=10)
        instance = world.instance(at_once=1)
        await control.disturb("collections", {"latencyMs": 500}, path=CONSUME)
        jobs = [Asked(player, world.coins, 1) for _ in range(3)]

        told = await asyncio.gather(*(instance.intake.accept(asked.request) for asked in jobs))

        assert sorted(job.status for job in told) == [JobStatus.GRANTED, JobStatus.PENDING, JobStatus.PENDING]
        assert await world.drain() == 2
        assert await world.balance(player) == 3

    async def test_hands_are_free_again_whatever_came_of_it(self, world: Fulfilling) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 1)
        refused = Asked(asked.user_id, world.coins, 100)
        instance = world.instance(at_once=1)

        for request in (asked, asked, refused, refused, Asked(asked.user_id, world.coins, 1)):
            await instance.intake.accept(request.request)

        assert world.work.lying == []
        assert await world.balance(asked.user_id) == 2

    async def test_what_nobody_foresaw_is_in_the_log_though_its_caller_is_gone(
        self, world: Fulfilling, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 1)
        instance = world.instance(at_once=1)

        async def broken(_: Job) -> None:
            raise RuntimeError("out of order")

        with monkeypatch.context() as patched:
            patched.setattr(instance.worker, "carry_out", broken)
            job = await instance.intake.accept(asked.request)

        assert job.status is JobStatus.PENDING
        assert "out of order" in caplog.text
        world.later(minutes=2)
        await world.settle()
        assert await world.balance(asked.user_id) == 1

    async def test_a_hundred_at_once_in_four_processes_are_one(self, world: Fulfilling) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 5)
        processes = [world.instance(at_once=32) for _ in range(4)]

        await asyncio.gather(*(processes[number % 4].intake.accept(asked.request) for number in range(100)))
        await world.settle()

        assert await world.requests(asked) == 1
        assert await world.balance(asked.user_id) == 5
        assert len(world.events(asked.user_id)) == 1


class TestClaims:
    async def test_one_whose_answer_was_lost_is_gone_on_with(
        self, world: Fulfilling, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 3)
        await world.instance().intake.accept(asked.request)
        commit, losses = FatefulTable.commit, iter([True])

        async def lost_once(table: FatefulTable, operations: Sequence[Operation]) -> list[str]:
            etags = await commit(table, operations)
            if next(losses, False):
                raise ConflictError(0)  # what the SDK sends again meets our own row
            return etags

        with monkeypatch.context() as patched:
            patched.setattr(FatefulTable, "commit", lost_once)
            await world.drain()

        assert (await world.job(asked)).status is JobStatus.GRANTED
        assert await world.requests(asked) == 1
        assert await world.balance(asked.user_id) == 3


class TestClosing:
    async def test_rows_of_a_shard_go_together_and_one_that_is_gone_is_in_nobodys_way(self, world: Fulfilling) -> None:
        table = FatefulTable(world.wiring, f"{world.name}books", Fate())
        names = [f"open|{number}" for number in range(5)]
        await table.commit(
            [Operation("create", {"PartitionKey": "00", "RowKey": name}) for name in names if name != names[2]]
        )
        table.fate.calls.clear()
        closing = Closing(table, pause=0.1)

        for name in (*names, names[0]):
            await closing.close("00", name)

        async def gone() -> bool:
            return not await table.first("00", "open|", "open|~", 10)

        await eventually(gone)
        assert len(table.fate.calls) == 2, "once with the one that is gone, once without"

    async def test_what_nobody_foresaw_is_in_the_log(
        self, world: Fulfilling, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def broken(*_: object) -> list[str]:
            raise RuntimeError("out of order")

        table = FatefulTable(world.wiring, f"{world.name}books", Fate())
        monkeypatch.setattr(table, "commit", broken)

        await Closing(table, pause=0.01).close("00", "open|1")

        async def said() -> bool:
            return "rows of shard 00 cannot be removed" in caplog.text and "out of order" in caplog.text

        await eventually(said)

    async def test_what_died_before_it_was_closed_is_told_again_under_the_same_id(self, world: Fulfilling) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 3)
        await world.instance(pause=3600).intake.take(asked.message)
        assert await world.open_rows()

        world.later(minutes=2)
        await world.settle()

        assert await world.requests(asked) == 1
        assert await world.balance(asked.user_id) == 3
        first, second = world.events(asked.user_id)
        assert first == second

    async def test_a_message_that_comes_again_meanwhile_does_nothing(self, world: Fulfilling) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 3)
        instance = world.instance(pause=3600)
        await instance.intake.take(asked.message)

        await instance.intake.take(asked.message)
        await world.instance().intake.take(asked.message)

        assert len(world.events(asked.user_id)) == 1
