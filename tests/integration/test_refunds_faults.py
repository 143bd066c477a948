"""Whatever dies, and wherever: nothing is taken twice, nothing is given twice, nothing is lost.

The points at which a run may die are not listed by hand: every write to a table or a queue is one, before it and after
it, and so is every write whose answer is lost. A first run without a fault counts them.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any, Literal

import pytest

from local.control import Control
from shared.errors import UnavailableError
from shared.fulfillment.schedule import CLAIM
from shared.refunds.status import RefundStatus
from shared.storage.queues import Queue
from shared.storage.tables import Table
from shared.store.clawback_queue import ClawbackQueue
from shared.wiring import Wiring
from tests.support.app import Storage
from tests.support.refunding import CHEST, COINS, GAME, SWORD, Refunding, text_of

type How = Literal["dies before", "dies after", "fails before", "loses the answer"]
HOWS: tuple[How, ...] = ("dies before", "dies after", "fails before", "loses the answer")
STEP = 1 if os.environ.get("ALL_FAULTS") else 9
"""Of the points, each ninth is tried, others for each kind of fault; all of them with ``ALL_FAULTS=1``."""

POINTS = {"refunds": 40, "reversals": 60}
"""More than a run has, each; a point that is not reached lets its run end well."""


class Killed(BaseException):
    """The process is gone: nothing catches that."""


class Faults:
    """Counts writes, and strikes at one of them."""

    def __init__(self) -> None:
        self.at = self.count = -1
        self.how: How = "dies before"

    def aim(self, at: int, how: How) -> None:
        self.at, self.how, self.count = at, how, 0

    def calm(self) -> None:
        self.at = -1

    async def around[T](self, write: Callable[[], Awaitable[T]]) -> T:
        self.count += 1
        strikes = self.count == self.at
        if strikes and self.how == "dies before":
            raise Killed
        if strikes and self.how == "fails before":
            raise UnavailableError("storage", "away")
        done = await write()
        if strikes and self.how == "dies after":
            raise Killed
        if strikes and self.how == "loses the answer":
            raise UnavailableError("storage", "the answer was lost")
        return done


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    faults = Faults()
    for kind, name in ((Table, "commit"), (Queue, "send_text"), (ClawbackQueue, "delete")):
        monkeypatch.setattr(kind, name, struck(faults, getattr(kind, name)))
    return faults


def struck(faults: Faults, write: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def wrapped(*arguments: Any, **options: Any) -> Any:
        return await faults.around(lambda: write(*arguments, **options))

    return wrapped


@pytest.fixture
async def world(wiring: Wiring, control: Control, storage: Storage) -> AsyncIterator[Refunding]:
    world = Refunding(wiring, control, storage)
    await world.prepare()
    yield world
    await world.queue.close()


class Case:
    """A player, what happened at the Store, and what must be true in the end."""

    def __init__(self, world: Refunding) -> None:
        self.world = world
        self.user = ""
        self.texts: list[str] = []

    async def refunds(self) -> None:
        """A bundle is refunded, a game is charged back, a message is broken."""
        world = self.world
        self.user = await world.player()
        chest, game = await world.buy(self.user, CHEST), await world.buy(self.user, GAME)
        for product_id, quantity in ((COINS, 30), (COINS, 30), (SWORD, 1)):
            await world.fulfill(self.user, product_id, quantity)
        events = await world.control.store.refund(self.user, chest, send=False)
        events += await world.control.store.charge_back(self.user, game, send=False)
        self.texts = [*map(text_of, events), "broken"]

    async def reversals(self) -> None:
        """Coins, a sword and a game are charged back, and all of that is reversed; the reversals come first."""
        world = self.world
        self.user = await world.player()
        events: list[dict[str, Any]] = []
        for product_id in (COINS, SWORD, GAME):
            order = await world.buy(self.user, product_id)
            if product_id != GAME:
                await world.fulfill(self.user, product_id)
            events += await world.control.store.charge_back(self.user, order, send=False)
            events += await world.control.store.reverse_chargeback(self.user, order, send=False)
        self.texts = [text_of(event) for event in reversed(events)]

    async def deliver(self) -> None:
        """The messages come, perhaps again: as their windows end, those come back that were not deleted."""
        for text in self.texts:
            await self.world.control.store.put_message(text=text)

    async def run(self) -> None:
        """What instances do by and by."""
        await self.world.run()
        await self.world.carry_out_jobs()
        for job in await self.world.ledger.files.jobs(self.user):
            await self.world.intake._worker.advance(job)
        self.world.offset += timedelta(minutes=5)
        await self.world.run()

    async def check(self) -> None:
        """The books are the Store's, each event is settled, each change was told once by its id."""
        world = self.world
        for product_id in (COINS, SWORD):
            assert await world.balance(self.user, product_id) == await world.truth(self.user, product_id)
        assert await world.listed(RefundStatus.UNMATCHED) == []
        applied = await world.listed(RefundStatus.APPLIED)
        review = await world.listed(RefundStatus.REVIEW)
        broken = self.texts.count("broken")
        assert (len(applied), len(review) > 0) == (len(self.texts) - broken, broken > 0)


async def strike(case: Case, faults: Faults, at: int, how: How) -> int:
    """One run that may die; how many writes it made."""
    await case.deliver()
    faults.aim(at, how)
    try:
        await case.run()
    except Killed:
        pass
    except BaseExceptionGroup as group:
        assert group.split(Killed)[1] is None  # noqa: PT017 - the death of a task comes in a group
    except UnavailableError:
        pass
    finally:
        count, faults.at = faults.count, -1
        await asyncio.sleep(0)
    return count


@pytest.mark.parametrize("kind", ["refunds", "reversals"])
async def test_a_run_without_a_fault_counts_the_points(world: Refunding, faults: Faults, kind: str) -> None:
    case = Case(world)
    await getattr(case, kind)()

    count = await strike(case, faults, 0, "dies before")

    await case.check()
    assert 10 < count <= POINTS[kind]


@pytest.mark.timeout(120 * (10 // STEP))
@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("kind", ["refunds", "reversals"])
async def test_whatever_dies_the_books_end_right(
    wiring: Wiring, control: Control, storage: Storage, faults: Faults, kind: str, how: How
) -> None:
    count = POINTS[kind]
    at = 1 if STEP == 1 else 1 + 2 * HOWS.index(how)
    while at <= count:
        world = Refunding(wiring, control, storage)
        await world.prepare()
        case = Case(world)
        await getattr(case, kind)()
        try:
            reached = await strike(case, faults, at, how)
            world.offset += CLAIM + CLAIM
            await case.deliver()
            await case.run()
            await case.run()

            await case.check()
        finally:
            await world.queue.close()
        count = reached if reached < at else count
        at += STEP
