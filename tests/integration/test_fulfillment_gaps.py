"""The gaps of the published sample, one by one (store-services reference, section 9): here each is closed."""

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from local.control import Control
from local.stack import Servers
from shared.auth.tokens import StoreIdKind
from shared.errors import StateConflictError, UnavailableError
from shared.fulfillment.messages import work_on
from shared.ledger.kinds import JobStatus
from shared.secret import Secret
from shared.wiring import Wiring
from tests.support.app import unique
from tests.support.fulfilling import Asked, CrashError, Fate, FatefulTable, Fulfilling, Instance

CONSUME = r"/collections/consume$"


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


async def test_gap_01_grant_and_completion_are_one_commit(world: Fulfilling) -> None:
    """A crash right after the grant finds it complete: nothing is granted again."""
    asked = Asked(await world.player(coins=5), world.coins, 5)
    undisturbed = Fate()
    await world.instance(undisturbed).intake.take(Asked(await world.player(coins=5), world.coins, 5).message)
    grant = next(number for number, call in enumerate(undisturbed.calls, 1) if "balance" in call and "commit" in call)

    with pytest.raises(CrashError):
        await world.instance(Fate(grant, before=False)).intake.take(asked.message)
    assert (await world.job(asked)).status is JobStatus.GRANTED
    for _ in range(3):
        world.later(minutes=2)
        await world.instance().intake.take(asked.message)
        await world.sweep()

    assert await world.balance(asked.user_id) == 5


async def test_gap_02_order_ids_are_always_asked_for_and_their_absence_grants_once(
    world: Fulfilling, instance: Instance, control: Control
) -> None:
    asked = Asked(await world.player(chests=1), world.chest, 1, "UnmanagedConsumable")
    await control.disturb("collections", {"drop": "after"}, path=CONSUME, times=1)
    await instance.intake.take(asked.message)
    world.later(seconds=30)
    await world.drain()  # the replay, which names no order
    await world.instance().intake.take(asked.message)
    await world.settle()

    assert await world.balance(asked.user_id, world.chest) == 1
    coins = Asked(await world.player(coins=1), world.coins, 1)
    await instance.intake.take(coins.message)
    assert all(line.order_id and line.line_id for line in (await world.job(coins)).lines)


async def test_gap_03_a_completed_tracking_id_is_completed_for_ever(world: Fulfilling, instance: Instance) -> None:
    asked = Asked(await world.player(coins=9), world.coins, 3)
    await instance.intake.take(asked.message)

    world.later(days=400)
    for _ in range(5):
        await world.instance().intake.accept(asked.request)
        await world.instance().intake.take(asked.message)
        await world.drain()

    assert await world.balance(asked.user_id) == 3
    assert await world.requests(asked) == 1


async def test_gap_04_of_workers_that_run_at_once_one_acts(world: Fulfilling, instance: Instance) -> None:
    asked = Asked(await world.player(coins=9), world.coins, 3)
    job = await instance.intake.accept(asked.request)

    await asyncio.gather(
        *(world.instance().worker.work(work_on(job)) for _ in range(10)),
        *(world.instance().intake.take(asked.message) for _ in range(10)),
    )

    assert await world.requests(asked) == 1
    assert await world.balance(asked.user_id) == 3


async def test_gap_05_a_replayed_success_is_no_second_grant(world: Fulfilling) -> None:
    """Two workers have the Store's success, the second by a replay: one of them grants."""
    asked = Asked(await world.player(coins=9), world.coins, 3)
    undisturbed = Fate()
    await world.instance(undisturbed).intake.take(Asked(await world.player(coins=9), world.coins, 3).message)
    consume = undisturbed.calls.index("consume") + 1
    with pytest.raises(CrashError):
        await world.instance(Fate(consume, before=False)).intake.take(asked.message)
    world.later(minutes=2)
    await world.settle()

    assert await world.requests(asked) == 2
    assert await world.carried_out(asked) == 1
    assert await world.balance(asked.user_id) == 3


@pytest.mark.parametrize("status", [401, 408, 429, 500, 503])
async def test_gap_06_what_is_no_refusal_is_never_taken_for_one(
    world: Fulfilling, instance: Instance, control: Control, status: int
) -> None:
    asked = Asked(await world.player(coins=9), world.coins, 3)
    effect = {"status": status, "when": "before" if status in {401, 429} else "after"}
    await control.disturb("collections", effect | ({"retryAfter": 1} if status == 429 else {}), path=CONSUME, times=4)
    await instance.intake.take(asked.message)
    assert (await world.job(asked)).status is not JobStatus.REFUSED

    await control.calm()
    await asyncio.sleep(1.1 if status == 429 else 0)  # what the Store has asked for is kept by the clock of the machine
    await world.settle(minutes=90)

    assert await world.balance(asked.user_id) == await world.held(asked.user_id) == 3
    assert await world.carried_out(asked) == 1


async def test_gap_07_nothing_is_consumed_that_is_not_written_down_first(
    world: Fulfilling, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(await world.player(coins=9), world.coins, 3)

    async def away(self: FatefulTable, *_: object) -> None:
        raise UnavailableError("storage-tables", "is away")

    with monkeypatch.context() as patched:
        patched.setattr(FatefulTable, "commit", away)
        await instance.intake.take(asked.message)
        with pytest.raises(UnavailableError):
            await instance.intake.accept(asked.request)

    assert await world.carried_out(asked) == 0
    assert len(world.jobs.lying) == 1, "the message is put back"


async def test_gap_08_a_grant_that_cannot_be_written_stays_to_be_done(
    world: Fulfilling, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(await world.player(coins=9), world.coins, 3)
    commit = FatefulTable.commit

    async def full(self: FatefulTable, operations: object) -> list[str]:
        if any(each.row["RowKey"].startswith("balance|") for each in operations):  # type: ignore[attr-defined]
            raise UnavailableError("storage-tables", "is away")
        return await commit(self, operations)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(FatefulTable, "commit", full)
        patched.setattr("shared.fulfillment.work.WRITE_PAUSES", (0.01, 0.01))
        await instance.intake.take(asked.message)
    assert await world.carried_out(asked) == 1
    assert (await world.job(asked)).status is JobStatus.PENDING
    assert await world.open_rows()

    world.later(minutes=2)
    await world.settle()
    assert (await world.job(asked)).status is JobStatus.GRANTED
    assert await world.balance(asked.user_id) == 3


async def test_gap_09_nothing_is_kept_in_memory_alone(world: Fulfilling) -> None:
    """Each step is done by a process that knows nothing but the tables, after the queues were emptied."""
    asked = Asked(await world.player(coins=9), world.coins, 3)
    await world.instance().intake.accept(asked.request)
    world.work.lying.clear()

    world.later(minutes=2)
    await world.settle()

    assert await world.balance(asked.user_id) == 3


async def test_gap_10_a_tracking_id_with_other_values_never_reaches_the_store(
    world: Fulfilling, instance: Instance, control: Control
) -> None:
    asked = Asked(await world.player(coins=9), world.coins, 3)
    await control.disturb("collections", {"status": 500, "when": "after"}, path=CONSUME, times=1)
    await instance.intake.take(asked.message)

    with pytest.raises(StateConflictError):
        await instance.intake.accept(Asked(asked.user_id, world.coins, 4, tracking_id=asked.tracking_id).request)
    await world.settle()

    assert await world.carried_out(asked) == 1
    assert await world.balance(asked.user_id) == await world.held(asked.user_id) == 3


async def test_gap_11_the_key_of_the_moment_is_used_and_one_dead_key_blocks_nobody(
    world: Fulfilling, instance: Instance, control: Control
) -> None:
    dead, alive = unique(), await world.player(coins=5)
    key = await world.hand_in_key(dead)
    await world.store.buy(dead, world.coins, 5)
    await control.revoke(key)
    blocked, free = Asked(dead, world.coins, 5), Asked(alive, world.coins, 5)
    for asked in (blocked, free):
        await instance.intake.take(asked.message)
    assert (await world.job(blocked)).status is JobStatus.STUCK
    assert await world.balance(alive) == 5

    # The game hands in another one, of which the fulfilment knows nothing: no key is kept with it.
    await world.hand_in_key(dead)
    await world.settle(minutes=180)
    assert await world.balance(dead) == 5


async def test_gap_12_the_sandbox_is_sent_with_every_try(
    world: Fulfilling, instance: Instance, control: Control
) -> None:
    player = await world.player(coins=1)
    await world.store.buy(player, world.coins, 7, sandbox="XDKS.1")
    asked = Asked(player, world.coins, 7, sandbox="XDKS.1")
    await control.disturb("collections", {"drop": "after"}, path=CONSUME, times=1)
    await instance.intake.take(asked.message)
    world.later(seconds=30)
    await world.drain()

    (consumed,) = (await world.store.books(player))[player]["consumes"]
    assert (consumed["sandbox"], consumed["quantity"], consumed["requests"]) == ("XDKS.1", 7, 2)
    assert (await world.job(asked)).status is JobStatus.GRANTED


async def test_two_users_on_one_store_account_are_not_granted_one_purchase_twice(world: Fulfilling) -> None:
    account, tracking_id = unique("account"), str(uuid4())
    await world.store.buy(account, world.coins, 10)
    users = [unique(), unique()]
    for user in users:
        x_token = Secret(await world.control.x_token(account, "collections"))
        await world.wiring.keys.intake.create(user, StoreIdKind.COLLECTIONS, x_token, user)

    for user in users:
        await world.instance().intake.take(Asked(user, world.coins, 10, tracking_id=tracking_id).message)
    await world.settle()

    assert sorted([await world.balance(user, world.coins) for user in users]) == [0, 10]
    assert await world.held(account) == 10
