"""Jobs on bad days: some fails, the Store is busy or breaks off, workers die; nothing is lost, nothing doubled."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import ExitStack

import pytest

from local.control import Control
from shared.seats.calls import SeatCalls
from shared.seats.course import WINDOW
from shared.seats.filing import JobFiles
from shared.seats.record import Block
from shared.seats.states import Action, JobStatus, UserStatus
from shared.seats.sweeper import SeatSweeper
from shared.seats.turns import Turns
from shared.seats.work import MAX_TRIES, PUT_OFF, Blocks
from shared.shares import MOST_WHILE_SLOW, SLOW, Shares
from shared.storage.tables import Table
from shared.storage.transactions import Operation
from shared.store.models.business import ProductKey
from shared.wiring import Wiring
from tests.support.environ import settings
from tests.support.seating import Seating, StillQueue, a_tenant

BULK = "/Seats$"


class Torn(Turns):
    """Turns of which one tenant's cannot be read."""

    async def products(self, tenant_id: str) -> AsyncIterator[ProductKey]:
        if tenant_id == "torn":
            raise KeyError(tenant_id)
        async for product in super().products(tenant_id):
            yield product


class Killed(BaseException):
    """The process is no more."""


class Death:
    """Comes with one of a process's writes, numbered from 1: right before it, or right after. 0: never."""

    def __init__(self, write: int, *, after: bool = False) -> None:
        self.has_come = False
        self._left, self._after = write, after

    async def over[T](self, write: Callable[[], Awaitable[T]]) -> T:
        """Write, if that is still granted."""
        self._left -= 1
        comes = self._left == 0
        if self.has_come or (comes and not self._after):
            self.has_come = True
            raise Killed
        written = await write()
        if comes:
            self.has_come = True
            raise Killed
        return written


class MortalSeating(Seating):
    """Jobs whose every write may be the last of its process."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.death = Death(0)
        world = self

        class MortalTable(Table):
            async def commit(self, operations: Sequence[Operation]) -> list[str]:
                return await world.death.over(lambda: Table.commit(self, operations))

        class MortalQueue(StillQueue):
            async def send(self, message: object, *, time_to_live: int | None = None, delay: float = 0) -> None:
                await world.death.over(lambda: StillQueue.send(self, message, delay=delay))

        account = self.wiring.core.account
        self.files = JobFiles(MortalTable(account, self.jobs_table.name))
        self.turns = Turns(MortalTable(account, self.turns_table.name))
        self.turns_queue = MortalQueue(self.wiring, self.turns_queue.name)
        self.blocks_queue = MortalQueue(self.wiring, self.blocks_queue.name)
        self.events_queue = MortalQueue(self.wiring, self.events_queue.name)


class GatedFiles(JobFiles):
    """Files of a worker that falls asleep when it has claimed a block."""

    def __init__(self, table: Table) -> None:
        super().__init__(table)
        self.reached, self.opened = asyncio.Event(), asyncio.Event()

    async def block(self, job_id: str, number: int) -> Block | None:
        found = await super().block(job_id, number)
        self.reached.set()
        await self.opened.wait()
        return found


@pytest.fixture
async def seating(wiring: Wiring, control: Control) -> Seating:
    """Jobs of the first tenant."""
    return Seating(wiring, control, await a_tenant(control))


class TestPartialFailure:
    """Only what failed is tried again, and only where that is worth it."""

    async def test_what_time_may_cure_is_tried_again_and_nothing_else(self, seating: Seating, control: Control) -> None:
        product, users = await seating.product(), seating.tenant.users(100)
        await control.refuse_seats("InternalError", userNames=users[10:13], times=3)
        await control.refuse_seats("LicenseSuspended", userNames=users[50:52])
        since = await control.last_seen()

        state = await seating.done(product, users)

        assert (state.succeeded, state.failed) == (98, 2)
        assert await seating.reasons(state.job.job_id) == {("succeeded", None): 98, ("failed", "LicenseSuspended"): 2}
        assert await seating.calls(since) == 4 + 1

    async def test_what_never_gets_better_is_given_up_with_the_last_reason(
        self, seating: Seating, control: Control
    ) -> None:
        product, users = await seating.product(), seating.tenant.users(30)
        await control.refuse_seats("Timeout", userNames=users[:2])
        since = await control.last_seen()

        state = await seating.done(product, users)

        assert await seating.reasons(state.job.job_id) == {("succeeded", None): 28, ("failed", "gave up: Timeout"): 2}
        assert state.job.status is JobStatus.COMPLETED_WITH_FAILURES
        assert await seating.calls(since) == 2 + MAX_TRIES - 1

    async def test_a_chunk_that_cannot_be_read_is_tried_user_by_user(self, seating: Seating, control: Control) -> None:
        product, users = await seating.product(), seating.tenant.users(30)
        await control.disturb("business", {"status": 400}, path=BULK, method="POST", times=1)
        since = await control.last_seen()

        state = await seating.done(product, users)

        assert (state.succeeded, state.failed) == (30, 0)
        assert await seating.calls(since, "/Seats/[^/]+$") in {5, 25}

    async def test_a_product_that_goes_away_fails_who_is_left(self, seating: Seating, control: Control) -> None:
        product, users = await seating.product(), seating.tenant.users(30)
        job = await seating.accepted(product, users)
        key = {"productId": product.product_id, "skuId": product.sku_id}
        await control.change_business_products(seating.tenant.tenant_id, products=[key], vanished=True)

        await seating.settle()

        assert (await seating.results.state(job.job_id)).job.status is JobStatus.FAILED
        assert {status for status, reason in await seating.reasons(job.job_id) if reason} == {"failed"}


class TestAnUnwillingStore:
    """It is busy, away, or does not take our token."""

    async def test_a_storm_of_429_is_sat_out(self, seating: Seating, control: Control) -> None:
        product, users = await seating.product(), seating.tenant.users(300)
        job = await seating.accepted(product, users)
        await control.disturb("business", {"status": 429, "retryAfter": 1}, path="/Seats", times=10)

        await seating.settle()

        state = await seating.results.state(job.job_id)
        assert (state.job.status, state.succeeded) == (JobStatus.COMPLETED, 300)

    async def test_whoever_is_told_to_come_in_an_hour_comes_in_an_hour(
        self, seating: Seating, control: Control
    ) -> None:
        product, users = await seating.product(), seating.tenant.users(300)
        other = Seating(seating.wiring, control, await a_tenant(control, "fabrikam"))
        job, others = (
            await seating.accepted(product, users),
            await other.accepted(await other.product(), other.tenant.users(60)),
        )
        await control.disturb("business", {"status": 429, "retryAfter": 3600}, path=BULK, method="POST", times=1)
        await seating.step()
        await seating.step()

        since = await control.last_seen()
        await seating.step()
        await other.settle()

        assert await seating.calls(since, product.product_id) == 0
        assert min(seating.blocks_queue.delays) > 3000
        assert (await seating.results.state(job.job_id)).pending in range(25, 301)
        assert (await other.results.state(others.job_id)).job.status is JobStatus.COMPLETED

    @pytest.mark.parametrize("effect", [{"status": 500, "when": "after"}, {"drop": "after"}, {"status": 503}])
    async def test_calls_that_break_off_after_their_effect_are_made_again(
        self, seating: Seating, control: Control, effect: dict[str, object]
    ) -> None:
        product = await seating.product(capacity=40)
        job = await seating.accepted(product, seating.tenant.users(40))
        await control.disturb("business", effect, path=BULK, method="POST", times=2)

        await seating.settle()

        assert (await seating.results.state(job.job_id)).succeeded == 40
        assert len(await seating.seats(product)) == 40

    async def test_a_store_that_never_answers_is_given_up(self, seating: Seating, control: Control) -> None:
        product, users = await seating.product(), seating.tenant.users(30)
        job = await seating.accepted(product, users)
        await control.disturb("business", {"drop": "before"}, path="/Seats")

        await seating.settle()

        assert (await seating.results.state(job.job_id)).failed == 30
        assert all(str(reason).startswith("gave up: no answer") for _, reason in await seating.reasons(job.job_id))

    @pytest.mark.parametrize("status", [401, 403])
    async def test_a_token_that_is_not_taken_is_waited_for(
        self, seating: Seating, control: Control, status: int
    ) -> None:
        product, users = await seating.product(), seating.tenant.users(60)
        job = await seating.accepted(product, users)
        await control.disturb("business", {"status": status}, path="/Seats")
        for _ in range(2 * MAX_TRIES):
            await seating.step()
        waiting = await seating.outcomes(job.job_id)

        await control.calm()
        await seating.settle()

        assert {(result.status, bool(result.reason)) for result in waiting} == {(UserStatus.PENDING, True)}
        assert (await seating.results.state(job.job_id)).succeeded == 60

    async def test_of_a_long_job_some_blocks_are_under_way_at_once(self, seating: Seating, control: Control) -> None:
        seating.chunk = 50
        product, users = await seating.product(), seating.tenant.users(500 * (WINDOW + 5))
        job = await seating.accepted(product, users)
        since = await control.last_seen()
        await seating.step()
        under_way = len(seating.blocks_queue.messages)

        while await seating.step():
            assert len(seating.blocks_queue.messages) <= WINDOW

        assert under_way == WINDOW
        assert (await seating.results.state(job.job_id)).succeeded == len(users)
        assert await seating.calls(since) == len(users) / 50

    async def test_a_slow_tenant_leaves_workers_to_the_others(self, seating: Seating, control: Control) -> None:
        now = 0.0
        shares = Shares(monotonic=lambda: now)
        product, users = await seating.product(), seating.tenant.users(500)
        job = await seating.accepted(product, users)
        await seating.step()
        since = await control.last_seen()

        with ExitStack() as busy:
            for _ in range(MOST_WHILE_SLOW):
                busy.enter_context(shares.working(seating.tenant.tenant_id))
            now += SLOW + 1
            await seating.step(seating.course(shares=shares))
            assert await seating.calls(since) == 0
            assert seating.blocks_queue.delays[-1] >= PUT_OFF[0]
        await seating.settle(seating.course(shares=shares))

        assert (await seating.results.state(job.job_id)).succeeded == 500

    async def test_a_tenant_whose_turns_cannot_be_read_is_alone_with_that(self, seating: Seating) -> None:
        await seating.accepted(await seating.product(), seating.tenant.users(1))
        seating.turns_queue.messages.clear()
        sweeper = SeatSweeper(["torn", seating.tenant.tenant_id], Torn(seating.turns_table), seating.turns_queue)

        await sweeper.sweep()

        assert seating.turns_queue.messages

    async def test_a_tenant_that_is_not_configured_any_more_is_waited_for(self, seating: Seating) -> None:
        job = await seating.accepted(await seating.product(), seating.tenant.users(30))
        gone = SeatCalls(Wiring(settings()).store.business, 25, 4)
        blocks = Blocks(seating.files, gone, seating.blocks_queue, Shares())
        await seating.step(seating.course(blocks=blocks))

        waiting = await seating.reasons(job.job_id)
        await seating.settle()

        assert waiting == {("pending", "No such tenant is configured"): 30}
        assert (await seating.results.state(job.job_id)).succeeded == 30


class TestDeath:
    """A worker is killed at any of its writes. The messages are gone with it; the sweeper finds the rest."""

    @pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
    @pytest.mark.parametrize("window", [1, 8])
    async def test_whenever_it_happens_the_job_is_done_and_told(
        self, wiring: Wiring, control: Control, monkeypatch: pytest.MonkeyPatch, after: bool, window: int
    ) -> None:
        monkeypatch.setattr("shared.seats.course.WINDOW", window)
        survivors = 0
        for write in range(1, 60):
            seating = MortalSeating(wiring, control, await a_tenant(control), chunk=10)
            product, users = await seating.product(capacity=120), seating.tenant.users(110)
            await control.refuse_seats("Timeout", userNames=users[:1], times=1)
            request = seating.request(product, users)
            seating.death = Death(write, after=after)
            try:
                await seating.intake.accept(request)
                await seating.settle()
            except Killed:
                seating.died()
            survivors += not seating.death.has_come
            seating.death = Death(0)

            assert (await seating.intake.accept(request)).job_id == request.job_id
            seating.died()  # that message, too
            for _ in range(3):
                await seating.swept()

            state = await seating.results.state(request.job_id)
            assert (state.job.status, state.succeeded) == (JobStatus.COMPLETED, 110), f"killed at write {write}"
            assert await seating.seats(product) == set(users)
            assert await seating.turns.first(seating.tenant.tenant_id, product) is None
            assert len({event.id for event in seating.events()}) == 1
            assert len(seating.events()) <= 2
            if survivors:
                break
        assert survivors == 1
        assert write > 15

    async def test_everything_twice_at_the_same_moment_is_once(self, seating: Seating, control: Control) -> None:
        seating.chunk = 10
        product, users = await seating.product(), seating.tenant.users(450)
        requests = [seating.request(product, users, action) for action in ("assign", "reclaim", "assign")]
        await asyncio.gather(*(seating.intake.accept(request) for request in requests for _ in range(2)))
        since = await control.last_seen()

        while seating.turns_queue.messages or seating.blocks_queue.messages:
            for queue in (seating.turns_queue, seating.blocks_queue):
                batch, queue.messages = queue.messages, []
                workers = [(seating.course(), message) for message in batch for _ in range(2)]
                await asyncio.gather(*(seating.handle(worker, message) for worker, message in workers))

        states = [await seating.results.state(request.job_id) for request in requests]
        assert [state.succeeded for state in states] == [450, 450, 450]
        assert await seating.calls(since) == 3 * 45
        assert len(seating.events()) == 3
        last = max(states, key=lambda state: state.job.turn).job.action
        assert await seating.seats(product) == (set(users) if last is Action.ASSIGN else set())

    async def test_a_worker_that_wakes_up_late_sends_nothing(self, seating: Seating, control: Control) -> None:
        """Its block was taken over, the job ended and the next one, which wants the opposite, is done."""
        product, users = await seating.product(), seating.tenant.users(30)
        late = await seating.accepted(product, users)
        files = GatedFiles(seating.jobs_table)
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("shared.seats.work.BUDGET", 0)  # as if it slept for longer
            sleeper = asyncio.create_task(seating.settle(seating.course(files=files)))
            await files.reached.wait()

        seating.died()
        await seating.swept()
        await seating.done(product, users, "reclaim")
        since = await control.last_seen()
        files.opened.set()
        await sleeper

        assert await seating.calls(since) == 0
        assert (await seating.results.state(late.job_id)).succeeded == 30
        assert await seating.seats(product) == set()
