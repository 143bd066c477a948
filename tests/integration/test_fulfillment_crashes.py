"""A process dies at any of its calls to the outside, before it or after: nothing is lost, nothing is doubled.

The points are those that the code has, found by counting them in a run without a fault.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from local.stack import Servers
from shared.ledger.kinds import ConsumableType, JobStatus
from shared.wiring import Wiring
from tests.support.fulfilling import Asked, CrashError, Fate, Fulfilling, Instance

MOST_POINTS = 40


@dataclass(frozen=True)
class Way:
    """One way that a fulfilment takes through a process."""

    kind: ConsumableType
    over_http: bool
    at_once: int = 0
    """What a process carries out itself."""

    async def go(self, world: Fulfilling, instance: Instance, asked: Asked) -> None:
        """From the request to the end, with the messages that it causes."""
        if self.over_http:
            await instance.intake.accept(asked.request)
        else:
            await instance.intake.take(asked.message)
        await world.drain(instance)


WAYS = {
    "coins over HTTP": Way("Consumable", over_http=True),
    "coins by message": Way("Consumable", over_http=False),
    "a chest over HTTP": Way("UnmanagedConsumable", over_http=True),
    "a chest by message": Way("UnmanagedConsumable", over_http=False),
    "coins in hand": Way("Consumable", over_http=True, at_once=1),
    "a chest in hand": Way("UnmanagedConsumable", over_http=True, at_once=1),
}


@pytest.fixture(scope="module")
async def world(wiring: Wiring, stack: Servers) -> AsyncIterator[Fulfilling]:
    world = Fulfilling(wiring, stack.control)
    await world.open()
    yield world
    await world.close()


async def asked_by_a_new_player(world: Fulfilling, way: Way) -> Asked:
    if way.kind == "Consumable":
        return Asked(await world.player(coins=10), world.coins, 7)
    return Asked(await world.player(chests=1), world.chest, 1, way.kind)


async def granted_once(world: Fulfilling, asked: Asked) -> None:
    """Our books are those of the Store, the game was told under one id, and a refund would find the player."""
    assert await world.carried_out(asked) == 1
    assert await world.held(asked.user_id, asked.product_id) == asked.quantity
    assert await world.balance(asked.user_id, asked.product_id) == asked.quantity
    job = await world.job(asked)
    assert job.status is JobStatus.GRANTED
    events = world.events(asked.user_id)
    assert {event["type"] for event in events} == {"storekeeper.consumable.granted"}
    assert len({event["id"] for event in events}) == 1
    order = (await world.store.books(asked.user_id))[asked.user_id]["orders"][0]
    (ref,) = await world.instance().ledger.lines_of_order(order["orderId"])
    assert (ref.user_id, ref.tracking_id, ref.product_id) == (asked.user_id, asked.tracking_id, asked.product_id)
    assert ref.line_id in {order["lines"][0]["lineItemId"], ""}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
async def test_a_fulfilment_survives_a_crash_at_every_point(world: Fulfilling, way: Way) -> None:
    undisturbed = Fate()
    first = await asked_by_a_new_player(world, way)
    await way.go(world, world.instance(undisturbed, at_once=way.at_once), first)
    await granted_once(world, first)
    assert not await world.open_rows()
    points = len(undisturbed.calls)
    assert 5 <= points <= MOST_POINTS, undisturbed.calls

    for point in range(1, points + 1):
        for before in (True, False):
            fate = Fate(point, before)
            asked = await asked_by_a_new_player(world, way)
            with pytest.raises(CrashError):
                await way.go(world, world.instance(fate, at_once=way.at_once), asked)
            world.later(minutes=2)

            # Whoever asked had no answer, and the queue's message comes back: both ask again.
            if way.over_http:
                await world.instance().intake.accept(asked.request)
            else:
                await world.instance().intake.take(asked.message)
            await world.settle()

            await granted_once(world, asked)


@pytest.mark.parametrize("name", ["coins over HTTP", "coins in hand"])
async def test_the_sweep_alone_brings_to_an_end_what_was_accepted(world: Fulfilling, name: str) -> None:
    """The message was never put, the player's game is gone: the purchase is granted all the same."""
    way = WAYS[name]
    undisturbed = Fate()
    await way.go(world, world.instance(undisturbed, at_once=way.at_once), await asked_by_a_new_player(world, way))
    accepted = next(index for index, call in enumerate(undisturbed.calls, 1) if call.startswith("commit create job"))

    for point in range(accepted, len(undisturbed.calls) + 1):
        asked = await asked_by_a_new_player(world, way)
        with pytest.raises(CrashError):
            await way.go(world, world.instance(Fate(point, before=False), at_once=way.at_once), asked)

        world.work.lying.clear()
        world.later(minutes=2)
        await world.settle()

        await granted_once(world, asked)


async def test_two_crashes_in_a_row_at_any_two_points(world: Fulfilling) -> None:
    way = WAYS["coins by message"]
    undisturbed = Fate()
    await way.go(world, world.instance(undisturbed, at_once=way.at_once), await asked_by_a_new_player(world, way))

    for point in range(1, len(undisturbed.calls) + 1):
        for second in range(1, len(undisturbed.calls) + 1, 2):
            asked = await asked_by_a_new_player(world, way)
            with pytest.raises(CrashError):
                await way.go(world, world.instance(Fate(point, before=False), at_once=way.at_once), asked)
            world.later(minutes=2)
            try:
                await way.go(world, world.instance(Fate(second), at_once=way.at_once), asked)
            except CrashError:
                world.later(minutes=2)

            await world.instance().intake.take(asked.message)
            await world.settle()

            await granted_once(world, asked)
