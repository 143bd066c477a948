"""How a fulfilment goes from state to state, against a Store that does what the real one may do."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from local.control import Control
from local.stack import Servers
from shared.auth.tokens import StoreIdKind
from shared.errors import NotFoundError, StateConflictError, UnavailableError, UnprocessableError
from shared.events import ConsumableGrantedData, Events, consumable_granted
from shared.fulfillment.messages import WorkMessage, work_on
from shared.fulfillment.schedule import MAX_REFUSALS
from shared.keys.current import NoKeyError
from shared.ledger.kinds import JobStatus
from shared.messages import GivenUpError
from shared.storage.transactions import Operation
from shared.wiring import Wiring
from tests.support.app import unique
from tests.support.fulfilling import Asked, CrashError, Fate, FatefulQueue, Fulfilling, Instance

CONSUME = r"/collections/consume$"
QUERY = r"/collections/publisherQuery$"


class Unreachable(FatefulQueue):
    """A queue that is away."""

    async def send(self, *_: object, **__: object) -> None:
        raise UnavailableError("storage-queues", "is away")


@pytest.fixture
async def world(wiring: Wiring, stack: Servers) -> AsyncIterator[Fulfilling]:
    world = Fulfilling(wiring, stack.control)
    await world.open()
    yield world
    await world.close()


@pytest.fixture
async def instance(world: Fulfilling) -> Instance:
    """A process with nothing in memory."""
    return world.instance()


async def accepted(world: Fulfilling, instance: Instance, asked: Asked) -> None:
    """Asked for over HTTP and worked on once."""
    await instance.intake.accept(asked.request)
    await world.drain(instance)


async def status(world: Fulfilling, asked: Asked) -> JobStatus:
    return (await world.job(asked)).status


class TestWhatIsAskedFor:
    async def test_it_is_pending_until_a_worker_has_granted_it(self, world: Fulfilling, instance: Instance) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 4)

        job = await instance.intake.accept(asked.request)
        assert (job.status, await world.balance(asked.user_id)) == (JobStatus.PENDING, 0)
        await world.drain(instance)

        job = await world.job(asked)
        assert (job.status, job.granted, job.balance, job.new_quantity) == (JobStatus.GRANTED, 4, 4, 6)
        assert await world.balance(asked.user_id) == 4
        (event,) = world.events(asked.user_id)
        assert event["type"] == "storekeeper.consumable.granted"
        assert event["data"] == {
            "userId": asked.user_id,
            "trackingId": asked.tracking_id,
            "productId": world.coins,
            "quantity": 4,
            "balance": 4,
            "sandbox": "RETAIL",
        }

    async def test_without_a_tracking_id_each_request_is_one_of_its_own(
        self, world: Fulfilling, instance: Instance
    ) -> None:
        player = await world.player(coins=10)
        first = await instance.intake.accept(Asked(player, world.coins, 1, tracking_id="").request)
        second = await instance.intake.accept(Asked(player, world.coins, 1, tracking_id="").request)
        await world.drain(instance)

        assert first.tracking_id != second.tracking_id
        assert await world.balance(player) == 2

    async def test_the_same_id_in_other_letter_case_is_the_same_request(
        self, world: Fulfilling, instance: Instance
    ) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 1)
        await accepted(world, instance, asked)

        await accepted(world, instance, Asked(asked.user_id, world.coins, 1, tracking_id=asked.tracking_id.upper()))

        assert await world.balance(asked.user_id) == 1

    async def test_a_product_in_other_letter_case_is_the_same_product(
        self, world: Fulfilling, instance: Instance
    ) -> None:
        player = await world.player(coins=10)
        asked = Asked(player, world.coins.lower(), 1)
        await accepted(world, instance, asked)
        await accepted(world, world.instance(), Asked(player, world.coins, 2))
        await accepted(world, instance, Asked(player, world.coins, 1, tracking_id=asked.tracking_id))

        (balance,) = await instance.intake.balances(player, None)
        assert (balance.product_id, balance.quantity) == (world.coins, 3)

    @pytest.mark.parametrize("change", ["quantity", "product", "kind", "sandbox"])
    async def test_another_content_under_an_id_changes_nothing(
        self, world: Fulfilling, instance: Instance, change: str
    ) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 1)
        await accepted(world, instance, asked)
        before = await world.job(asked)

        other = {
            "quantity": Asked(asked.user_id, world.coins, 2),
            "product": Asked(asked.user_id, world.chest, 1),
            "kind": Asked(asked.user_id, world.coins, 1, "UnmanagedConsumable"),
            "sandbox": Asked(asked.user_id, world.coins, 1, sandbox="XDKS.1"),
        }[change]
        other.tracking_id = asked.tracking_id
        with pytest.raises(StateConflictError) as conflict:
            await instance.intake.accept(other.request)
        with pytest.raises(GivenUpError, match="stands for another request"):
            await instance.intake.take(other.message)
        await world.drain(instance)

        assert len(conflict.value.faults) == 1
        assert await world.job(asked) == before
        assert await world.balance(asked.user_id) == 1
        assert await world.requests(asked) == 1

    async def test_what_the_store_could_not_do_is_refused_with_why(self, world: Fulfilling, instance: Instance) -> None:
        player = await world.player(chests=1)
        for asked, pointers in (
            (Asked(player, world.chest, 2, "UnmanagedConsumable"), ["/quantity"]),
            (Asked(player, world.chest, 1, "UnmanagedConsumable", sandbox="XDKS.1"), ["/sandbox"]),
            (Asked(player, world.chest, 2, "UnmanagedConsumable", sandbox="XDKS.1"), ["/quantity", "/sandbox"]),
        ):
            with pytest.raises(UnprocessableError) as refusal:
                await instance.intake.accept(asked.request)
            assert [fault.pointer for fault in refusal.value.faults] == pointers
            with pytest.raises(GivenUpError, match="cannot be fulfilled"):
                await instance.intake.take(asked.message)
            with pytest.raises(NotFoundError):
                await world.job(asked)

    async def test_balances_of_sandboxes_are_kept_apart(self, world: Fulfilling, instance: Instance) -> None:
        player = await world.player()
        await world.store.buy(player, world.coins, 5, sandbox="XDKS.1")
        await accepted(world, instance, Asked(player, world.coins, 5, sandbox="XDKS.1"))

        assert await world.balance(player) == 0
        assert [each.quantity for each in await instance.intake.balances(player, "xdks.1")] == [5]


class TestPlayersWithoutAKey:
    async def test_over_http_the_game_is_told_what_to_do(self, world: Fulfilling, instance: Instance) -> None:
        asked = Asked(unique(), world.coins, 1)

        with pytest.raises(NoKeyError, match="have the game make one"):
            await instance.intake.accept(asked.request)

        with pytest.raises(NotFoundError):
            await world.job(asked)
        assert not await world.open_rows()

    async def test_from_the_queue_it_waits_for_the_key(self, world: Fulfilling, instance: Instance) -> None:
        asked = Asked(unique(), world.coins, 2)
        await world.store.buy(asked.user_id, world.coins, 5)

        await instance.intake.take(asked.message)
        job = await world.job(asked)
        assert job.status is JobStatus.STUCK
        assert "have the game make one" in (job.reason or "")

        await world.hand_in_key(asked.user_id)
        await world.settle()
        assert await status(world, asked) is JobStatus.GRANTED
        assert await world.balance(asked.user_id) == 2

    async def test_a_game_that_asks_again_takes_the_claim_from_no_worker(
        self, world: Fulfilling, instance: Instance
    ) -> None:
        """The Store tells the order of a developer-managed unit once: what that worker was told must be kept."""
        asked = Asked(unique(), world.chest, 1, "UnmanagedConsumable")
        await instance.intake.take(asked.message)
        await world.store.buy(asked.user_id, world.chest)
        await world.hand_in_key(asked.user_id)
        stuck = await world.job(asked)
        claimed = await instance.ledger.files.replace(stuck, instance.worker.claimed(stuck))

        assert (await instance.intake.accept(asked.request)).etag == claimed.etag
        await instance.worker.carry_out(claimed)

        job = await world.job(asked)
        assert job.status is JobStatus.GRANTED
        assert all(line.line_id for line in job.lines)

    async def test_asking_again_with_a_key_has_it_tried_at_once(self, world: Fulfilling, instance: Instance) -> None:
        asked = Asked(unique(), world.coins, 2)
        await world.store.buy(asked.user_id, world.coins, 5)
        await instance.intake.take(asked.message)
        world.work.lying.clear()
        await world.hand_in_key(asked.user_id)

        await accepted(world, instance, asked)

        assert await status(world, asked) is JobStatus.GRANTED

    async def test_a_player_whose_key_is_gone_still_sees_what_was_granted(
        self, world: Fulfilling, instance: Instance
    ) -> None:
        asked = Asked(await world.player(coins=1), world.coins, 1)
        await accepted(world, instance, asked)
        await world.wiring.keys.intake.forget(asked.user_id, StoreIdKind.COLLECTIONS)

        assert (await instance.intake.accept(asked.request)).status is JobStatus.GRANTED


class TestRefusals:
    async def test_a_refusal_is_final_and_names_its_reason(self, world: Fulfilling, instance: Instance) -> None:
        asked = Asked(await world.player(coins=1), world.coins, 2)
        await accepted(world, instance, asked)

        job = await world.job(asked)
        assert job.status is JobStatus.REFUSED
        assert "QuantityTooLow" in (job.reason or "")
        assert not await world.open_rows()

        # The player buys what was missing; the id stays refused, another one is fulfilled.
        await world.store.buy(asked.user_id, world.coins, 5)
        await accepted(world, instance, asked)
        assert await status(world, asked) is JobStatus.REFUSED
        await accepted(world, instance, Asked(asked.user_id, world.coins, 2))
        assert await world.balance(asked.user_id) == 2

    async def test_after_an_unknown_outcome_a_refusal_is_doubted_and_then_shown_to_a_person(
        self, world: Fulfilling, instance: Instance, control: Control
    ) -> None:
        asked = Asked(await world.player(coins=1), world.coins, 2)
        await control.disturb("collections", {"status": 500}, path=CONSUME, times=1)
        await accepted(world, instance, asked)
        assert (await world.job(asked)).uncertain

        for refusals in range(1, MAX_REFUSALS):
            world.later(hours=1)
            await world.drain()
            job = await world.job(asked)
            assert (job.status, job.refusals) == (JobStatus.PENDING, refusals)
        world.later(hours=1)
        await world.drain()
        job = await world.job(asked)
        assert job.status is JobStatus.STUCK
        assert "look into it" in (job.reason or "")

        # It is tried all the same, now and then: an answer that comes very late still counts.
        await world.store.buy(asked.user_id, world.coins, 1)
        world.later(hours=13)
        await world.drain()
        assert await status(world, asked) is JobStatus.GRANTED

    async def test_a_refusal_after_a_worker_that_died_is_doubted(self, world: Fulfilling) -> None:
        """It may have consumed: nobody knows how far it came."""
        asked = Asked(await world.player(coins=1), world.coins, 2)
        undisturbed = Fate()
        await world.instance(undisturbed).intake.take(Asked(await world.player(coins=1), world.coins, 1).message)
        with pytest.raises(CrashError):
            await world.instance(Fate(undisturbed.calls.index("consume") + 1)).intake.take(asked.message)

        world.later(minutes=2)
        await world.sweep()

        job = await world.job(asked)
        assert (job.status, job.refusals, job.uncertain) == (JobStatus.PENDING, 1, True)


class TestUnknownOutcomes:
    @pytest.mark.parametrize(
        "effect",
        [
            {"status": 500, "when": "after"},
            {"status": 503, "when": "after", "retryAfter": 2},
            {"status": 408, "when": "after"},
            {"status": 200, "body": "<html>not what was expected", "when": "after"},
            {"status": 200, "body": {"newQuantity": 0}, "when": "after"},
            {"status": 404, "body": "a page of some proxy", "when": "after"},
            {"drop": "after"},
            {"drop": "before"},
            {"status": 500},
        ],
        ids=str,
    )
    async def test_the_same_consume_is_made_again_until_its_outcome_is_known(
        self, world: Fulfilling, instance: Instance, control: Control, effect: dict[str, object]
    ) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 3)
        await control.disturb("collections", effect, path=CONSUME, times=1)

        await accepted(world, instance, asked)
        job = await world.job(asked)
        assert (job.status, job.attempts, job.uncertain) == (JobStatus.PENDING, 1, True)
        assert await world.balance(asked.user_id) == 0
        assert not await world.drain(), "the next try is not made at once"

        world.later(seconds=30)
        await world.drain()
        assert await status(world, asked) is JobStatus.GRANTED
        assert await world.carried_out(asked) == 1
        assert await world.balance(asked.user_id) == await world.held(asked.user_id) == 3

    async def test_the_pauses_grow_and_after_days_it_is_shown_as_stuck_and_still_tried(
        self, world: Fulfilling, instance: Instance, control: Control
    ) -> None:
        asked = Asked(await world.player(coins=1), world.coins, 1)
        await control.disturb("collections", {"status": 500}, path=CONSUME)
        await accepted(world, instance, asked)
        pauses = []
        for _ in range(4):
            job = await world.job(asked)
            assert job.not_before
            pauses.append((job.not_before - world.clock()).total_seconds())
            world.later(seconds=pauses[-1] + 2)
            await world.drain()
        assert pauses == sorted(pauses)
        assert pauses[-1] > 4 * pauses[0]

        world.later(days=4)
        await world.drain()
        assert await status(world, asked) is JobStatus.STUCK

        await control.calm()
        world.later(hours=13)
        await world.sweep()
        assert await status(world, asked) is JobStatus.GRANTED

    async def test_asking_again_and_messages_that_come_twice_do_not_shorten_a_wait(
        self, world: Fulfilling, instance: Instance, control: Control
    ) -> None:
        asked = Asked(await world.player(coins=1), world.coins, 1)
        await control.disturb("collections", {"status": 503}, path=CONSUME)
        await instance.intake.take(asked.message)
        job = await world.job(asked)

        for _ in range(3):
            await instance.intake.take(asked.message)
            await accepted(world, instance, asked)
            await instance.worker.work(work_on(job))
            await instance.worker.work(WorkMessage(asked.user_id, asked.tracking_id))

        (fault,) = await control.faults()
        assert fault["applied"] == 1
        assert await world.job(asked) == job

    async def test_a_401_is_no_refusal(self, world: Fulfilling, instance: Instance, control: Control) -> None:
        asked = Asked(await world.player(coins=1), world.coins, 1)
        await control.disturb("collections", {"status": 401}, path=CONSUME)
        await accepted(world, instance, asked)
        job = await world.job(asked)
        assert job.status in {JobStatus.PENDING, JobStatus.STUCK}
        assert not job.uncertain

        await control.calm()
        world.later(hours=1)
        await world.drain()
        assert await status(world, asked) is JobStatus.GRANTED

    async def test_a_throttled_player_holds_up_nobody_else(
        self, world: Fulfilling, instance: Instance, control: Control
    ) -> None:
        greedy, modest = await world.player(coins=10), await world.player(coins=10)
        await control.store.set(operations=2, seconds=2)
        try:
            jobs = [Asked(greedy, world.coins, 1) for _ in range(4)]
            for asked in jobs:
                await accepted(world, instance, asked)
            await accepted(world, instance, Asked(modest, world.coins, 1))
            assert await world.balance(greedy) == 2
            assert await world.balance(modest) == 1
            waiting = [job for job in [await world.job(asked) for asked in jobs] if job.status is JobStatus.PENDING]
            assert [(job.attempts, job.uncertain) for job in waiting] == [(0, False)] * 2
        finally:
            await control.store.reset()

    async def test_the_vault_or_entra_away_is_not_the_players_fault(
        self, world: Fulfilling, instance: Instance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = Asked(await world.player(coins=1), world.coins, 1)

        async def away(*_: object, **__: object) -> None:
            raise UnavailableError("entra", "is away")

        with monkeypatch.context() as patched:
            patched.setattr(world.wiring.core.entra, "get_service_token", away)
            await accepted(world, instance, asked)
        job = await world.job(asked)
        assert (job.status, job.uncertain, job.reason) == (JobStatus.PENDING, False, "entra: is away")

        world.later(seconds=30)
        await world.drain()
        assert await status(world, asked) is JobStatus.GRANTED


class TestSeveralAtOnce:
    async def test_two_workers_with_one_message_consume_once(self, world: Fulfilling, instance: Instance) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 1)
        job = await instance.intake.accept(asked.request)

        await asyncio.gather(*(world.instance().worker.work(work_on(job)) for _ in range(8)))

        assert await world.requests(asked) == 1
        assert await world.balance(asked.user_id) == 1
        assert len(world.events(asked.user_id)) == 1

    async def test_a_hundred_duplicates_in_four_processes(self, world: Fulfilling, instance: Instance) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 5)
        processes = [world.instance() for _ in range(4)]

        await asyncio.gather(
            *(processes[number % 4].intake.take(asked.message) for number in range(50)),
            *(processes[number % 4].intake.accept(asked.request) for number in range(50)),
        )
        await world.drain()
        await world.settle()

        assert await world.carried_out(asked) == await world.requests(asked) == 1
        assert await world.balance(asked.user_id) == 5
        assert len(world.events(asked.user_id)) == 1

    async def test_many_fulfilments_of_one_player_share_a_balance_and_none_is_consumed_twice(
        self, world: Fulfilling, instance: Instance
    ) -> None:
        player = await world.player(coins=100)
        jobs = [Asked(player, world.coins, number) for number in range(1, 11)]

        await asyncio.gather(*(world.instance().intake.take(asked.message) for asked in jobs))

        assert [await world.requests(asked) for asked in jobs] == [1] * 10
        assert await world.balance(player) == await world.held(player) == 55

    async def test_one_process_that_remembers_a_balance_sees_what_others_did_to_it(
        self, world: Fulfilling, instance: Instance
    ) -> None:
        player = await world.player(coins=10)
        await instance.intake.take(Asked(player, world.coins, 1).message)
        await world.instance().intake.take(Asked(player, world.coins, 2).message)
        await instance.intake.take(Asked(player, world.coins, 3).message)

        assert await world.balance(player) == 6

    async def test_a_worker_that_wakes_late_commits_nothing(
        self, world: Fulfilling, instance: Instance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 2)
        asleep, wake = asyncio.Event(), asyncio.Event()
        post = instance.transport.post

        async def slow(*values: Any, **options: Any) -> Any:
            answer: Any = await post(*values, **options)
            asleep.set()
            await wake.wait()
            return answer

        monkeypatch.setattr(instance.transport, "post", slow)
        late = asyncio.create_task(instance.intake.take(asked.message))
        await asleep.wait()

        await world.instance().intake.take(asked.message)
        assert await world.balance(asked.user_id) == 0, "the claim holds others off"
        world.later(minutes=2)
        await world.sweep()
        assert await world.balance(asked.user_id) == 2, "the claim has run out: another worker took over"

        before = await world.job(asked)
        wake.set()
        await late
        assert await world.job(asked) == before
        assert await world.balance(asked.user_id) == 2
        assert await world.carried_out(asked) == 1
        assert len(world.events(asked.user_id)) == 1

    async def test_a_claim_of_a_clock_that_is_far_ahead_holds_nobody_off(
        self, world: Fulfilling, instance: Instance, control: Control
    ) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 2)
        job = await instance.intake.accept(asked.request)
        world.later(days=30)
        ahead = instance.worker.claimed(job)
        await instance.ledger.files.replace(job, ahead)
        world.later(days=-30)

        world.later(minutes=2)
        await world.sweep()

        assert await status(world, asked) is JobStatus.GRANTED


class TestWhatIsTold:
    async def test_an_outgoing_queue_that_is_down_delays_the_event_alone(
        self, world: Fulfilling, instance: Instance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 2)

        async def down(self: FatefulQueue, *_: object, **__: object) -> None:
            raise UnavailableError("storage-queues", "is away")

        with monkeypatch.context() as patched:
            patched.setattr(FatefulQueue, "send", down)
            await instance.intake.take(asked.message)
        assert await status(world, asked) is JobStatus.GRANTED
        assert world.events(asked.user_id) == []

        world.later(minutes=3)
        await world.sweep()
        (event,) = world.events(asked.user_id)
        assert event["data"]["trackingId"] == asked.tracking_id
        assert not await world.open_rows()

    async def test_an_event_that_cannot_be_sent_holds_up_no_fulfilment(
        self, world: Fulfilling, instance: Instance
    ) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 2)
        event = consumable_granted(
            ConsumableGrantedData(asked.user_id, "an earlier one", world.coins, 1, 1, "RETAIL"), world.clock()
        )
        waiting = instance.ledger.outbox.row(asked.user_id, event)
        await instance.ledger.files.commit([Operation("put", waiting)])
        world.later(seconds=10)
        await instance.intake.accept(asked.request)
        world.work.lying.clear()
        world.later(minutes=3)

        sweeping = world.instance()
        sweeping.ledger.outbox._events = Events(Unreachable(world, world.told, "events", sweeping.fate))
        await sweeping.sweeper.sweep()
        await world.drain(instance)

        assert await status(world, asked) is JobStatus.GRANTED
        assert waiting["RowKey"] in await world.open_rows()

    async def test_a_sweep_with_nothing_to_do_reads_and_writes_nothing_else(
        self, world: Fulfilling, instance: Instance
    ) -> None:
        await world.settle()
        await instance.sweeper.sweep()

        assert instance.fate.calls == []

    async def test_a_sweep_leaves_alone_what_a_live_worker_has(self, world: Fulfilling, instance: Instance) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 2)
        job = await instance.intake.accept(asked.request)
        world.work.lying.clear()
        world.later(seconds=50)
        await instance.ledger.files.replace(job, instance.worker.claimed(job))
        world.later(seconds=30)

        await world.instance().sweeper.sweep()

        assert world.work.lying == []
        world.later(seconds=70)
        await world.sweep()
        assert await status(world, asked) is JobStatus.GRANTED

    async def test_sweeps_do_not_flood_a_queue_that_nobody_reads(self, world: Fulfilling, instance: Instance) -> None:
        asked = Asked(await world.player(coins=10), world.coins, 2)
        await instance.intake.accept(asked.request)
        for _ in range(60):
            world.later(minutes=1)
            await world.instance().sweeper.sweep()

        assert 3 <= len(world.work.lying) <= 8
        await world.settle()
        assert await world.requests(asked) == 1
