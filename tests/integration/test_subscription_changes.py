"""Changes of subscriptions over days: what is unknown is looked at before it is repeated, and nothing happens twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from local.control import Control
from shared.auth.tokens import StoreIdKind
from shared.entitlements.change import Asked, Change
from shared.entitlements.change_filing import ChangeFiles
from shared.entitlements.changing import Changes
from shared.entitlements.claims import CLAIM
from shared.entitlements.grant import Gift, Grant
from shared.entitlements.grant_filing import GrantFiles
from shared.entitlements.granting import FreeProducts
from shared.entitlements.statuses import ChangeStatus, GrantStatus
from shared.entitlements.subscriptions import Subscriptions
from shared.errors import StateConflictError, UnavailableError, UnprocessableError
from shared.keys.current import CurrentKeys
from shared.keys.renewal import LEASE_DURATION
from shared.storage.leases import Leases
from shared.storage.tables import Table
from shared.store.models.purchase import ChangeType
from shared.store.purchase import Purchase
from shared.store.transport import Transport
from shared.wiring import Wiring
from tests.support.app import Storage, unique
from tests.support.keeping import Keeping

CHANGE, GRANT = "/change$", "/purchases/grant$"
EXTEND = ChangeType.EXTEND


class CrashedError(BaseException):
    """The process is gone: no error of the app's, so nothing tidies up."""


class Steps:
    """Counts what is done outside the process, and stops before or after one of the steps."""

    def __init__(self, crash_at: int | None = None, *, after: bool = False) -> None:
        self.crash_at, self.after = crash_at, after
        self.count = 0

    async def step[T](self, act: Callable[[], Awaitable[T]]) -> T:
        self.count += 1
        is_here = self.count == self.crash_at
        if is_here and not self.after:
            raise CrashedError
        result = await act()
        if is_here:
            raise CrashedError
        return result


class SteppedTable(Table):
    """Each change of the table is a step."""

    steps: Steps

    async def commit(self, *args: Any, **options: Any) -> list[str]:
        return await self.steps.step(lambda: Table.commit(self, *args, **options))


class SteppedTransport(Transport):
    """Each call is a step."""

    steps: Steps

    async def send(self, *args: Any, **options: Any) -> Any:
        return await self.steps.step(lambda: Transport.send(self, *args, **options))


class World:
    """The parts over tables of their own, with a clock that a test moves; a player with a subscription."""

    def __init__(self, wiring: Wiring, keeping: Keeping, control: Control, storage: Storage) -> None:
        self.wiring, self.keeping, self.control, self.storage = wiring, keeping, control, storage
        self.offset = timedelta(0)
        self.tables = (f"{keeping.name}changes", f"{keeping.name}grants")
        self.user, self.subscription = unique(), ""
        self.transports: list[Transport] = []

    def clock(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def purchase(self, steps: Steps) -> Purchase:
        transport = SteppedTransport(self.wiring.core.settings.store_purchase_url, 4)
        transport.steps = steps
        self.transports.append(transport)
        return Purchase(transport)

    def keys(self) -> CurrentKeys:
        keeping = self.keeping
        leases = Leases(keeping.table, LEASE_DURATION)
        service = self.wiring.store.key_service
        return CurrentKeys(self.wiring.core.publisher, keeping.files, keeping.sealer, keeping.entra, service, leases)

    def table(self, number: int, steps: Steps) -> Table:
        table = SteppedTable(self.wiring.core.account, self.tables[number])
        table.steps = steps
        return table

    def changes(self, steps: Steps | None = None) -> Changes:
        """A worker of its own."""
        steps = steps or Steps()
        keys, purchase = self.keys(), self.purchase(steps)
        subscriptions = Subscriptions(keys, purchase, clock=self.clock)
        return Changes(keys, purchase, subscriptions, ChangeFiles(self.table(0, steps)), clock=self.clock)

    def free_products(self, steps: Steps | None = None) -> FreeProducts:
        """A worker of its own."""
        steps = steps or Steps()
        return FreeProducts(self.keys(), self.purchase(steps), GrantFiles(self.table(1, steps)), clock=self.clock)

    async def subscribe(self) -> None:
        """A new player with a subscription."""
        self.user = unique()
        await self.keeping.keep(self.user, "purchase")
        product = f"9N{uuid4().hex[:10].upper()}"
        await self.control.store.product(product, "Pass")
        self.subscription = (await self.control.store.subscribe(self.user, product))["id"]

    def asked(self, change: ChangeType = EXTEND, change_id: str = "once", days: int | None = 5) -> Asked:
        return Asked(change_id, self.subscription, change, days if change is EXTEND else None, None)

    async def change(self, change: ChangeType = EXTEND, steps: Steps | None = None, **options: Any) -> Change:
        return await self.changes(steps).carry_out(self.user, self.asked(change, **options))

    async def end(self) -> datetime:
        """The end of the subscription by the Store's own books."""
        (subscription,) = (await self.control.store.books(self.user))[self.user]["recurrences"]
        return datetime.fromisoformat(subscription["expiration"])

    async def locks(self) -> list[str]:
        rows = await self.storage.rows(self.tables[0], f"userId eq '{self.user}'")
        return [row["changeId"] for row in rows if row["RowKey"].startswith("open|")]


@pytest.fixture
async def world(wiring: Wiring, keeping: Keeping, control: Control, storage: Storage) -> AsyncIterator[World]:
    world = World(wiring, keeping, control, storage)
    await world.subscribe()
    yield world
    for transport in world.transports:
        await transport.close()


@pytest.mark.parametrize("change", ChangeType)
async def test_a_crash_at_any_step_leaves_a_change_that_is_carried_out_once(
    world: World, control: Control, change: ChangeType
) -> None:
    """Every write and every call of the Store, before and after; then another worker goes on, as soon as it may."""
    whole = Steps()
    await world.change(change, whole)
    assert whole.count == 4  # the subscription is read; the change is filed, made, settled

    for crash_at in range(1, whole.count + 1):
        for after in (False, True):
            await world.subscribe()
            world.offset = timedelta(0)
            before, since = await world.end(), await control.last_seen()
            with pytest.raises(CrashedError):
                await world.change(change, Steps(crash_at, after=after))
            world.offset = CLAIM

            result = await world.change(change)

            calls = await control.count(path=CHANGE, since=since)
            if change is EXTEND:
                assert await world.end() == before + timedelta(days=5), (crash_at, after)
                assert calls == 1
            if change is ChangeType.REFUND:
                assert calls <= 1
            is_lost_refund = change is ChangeType.REFUND and calls == 0
            expected = ChangeStatus.UNKNOWN if is_lost_refund else ChangeStatus.DONE
            assert result.status is expected, (crash_at, after)
            assert await world.locks() == []


async def test_a_change_that_is_being_made_is_left_to_who_makes_it(world: World) -> None:
    with pytest.raises(CrashedError):
        await world.change(steps=Steps(3))
    world.offset = CLAIM - timedelta(seconds=10)

    assert (await world.change()).status is ChangeStatus.PENDING


async def test_an_extension_that_shows_nothing_is_sent_again_once_it_may(world: World, control: Control) -> None:
    before, since = await world.end(), await control.last_seen()
    await control.disturb("purchase", {"drop": "before"}, path=CHANGE, times=2)

    for offset, calls, status in (
        (timedelta(0), 1, ChangeStatus.UNKNOWN),
        (CLAIM - timedelta(seconds=10), 1, ChangeStatus.UNKNOWN),
        (CLAIM, 2, ChangeStatus.UNKNOWN),
        (2 * CLAIM + timedelta(seconds=10), 3, ChangeStatus.DONE),
        (3 * CLAIM, 3, ChangeStatus.DONE),
    ):
        world.offset = offset
        assert (await world.change()).status is status
        assert await control.count(path=CHANGE, since=since) == calls

    assert await world.end() == before + timedelta(days=5)


async def test_an_end_that_moved_otherwise_is_a_persons_to_judge_and_bars_nobody(
    world: World, control: Control
) -> None:
    before, since = await world.end(), await control.last_seen()
    await control.disturb("purchase", {"drop": "before"}, path=CHANGE, times=1)
    assert (await world.change()).status is ChangeStatus.UNKNOWN
    await control.store.renew(world.subscription)

    for offset in (timedelta(0), CLAIM, 2 * CLAIM):
        world.offset = offset
        assert (await world.change()).status is ChangeStatus.UNKNOWN

    assert await control.count(path=CHANGE, since=since) == 1
    assert (await world.change(change_id="another")).status is ChangeStatus.DONE
    assert await world.end() == before + timedelta(days=35)


async def test_of_two_changes_of_a_subscription_one_waits(world: World, control: Control) -> None:
    before = await world.end()
    await control.disturb("purchase", {"drop": "before"}, path=CHANGE, times=1)
    await world.change(change_id="first")

    with pytest.raises(StateConflictError, match=r"The change first of this subscription \(Extend by 5 days\)"):
        await world.change(change_id="second")

    world.offset = CLAIM
    assert (await world.change(change_id="first")).status is ChangeStatus.DONE
    assert (await world.change(change_id="second")).status is ChangeStatus.DONE
    assert await world.end() == before + timedelta(days=10)


async def test_a_worker_that_wakes_late_sends_nothing(world: World, control: Control) -> None:
    """It was held up between filing its claim and calling the Store, for longer than claims last."""
    before, since = await world.end(), await control.last_seen()

    class Sleepy(Steps):
        async def step[T](self, act: Callable[[], Awaitable[T]]) -> T:
            result = await super().step(act)
            if self.count == 2:  # the change was filed
                world.offset = CLAIM
                assert (await world.change()).status is ChangeStatus.DONE
            return result

    with pytest.raises(UnavailableError, match="held up"):
        await world.change(steps=Sleepy())

    assert await control.count(path=CHANGE, since=since) == 1
    assert await world.end() == before + timedelta(days=5)
    assert (await world.change()).status is ChangeStatus.DONE


async def test_a_refusal_of_a_repeat_is_looked_into(world: World, control: Control) -> None:
    """The first call is carried out late, after it was looked for; the second is refused because of it."""
    refusal = {"code": "BadRequest", "innererror": {"code": "RecurrenceEnded", "message": "has ended"}}
    await control.disturb("purchase", {"status": 500}, path=CHANGE, times=1)
    assert (await world.change(ChangeType.CANCEL)).status is ChangeStatus.UNKNOWN

    class EndsBetween(Steps):
        async def step[T](self, act: Callable[[], Awaitable[T]]) -> T:
            if self.count == 2:  # read and claimed; the call is next
                await control.store.end(world.subscription, "Canceled")
            return await super().step(act)

    await control.disturb("purchase", {"status": 400, "body": refusal}, path=CHANGE, times=1)
    world.offset = CLAIM
    assert (await world.change(ChangeType.CANCEL, EndsBetween())).status is ChangeStatus.DONE


async def test_a_refusal_of_a_repeat_that_shows_nothing_is_one(world: World, control: Control) -> None:
    refusal = {"code": "BadRequest", "innererror": {"code": "InvalidParameter", "message": "no"}}
    await control.disturb("purchase", {"status": 500}, path=CHANGE, times=1)
    assert (await world.change()).status is ChangeStatus.UNKNOWN
    await control.disturb("purchase", {"status": 400, "body": refusal}, path=CHANGE, times=1)
    world.offset = CLAIM

    with pytest.raises(UnprocessableError, match="InvalidParameter"):
        await world.change()

    assert await world.locks() == []
    assert (await world.change(change_id="another")).status is ChangeStatus.DONE


async def test_what_was_not_carried_out_is_measured_anew(world: World, control: Control) -> None:
    """A month passes between a throttled extension and its repeat, and the subscription renews meanwhile."""
    before = await world.end()
    await control.disturb("purchase", {"status": 429, "retryAfter": 1}, path=CHANGE, times=1)
    with pytest.raises(UnavailableError):
        await world.change()
    await control.store.renew(world.subscription)

    done = await world.change()

    assert done.status is ChangeStatus.DONE
    assert done.expiration is not None
    assert datetime.fromisoformat(done.expiration) == before + timedelta(days=30)
    assert await world.end() == before + timedelta(days=35)


async def test_after_a_throttled_repeat_a_late_effect_of_the_first_call_still_counts(
    world: World, control: Control
) -> None:
    """The first answer is lost, the repeat is throttled, and only then the first call shows its effect."""
    before, since = await world.end(), await control.last_seen()
    await control.disturb("purchase", {"drop": "before"}, path=CHANGE, times=1)
    assert (await world.change()).status is ChangeStatus.UNKNOWN
    world.offset = CLAIM + timedelta(seconds=10)
    await control.disturb("purchase", {"status": 429, "retryAfter": 1}, path=CHANGE, times=1)
    with pytest.raises(UnavailableError):
        await world.change()
    await world.keys().use(
        world.user,
        StoreIdKind.PURCHASE,
        lambda key, token: world.purchase(Steps()).change_recurrence(
            key, token, world.subscription, EXTEND, extension_days=5
        ),
    )

    assert (await world.change()).status is ChangeStatus.DONE

    assert await world.end() == before + timedelta(days=5)
    assert await control.count(path=CHANGE, since=since) == 3


async def test_workers_at_once_make_one_change(world: World, control: Control) -> None:
    before, since = await world.end(), await control.last_seen()

    results = await asyncio.gather(*(world.change() for _ in range(10)))

    assert {each.status for each in results} <= {ChangeStatus.DONE, ChangeStatus.PENDING}
    assert await control.count(path=CHANGE, since=since) == 1
    assert await world.end() == before + timedelta(days=5)


class TestFreeProducts:
    """Orders of free products."""

    @pytest.fixture
    async def gift(self, control: Control) -> Gift:
        product = f"9N{uuid4().hex[:10].upper()}"
        await control.store.product(product, "Durable", price=0)
        return Gift(str(uuid4()), product, "0010", "9RT", "en-us", "us", None)

    async def give(self, world: World, gift: Gift, steps: Steps | None = None) -> Grant:
        return await world.free_products(steps).give(world.user, gift)

    async def test_a_crash_at_any_step_leaves_an_order_that_is_granted_once(
        self, world: World, control: Control, gift: Gift
    ) -> None:
        whole = Steps()
        await self.give(world, gift, whole)
        assert whole.count == 3  # filed, made, filed

        for crash_at in range(1, whole.count + 1):
            for after in (False, True):
                await world.subscribe()
                world.offset = timedelta(0)
                with pytest.raises(CrashedError):
                    await self.give(world, gift, Steps(crash_at, after=after))
                assert (await self.give(world, gift)).status in {GrantStatus.PENDING, GrantStatus.GRANTED}
                world.offset = CLAIM

                assert (await self.give(world, gift)).status is GrantStatus.GRANTED

                orders = (await control.store.books(world.user))[world.user]["orders"]
                assert [each["orderId"] for each in orders].count(gift.order_id) == 1

    async def test_a_refusal_after_a_crash_says_nothing_of_the_call_before(
        self, world: World, control: Control, gift: Gift
    ) -> None:
        with pytest.raises(CrashedError):
            await self.give(world, gift, Steps(2, after=True))
        refusal = {"code": "Conflict", "innererror": {"code": "AlreadyOrdered", "message": "seen before"}}
        await control.disturb("purchase", {"status": 409, "body": refusal}, path=GRANT, times=1)
        world.offset = CLAIM

        assert (await self.give(world, gift)).status is GrantStatus.UNKNOWN
        assert (await self.give(world, gift)).status is GrantStatus.GRANTED


async def test_a_player_without_a_key_leaves_no_trace(world: World) -> None:
    await world.keeping.intake.forget(world.user, StoreIdKind.PURCHASE)

    with pytest.raises(StateConflictError, match="purchase key"):
        await world.change()

    assert await world.locks() == []
