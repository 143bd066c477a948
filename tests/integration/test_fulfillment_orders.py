"""Which purchase a grant came from: kept for refunds, also where the Store tells it only once, or never."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from local.control import Control
from local.stack import Servers
from shared.errors import UnavailableError
from shared.fulfillment.request import new_job
from shared.ledger.corrections import JOBS_A_COMMIT, Clawback, Correction
from shared.ledger.filing import balance_write
from shared.ledger.kinds import JobStatus
from shared.ledger.record import Job, Line, LineRef, LineState
from shared.wiring import Wiring
from tests.support.fulfilling import Asked, CrashError, Fate, FatefulQueue, Fulfilling, Instance

CONSUME = r"/collections/consume$"
QUERY = r"/collections/publisherQuery$"


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


def chest(world: Fulfilling, player: str) -> Asked:
    return Asked(player, world.chest, 1, "UnmanagedConsumable")


def clawback(order: dict[str, Any], *, chargeback: bool = False, number: int = 0) -> Clawback:
    line = order["lines"][number]
    return Clawback(str(uuid4()), order["orderId"], line["lineItemId"], line["productId"], is_chargeback=chargeback)


async def lines_of(instance: Instance, order: dict[str, Any]) -> list[LineRef]:
    return await instance.ledger.lines_of_order(order["orderId"].upper())


class TestLines:
    async def test_a_consume_that_several_orders_fill_names_each(self, world: Fulfilling, instance: Instance) -> None:
        player = await world.player()
        orders = [await world.store.buy(player, world.coins, 2) for _ in range(3)]
        asked = Asked(player, world.coins, 5)

        await instance.intake.take(asked.message)

        job = await world.job(asked)
        assert [line.quantity for line in job.lines] == [2, 2, 1]
        for order in orders:
            (ref,) = await lines_of(instance, order)
            assert ref.line_id == order["lines"][0]["lineItemId"]
            assert (ref.user_id, ref.tracking_id, ref.product_id) == (player, asked.tracking_id, world.coins)

    async def test_a_developer_managed_consume_names_its_order(self, world: Fulfilling, instance: Instance) -> None:
        player = await world.player()
        order = await world.store.buy(player, world.chest)
        await instance.intake.take(chest(world, player).message)

        (ref,) = await lines_of(instance, order)
        assert ref.line_id == order["lines"][0]["lineItemId"]

    @pytest.mark.parametrize("way", [{"drop": "after"}, {"status": 500, "when": "after"}], ids=str)
    async def test_where_its_answer_is_lost_the_order_is_known_all_the_same(
        self, world: Fulfilling, instance: Instance, control: Control, way: dict[str, str]
    ) -> None:
        player = await world.player()
        order = await world.store.buy(player, world.chest)
        asked = chest(world, player)
        await control.disturb("collections", way, path=CONSUME, times=1)
        await instance.intake.take(asked.message)
        # By the time of the replay the player has bought another one, whose order the item would name.
        await world.store.buy(player, world.chest)

        world.later(seconds=30)
        await world.drain()

        (ref,) = await lines_of(instance, order)
        assert (ref.tracking_id, ref.line_id) == (asked.tracking_id, "")
        assert await world.balance(player, world.chest) == 1
        assert await world.carried_out(asked) == 1

    async def test_where_the_order_cannot_be_found_at_all_a_refund_can_tell(
        self, world: Fulfilling, instance: Instance, control: Control
    ) -> None:
        player = await world.player(chests=1)
        asked = chest(world, player)
        await control.disturb("collections", {"status": 200, "body": {"items": []}}, path=QUERY, times=1)
        await control.disturb("collections", {"drop": "after"}, path=CONSUME, times=1)
        await instance.intake.take(asked.message)
        world.later(seconds=30)
        await world.drain()

        assert (await world.job(asked)).status is JobStatus.GRANTED
        assert asked.tracking_id in [
            ref.tracking_id for ref in await instance.ledger.unlinked_lines(world.chest.lower(), 10)
        ]

    async def test_an_item_that_cannot_be_looked_up_is_not_consumed_yet(
        self, world: Fulfilling, instance: Instance, control: Control
    ) -> None:
        player = await world.player(chests=1)
        asked = chest(world, player)
        await control.disturb("collections", {"status": 500}, path=QUERY, times=1)
        await instance.intake.take(asked.message)
        job = await world.job(asked)
        assert (job.status, job.uncertain, job.looked_up) == (JobStatus.PENDING, False, False)
        assert await world.carried_out(asked) == 0

        world.later(seconds=30)
        await world.drain()
        assert (await world.job(asked)).transaction_id

    async def test_a_lookup_that_is_refused_does_not_hold_up_the_consume(
        self, world: Fulfilling, instance: Instance, control: Control
    ) -> None:
        player = await world.player()
        order = await world.store.buy(player, world.chest)
        await control.disturb("collections", {"status": 400}, path=QUERY, times=1)
        await instance.intake.take(chest(world, player).message)

        assert [ref.user_id for ref in await lines_of(instance, order)] == [player]


class TestCorrections:
    async def bought(self, world: Fulfilling, quantity: int = 10, *consumes: int) -> tuple[str, dict[str, Any]]:
        """A player who bought once and consumed some of it."""
        player = await world.player()
        order = await world.store.buy(player, world.coins, quantity)
        for count in consumes:
            await world.instance().intake.take(Asked(player, world.coins, count).message)
        return player, order

    async def test_a_refund_takes_back_what_each_fulfilment_took_of_the_line_and_once(
        self, world: Fulfilling, instance: Instance
    ) -> None:
        player, order = await self.bought(world, 10, 3, 4)
        event = clawback(order)
        lines = await lines_of(instance, order)

        first = await instance.ledger.apply_refund(player, lines, event)
        again = await world.instance().ledger.apply_refund(player, lines, event)
        another = await instance.ledger.apply_refund(player, lines, clawback(order))

        assert (first.quantity, first.balance, first.is_new, len(first.tracking_ids)) == (7, 0, True, 2)
        assert again == Correction(7, 0, first.tracking_ids, is_new=False)
        assert another.quantity == 0
        assert await world.balance(player) == 0
        (told,) = [each for each in world.events(player) if each["type"] == "storekeeper.consumable.revoked"]
        assert told["data"]["quantity"] == 7
        assert told["data"]["clawbackEventId"] == event.event_id
        assert told["data"]["isNegative"] is False

    async def test_other_purchases_stay(self, world: Fulfilling, instance: Instance) -> None:
        player, order = await self.bought(world, 2, 2)
        await world.store.buy(player, world.coins, 5)
        await instance.intake.take(Asked(player, world.coins, 5).message)

        await instance.ledger.apply_refund(player, await lines_of(instance, order), clawback(order))

        assert await world.balance(player) == 5

    async def test_a_balance_that_was_spent_falls_below_zero_and_says_so(
        self, world: Fulfilling, instance: Instance
    ) -> None:
        player, order = await self.bought(world, 4, 4)
        books = instance.ledger.files
        job = (await books.jobs(player))[0]
        held = await books.balance(job)
        await spend(instance, job, held.quantity)

        taken = await instance.ledger.apply_refund(player, await lines_of(instance, order), clawback(order))

        assert (taken.balance, taken.is_negative) == (-4, True)
        assert await world.balance(player) == -4
        (told,) = [each for each in world.events(player) if each["type"] == "storekeeper.consumable.revoked"]
        assert (told["data"]["balance"], told["data"]["isNegative"]) == (-4, True)

    @pytest.mark.parametrize("order_of_events", ["CR", "RC", "CRCR", "CCR", "RRC"])
    async def test_a_chargeback_and_its_reversal_end_right_in_any_order_and_however_often(
        self, world: Fulfilling, instance: Instance, order_of_events: str
    ) -> None:
        player, order = await self.bought(world, 6, 6)
        lines = await lines_of(instance, order)
        events = {"C": clawback(order, chargeback=True), "R": clawback(order)}
        for each in order_of_events:
            if each == "C":
                await instance.ledger.apply_refund(player, lines, events["C"])
            else:
                await instance.ledger.restore(player, lines, events["R"])

        assert await world.balance(player) == 6
        types = [event["type"] for event in world.events(player)]
        assert types.count("storekeeper.consumable.revoked") == types.count("storekeeper.consumable.restored")

    async def test_a_refund_is_not_undone_by_a_reversal(self, world: Fulfilling, instance: Instance) -> None:
        player, order = await self.bought(world, 6, 6)
        lines = await lines_of(instance, order)
        await instance.ledger.apply_refund(player, lines, clawback(order))
        await instance.ledger.restore(player, lines, clawback(order))

        assert await world.balance(player) == 0

    async def test_a_line_that_more_fulfilments_drew_from_than_a_transaction_holds(
        self, world: Fulfilling, instance: Instance
    ) -> None:
        player, order_id, line_id = await world.player(), str(uuid4()), str(uuid4())
        order = {"orderId": order_id, "lines": [{"lineItemId": line_id, "productId": world.coins}]}
        line = Line(order_id, line_id, 2)
        count = JOBS_A_COMMIT + 5
        for _ in range(count):
            await grant_by_hand(world, instance, player, line)
        lines = await lines_of(instance, order)
        assert len(lines) == count
        event = clawback(order)

        # Dies between the two transactions, and is told again.
        with pytest.raises(CrashError):
            await world.instance(Fate(1 + count + 3, before=True)).ledger.apply_refund(player, lines, event)
        assert 0 < await world.balance(player) < 2 * count
        taken = await instance.ledger.apply_refund(player, lines, event)

        assert (taken.quantity, taken.balance, len(taken.tracking_ids)) == (2 * count, 0, count)
        assert await world.balance(player) == 0

    async def test_a_correction_that_dies_anywhere_is_made_once(self, world: Fulfilling, instance: Instance) -> None:
        undisturbed = Fate()
        player, order = await self.bought(world, 6, 2, 3)
        lines = await lines_of(instance, order)
        await world.instance(undisturbed).ledger.apply_refund(player, lines, clawback(order))

        for point in range(1, len(undisturbed.calls) + 1):
            for before in (True, False):
                player, order = await self.bought(world, 6, 2, 3)
                lines, event = await lines_of(instance, order), clawback(order)
                with pytest.raises(CrashError):
                    await world.instance(Fate(point, before)).ledger.apply_refund(player, lines, event)

                await world.instance().ledger.apply_refund(player, lines, event)
                world.later(minutes=3)
                await world.settle()

                assert await world.balance(player) == 0
                told = [each for each in world.events(player) if each["type"] == "storekeeper.consumable.revoked"]
                assert {each["data"]["quantity"] for each in told} == {5}
                assert len({each["id"] for each in told}) == 1

    async def test_an_event_that_cannot_be_sent_now_is_sent_by_the_sweep(
        self, world: Fulfilling, instance: Instance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        player, order = await self.bought(world, 6, 6)

        async def down(self: FatefulQueue, *_: object, **__: object) -> None:
            raise UnavailableError("storage-queues", "is away")

        with monkeypatch.context() as patched:
            patched.setattr(FatefulQueue, "send", down)
            await instance.ledger.apply_refund(player, await lines_of(instance, order), clawback(order))
        assert len(world.events(player)) == 1

        world.later(minutes=2)
        await world.sweep()
        assert [each["type"] for each in world.events(player)][-1] == "storekeeper.consumable.revoked"
        assert not await world.open_rows()


class TestReversedChargebacksOfDeveloperManagedConsumables:
    """The Store lets the unit be consumed again; what was granted for it is restored, and not granted beside it."""

    @pytest.mark.parametrize("order_of_events", ["CRX", "CXR", "XCR", "XRC", "RXC", "RCX", "CX", "CRXX"])
    async def test_the_unit_is_held_once_in_any_order(
        self, world: Fulfilling, instance: Instance, order_of_events: str
    ) -> None:
        player = await world.player()
        order = await world.store.buy(player, world.chest)
        first = chest(world, player)
        await instance.intake.take(first.message)
        lines = await lines_of(instance, order)
        await world.store.charge_back(player, order["orderId"], send=False)
        await world.store.reverse_chargeback(player, order["orderId"], send=False)
        charged, restored = clawback(order, chargeback=True), clawback(order)
        again = chest(world, player)

        for each in order_of_events:
            match each:
                case "C":
                    await instance.ledger.apply_refund(player, lines, charged)
                case "R":
                    await instance.ledger.restore(player, lines, restored)
                case "X":
                    await world.instance().intake.take(again.message)

        assert await world.balance(player, world.chest) == await world.held(player, world.chest) == 1
        assert (await world.job(again)).status is JobStatus.GRANTED
        assert [ref.tracking_id for ref in await lines_of(instance, order)] == [first.tracking_id]
        moves = {"granted": 1, "restored": 1, "revoked": -1}
        told = [each for each in world.events(player) if each["type"].startswith("storekeeper.consumable.")]
        assert len({each["id"] for each in told}) == len(told)
        assert sum(moves[each["type"].rpartition(".")[2]] * each["data"]["quantity"] for each in told) == 1

    async def test_a_new_purchase_is_granted_beside_one_that_was_charged_back(
        self, world: Fulfilling, instance: Instance
    ) -> None:
        player = await world.player()
        order = await world.store.buy(player, world.chest)
        await instance.intake.take(chest(world, player).message)
        await instance.ledger.apply_refund(player, await lines_of(instance, order), clawback(order, chargeback=True))
        await world.store.buy(player, world.chest)

        await instance.intake.take(chest(world, player).message)

        assert await world.balance(player, world.chest) == 1

    async def test_another_of_the_players_accounts_gets_nothing_for_a_unit_that_was_granted_before(
        self, world: Fulfilling, instance: Instance
    ) -> None:
        """Two ids of ours, one account of the Store's: the reversal restores it to whom it was granted."""
        player, other = await world.player(), await world.player()
        order = await world.store.buy(player, world.chest)
        await instance.intake.take(chest(world, player).message)
        (ref,) = await lines_of(instance, order)
        job = Asked(other, world.chest, 1, "UnmanagedConsumable")
        line = Line(ref.order_id, ref.line_id, 1)

        await grant_by_hand(world, instance, other, line, job)

        assert await world.balance(other, world.chest) == 0
        assert (await world.job(job)).lines[0].state is LineState.ELSEWHERE


async def spend(instance: Instance, job: Job, quantity: int) -> None:
    """Take something from a balance, as only a test does: a player's spending is the game's affair."""
    held = await instance.ledger.files.balance(job)
    await instance.ledger.files.commit([balance_write(job, held, held.quantity - quantity)])


async def grant_by_hand(
    world: Fulfilling, instance: Instance, player: str, line: Line, asked: Asked | None = None
) -> None:
    """A grant without a consume."""
    asked = asked or Asked(player, world.coins, line.quantity)
    job = instance.worker.claimed(new_job(asked.request, world.clock()))
    job = await instance.ledger.files.create(job, world.clock())
    await instance.ledger.granting.finish(await instance.ledger.granting.grant(job, [line], 0, world.clock()))
