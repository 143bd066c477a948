"""Two runs at once, since a holder of the lease may stall: whichever is held, and where, the books end right.

The first run is held before each of its calls to storage in turn, while the second begins and ends. Each may have
messages that the other one does not see; later the windows end, and all of them come again.
"""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from local.control import Control
from shared.refunds.running import LEASE_DURATION, Refunds
from shared.refunds.status import RefundStatus
from shared.storage.leases import CLOCK_ALLOWANCE, Leases
from shared.storage.queues import Queue
from shared.storage.tables import Table
from shared.store.clawback_queue import ClawbackQueue
from shared.wiring import Wiring
from tests.support.app import Storage
from tests.support.refunding import COINS, SWORD, Refunding, text_of

STEP = 1 if os.environ.get("ALL_FAULTS") else 11
"""Of the calls, each eleventh is tried; all of them with ``ALL_FAULTS=1``."""

CALLS = ((Table, ("get", "first", "commit")), (Queue, ("send_text",)), (ClawbackQueue, ("receive", "delete")))

_hold: ContextVar["Hold | None"] = ContextVar("hold", default=None)


@dataclass
class Hold:
    """Holds whoever has it in its context, at one call to storage."""

    at: int
    made: int = 0
    is_held: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def call(self) -> None:
        """One call is about to be made."""
        self.made += 1
        if self.made == self.at:
            self.is_held.set()
            await self.go_on.wait()


@pytest.fixture(autouse=True)
def holding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls to storage stop where a run is to be held."""

    def stopping(call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def wrapped(*arguments: Any, **options: Any) -> Any:
            if hold := _hold.get():
                await hold.call()
            return await call(*arguments, **options)

        return wrapped

    for kind, names in CALLS:
        for name in names:
            monkeypatch.setattr(kind, name, stopping(getattr(kind, name)))


type Events = list[dict[str, Any]]


class Case:
    """What happened at the Store: ``before`` is settled, then ``first`` and ``second`` are read by a run each."""

    def __init__(self, world: Refunding, product_id: str) -> None:
        self.world, self.product_id = world, product_id
        self.user = self.order = ""
        self.before: Events = []
        self.first: Events = []
        self.second: Events = []

    async def begin(self) -> None:
        self.user = await self.world.player()
        quantity = 6 if self.product_id == COINS else 1
        self.order = await self.world.buy(self.user, self.product_id, quantity)
        await self.world.fulfill(self.user, self.product_id, quantity)

    async def charge_back(self) -> Events:
        return await self.world.control.store.charge_back(self.user, self.order, send=False)

    async def reverse(self) -> Events:
        return await self.world.control.store.reverse_chargeback(self.user, self.order, send=False)

    async def refund(self) -> Events:
        return await self.world.control.store.refund(self.user, self.order, send=False)

    async def a_refund_twice(self) -> None:
        """Both have the same refund."""
        self.first = self.second = await self.refund()

    async def a_chargeback_and_its_reversal(self) -> None:
        """Each has one of the two."""
        self.first = await self.charge_back()
        self.second = await self.reverse()

    async def a_reversal_twice(self) -> None:
        """Both have the same reversal."""
        self.before = await self.charge_back()
        self.first = self.second = await self.reverse()

    async def a_reversal_and_a_refund(self) -> None:
        """A purchase that was charged back is given back by one, and taken back by the other."""
        self.before = await self.charge_back()
        self.first = await self.reverse()
        self.second = await self.refund()

    async def a_refund_and_a_reversal(self) -> None:
        """The other way round."""
        await self.a_reversal_and_a_refund()
        self.first, self.second = self.second, self.first

    async def two_reversals(self) -> None:
        """Of two chargebacks: only both together give back."""
        self.before = await self.charge_back()
        self.first = await self.reverse()
        self.before += await self.charge_back()
        self.second = await self.reverse()

    async def a_reversal_and_the_next_chargeback(self) -> None:
        """What one gives back the other takes again."""
        self.before = await self.charge_back()
        self.first = await self.reverse()
        self.second = await self.charge_back()

    async def put(self, events: Events) -> None:
        for event in events:
            await self.world.control.store.put_message(text=text_of(event))

    async def settle(self) -> None:
        """What instances do by and by."""
        for _ in range(3):
            self.world.offset += LEASE_DURATION + CLOCK_ALLOWANCE + timedelta(minutes=2)
            await self.world.run()
            await self.world.carry_out_jobs()
            for job in await self.world.ledger.files.jobs(self.user):
                await self.world.intake._worker.advance(job)

    async def check(self) -> None:
        """Our books are the Store's, and so is the sum of what was told."""
        world = self.world
        assert await world.listed(RefundStatus.UNMATCHED) == []
        assert await world.balance(self.user, self.product_id) == await world.truth(self.user, self.product_id)
        told = {
            event["id"]: event
            for event in map(json.loads, await world.storage.messages(world.events_queue.name))
            if event["data"].get("productId") == self.product_id
        }
        signs = {"granted": 1, "restored": 1, "revoked": -1}
        sums = [signs[each["type"].rpartition(".")[2]] * each["data"]["quantity"] for each in told.values()]
        assert sum(sums) == await world.truth(self.user, self.product_id)


@pytest.fixture
async def open_case(
    wiring: Wiring, control: Control, storage: Storage
) -> AsyncIterator[Callable[..., Awaitable[Case]]]:
    worlds: list[Refunding] = []

    async def opened(name: str, product_id: str) -> Case:
        world = Refunding(wiring, control, storage)
        worlds.append(world)
        await world.prepare()
        case = Case(world, product_id)
        await case.begin()
        await getattr(case, name)()
        await case.put(case.before)
        await case.settle()
        return case

    yield opened
    for world in worlds:
        await world.queue.close()


def runs_past_the_lease(world: Refunding) -> Refunds:
    """The runs of an instance to which the lease of the other one has run out."""
    refunds = world.refunds()
    late = timedelta(minutes=2)
    refunds._leases = Leases(world.table, LEASE_DURATION, clock=lambda: world.clock() + late)
    return refunds


async def held_run(case: Case, at: int) -> bool:
    """A run that is held at a call while another one has the other messages; whether it got so far."""
    world, hold = case.world, Hold(at)
    await case.put(case.first)
    _hold.set(hold)
    stalled = asyncio.create_task(world.refunds().run())
    _hold.set(None)
    held = asyncio.create_task(hold.is_held.wait())
    await asyncio.wait([stalled, held], return_when=asyncio.FIRST_COMPLETED)
    held.cancel()
    await case.put(case.second)
    await runs_past_the_lease(world).run()
    hold.go_on.set()
    await stalled
    return hold.is_held.is_set()


NAMES = [
    "a_refund_twice",
    "a_chargeback_and_its_reversal",
    "a_reversal_twice",
    "a_reversal_and_a_refund",
    "a_refund_and_a_reversal",
    "two_reversals",
    "a_reversal_and_the_next_chargeback",
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "product_id"), [*((name, COINS) for name in NAMES), *((name, SWORD) for name in NAMES[:3])]
)
async def test_wherever_a_run_stalls_nothing_is_lost_or_doubled(
    open_case: Callable[..., Awaitable[Case]], name: str, product_id: str
) -> None:
    tried = 0
    for at in count(min(STEP, 4), STEP):
        case = await open_case(name, product_id)
        is_held = await held_run(case, at)
        await case.put([*case.first, *case.second])
        await case.settle()

        try:
            await case.check()
        except AssertionError as error:
            error.add_note(f"the first run was held before call {at}")
            raise
        tried += 1
        if not is_held:
            break
    assert tried > 20 // STEP
