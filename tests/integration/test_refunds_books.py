"""What a clawback event does to players' books, whatever comes twice, late, or out of order."""

from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest

from local.control import Control
from shared.auth.tokens import StoreIdKind
from shared.ledger.kinds import JobStatus
from shared.ledger.record import LineState
from shared.refunds.findings import PATIENCE
from shared.refunds.status import RefundStatus
from shared.wiring import Wiring
from tests.support.app import Storage
from tests.support.refunding import CHEST, COINS, GAME, SEASON, SWORD, Refunding, crafted


@pytest.fixture
async def world(wiring: Wiring, control: Control, storage: Storage) -> AsyncIterator[Refunding]:
    world = Refunding(wiring, control, storage)
    await world.prepare()
    yield world
    await world.queue.close()


async def held(world: Refunding, user: str, product_id: str = COINS) -> int:
    """What both books say, which must be the same."""
    ours = await world.balance(user, product_id)
    assert ours == await world.truth(user, product_id)
    return ours


class TestConsumables:
    """What was consumed is taken back once; what was not was never granted."""

    async def test_what_was_consumed_is_taken_back(self, world: Refunding) -> None:
        user = await world.player()
        order = await world.buy(user, COINS, 100)
        await world.fulfill(user, COINS, 100)
        (event,) = await world.control.store.refund(user, order)

        tally = await world.run()

        assert (tally.read, tally.done, tally.failed) == (1, 1, 0)
        assert await held(world, user) == 0
        refund = await world.found(event)
        assert (refund.status, refund.quantity, refund.user_id) == (RefundStatus.APPLIED, 100, user)
        assert refund.due_on is None
        (told,) = await world.told("consumable.revoked")
        assert (told["userId"], told["quantity"], told["balance"]) == (user, 100, 0)
        assert (told["cause"], told["clawbackEventId"]) == ("refund", event["id"])
        assert await world.left() == 0

    async def test_every_consume_that_took_of_the_line_gives_its_share(self, world: Refunding) -> None:
        user = await world.player()
        order = await world.buy(user, COINS, 100)
        other = await world.buy(user, COINS, 50)
        jobs = [await world.fulfill(user, COINS, quantity) for quantity in (30, 30, 60)]
        await world.control.store.refund(user, order)

        await world.run()

        assert other
        assert await held(world, user) == 20
        states = {
            (line.quantity, line.state)
            for job in jobs
            if (found := await world.ledger.job(user, job.tracking_id))
            for line in found.lines
        }
        assert states == {(30, LineState.REVOKED), (40, LineState.REVOKED), (20, LineState.GRANTED)}

    async def test_what_was_returned_was_never_granted(self, world: Refunding) -> None:
        user = await world.player()
        order = await world.buy(user, COINS, 100)
        (event,) = await world.control.store.refund(user, order)

        await world.run()

        assert event["data"]["eventState"] == "Returned"
        assert (await world.found(event)).status is RefundStatus.IGNORED
        assert await held(world, user) == 0
        assert await world.told("consumable.revoked") == []

    async def test_what_the_player_keeps_is_noted_alone(self, world: Refunding) -> None:
        user = await world.player()
        order = await world.buy(user, COINS, 100)
        await world.fulfill(user, COINS, 100)
        (event,) = await world.control.store.refund(user, order, keep=True)

        await world.run()

        refund = await world.found(event)
        assert (refund.status, refund.quantity) == (RefundStatus.IGNORED, 0)
        assert "keeps" in refund.reason
        assert await held(world, user) == 100

    @pytest.mark.parametrize("states", ["documented", "short"])
    @pytest.mark.parametrize("encoding", ["base64", "base64url"])
    async def test_every_spelling_and_encoding_is_understood(
        self, world: Refunding, states: str, encoding: str
    ) -> None:
        user = await world.player()
        order = await world.buy(user, COINS, 5)
        kept = await world.buy(user, COINS, 5)
        await world.fulfill(user, COINS, 10)
        await world.control.store.set(eventStates=states, eventEncoding=encoding, eventPadding=False)
        try:
            await world.control.store.refund(user, order)
            await world.control.store.refund(user, kept, keep=True)
        finally:
            await world.control.store.reset()

        await world.run()

        assert await held(world, user) == 5

    async def test_what_was_spent_leaves_a_balance_below_zero_that_says_so(self, world: Refunding) -> None:
        user = await world.player()
        order = await world.buy(user, COINS, 10)
        await world.fulfill(user, COINS, 10)
        await world.spend(user, 7)
        (event,) = await world.control.store.refund(user, order)

        await world.run()

        assert await world.balance(user) == -7
        assert "below zero" in (await world.found(event)).reason
        (told,) = await world.told("consumable.revoked")
        assert (told["balance"], told["isNegative"]) == (-7, True)

    async def test_of_a_bundle_each_product_goes_its_own_way(self, world: Refunding) -> None:
        user = await world.player()
        order = await world.buy(user, CHEST)
        await world.fulfill(user, COINS, 60)
        await world.fulfill(user, SWORD)
        events = await world.control.store.refund(user, order)
        assert len({event["data"]["lineItemId"] for event in events}) == 1

        await world.run()

        assert (await held(world, user), await held(world, user, SWORD)) == (0, 0)
        found = {event["data"]["productId"]: await world.found(event) for event in events}
        assert {name: refund.quantity for name, refund in found.items()} == {CHEST: 0, COINS: 60, SWORD: 1}
        assert {refund.status for refund in found.values()} == {RefundStatus.APPLIED}
        (told,) = await world.told("entitlement.revoked")
        assert (told["productId"], told["userId"]) == (CHEST, user)

    async def test_a_part_of_a_bundle_is_taken_alone(self, world: Refunding) -> None:
        user = await world.player()
        order = await world.buy(user, CHEST)
        await world.fulfill(user, COINS, 60)
        await world.fulfill(user, SWORD)
        await world.control.store.refund(user, order, products=[COINS])

        await world.run()

        assert (await held(world, user), await held(world, user, SWORD)) == (0, 1)


class TestChargebacks:
    """What a chargeback took comes back with its reversal, once."""

    async def test_a_reversal_gives_back_what_the_chargeback_took(self, world: Refunding) -> None:
        user = await world.player()
        order = await world.buy(user, COINS, 100)
        await world.fulfill(user, COINS, 40)
        await world.control.store.charge_back(user, order)
        await world.run()
        assert await held(world, user) == 0
        (event,) = await world.control.store.reverse_chargeback(user, order)

        await world.run()

        assert await held(world, user) == 40
        refund = await world.found(event)
        assert (refund.status, refund.quantity, refund.user_id) == (RefundStatus.APPLIED, -40, user)
        (told,) = await world.told("consumable.restored")
        assert (told["quantity"], told["cause"]) == (40, "chargebackReversal")

    async def test_what_was_not_consumed_comes_back_by_itself(self, world: Refunding) -> None:
        user = await world.player()
        order = await world.buy(user, COINS, 100)
        await world.control.store.charge_back(user, order)
        (event,) = await world.control.store.reverse_chargeback(user, order)

        await world.run()
        await world.run()

        refund = await world.found(event)
        assert (refund.status, refund.quantity) == (RefundStatus.IGNORED, 0)
        assert await held(world, user) == 0
        await world.fulfill(user, COINS, 100)
        assert await held(world, user) == 100

    async def test_a_unit_that_the_store_adds_back_is_consumed_again_and_not_granted_beside(
        self, world: Refunding
    ) -> None:
        user = await world.player()
        order = await world.buy(user, SWORD)
        first = await world.fulfill(user, SWORD)
        await world.control.store.charge_back(user, order)
        await world.run()
        assert await held(world, user, SWORD) == 0
        (event,) = await world.control.store.reverse_chargeback(user, order)

        await world.run()
        waiting = await world.found(event)
        await world.carry_out_jobs()
        await world.run()

        assert waiting.status is RefundStatus.UNMATCHED
        assert "consumed again" in waiting.reason
        refund = await world.found(event)
        assert (refund.status, refund.quantity, refund.due_on) == (RefundStatus.APPLIED, -1, None)
        assert await held(world, user, SWORD) == 1
        (told,) = await world.told("consumable.restored")
        assert told["trackingIds"] == [first.tracking_id]
        assert [each["trackingId"] for each in await world.told("consumable.granted")] == [first.tracking_id]

    async def test_who_consumes_the_unit_does_not_matter(self, world: Refunding) -> None:
        user = await world.player()
        order = await world.buy(user, SWORD)
        await world.fulfill(user, SWORD)
        await world.control.store.charge_back(user, order)
        await world.run()
        await world.control.store.reverse_chargeback(user, order)
        await world.run()

        await world.fulfill(user, SWORD)
        await world.carry_out_jobs()
        await world.run()

        assert await held(world, user, SWORD) == 1
        assert await world.listed(RefundStatus.UNMATCHED) == []

    async def test_the_game_may_be_faster_than_the_events(self, world: Refunding) -> None:
        user = await world.player()
        order = await world.buy(user, SWORD)
        await world.fulfill(user, SWORD)
        await world.control.store.charge_back(user, order)
        await world.control.store.reverse_chargeback(user, order)
        await world.fulfill(user, SWORD)

        await world.run()
        await world.carry_out_jobs()
        await world.run()

        assert await held(world, user, SWORD) == 1

    async def test_a_new_purchase_of_the_same_product_is_left_to_the_game(self, world: Refunding) -> None:
        user = await world.player()
        order = await world.buy(user, SWORD)
        await world.fulfill(user, SWORD)
        await world.control.store.charge_back(user, order)
        await world.run()
        await world.buy(user, SWORD)
        await world.control.store.reverse_chargeback(user, order)

        await world.run()
        await world.carry_out_jobs()
        await world.run()

        assert await held(world, user, SWORD) == 1
        await world.fulfill(user, SWORD)
        assert await held(world, user, SWORD) == 2

    async def test_it_is_consumed_until_the_unit_itself_has_come(self, world: Refunding) -> None:
        user = await world.player()
        orders = []
        for _ in range(2):
            orders.append(await world.buy(user, SWORD))
            await world.fulfill(user, SWORD)
            await world.control.store.charge_back(user, orders[-1])
            await world.run()
        (first,) = await world.control.store.reverse_chargeback(user, orders[0], send=False)
        (second,) = await world.control.store.reverse_chargeback(user, orders[1])

        for _ in range(2):
            await world.run()
            assert await world.carry_out_jobs()
        await world.run()

        assert (await world.found(second)).status is RefundStatus.APPLIED
        assert await held(world, user, SWORD) == 2
        await world.put(first)
        await world.run()
        assert await world.carry_out_jobs() == 0
        assert (await world.found(first)).status is RefundStatus.APPLIED
        assert await held(world, user, SWORD) == 2

    async def test_without_a_key_of_the_player_a_person_is_asked_after_a_while(self, world: Refunding) -> None:
        user = await world.player()
        order = await world.buy(user, SWORD)
        await world.fulfill(user, SWORD)
        await world.control.store.charge_back(user, order)
        await world.run()
        (event,) = await world.control.store.reverse_chargeback(user, order)
        await world.wiring.keys.intake.forget(user, StoreIdKind.COLLECTIONS)
        await world.run()
        await world.carry_out_jobs()
        await world.run()
        assert (await world.found(event)).status is RefundStatus.UNMATCHED

        world.offset += PATIENCE
        await world.run()
        world.offset += timedelta(hours=1)
        await world.run()

        assert (await world.found(event)).status is RefundStatus.REVIEW
        (told,) = await world.told("refund.review-needed")
        assert (told["refundId"], told["orderId"]) == (event["id"], order)

        await world.give_key(user)
        (stuck,) = [job for job in await world.ledger.files.jobs(user) if not job.status.is_over]
        world.offset += timedelta(hours=12)
        await world.intake._worker.advance(stuck)
        await world.run()

        assert (await world.found(event)).status is RefundStatus.APPLIED
        assert await held(world, user, SWORD) == 1

    async def test_a_second_chargeback_is_taken_and_reversed_again(self, world: Refunding) -> None:
        user = await world.player()
        order = await world.buy(user, COINS, 100)
        await world.fulfill(user, COINS, 40)
        for expected in (0, 40, 0, 40):
            if expected:
                await world.control.store.reverse_chargeback(user, order)
            else:
                await world.control.store.charge_back(user, order)
            await world.run()
            assert await held(world, user) == expected

    async def test_a_developer_managed_unit_too(self, world: Refunding) -> None:
        user = await world.player()
        order = await world.buy(user, SWORD)
        await world.fulfill(user, SWORD)
        for expected in (0, 1, 0, 1):
            if expected:
                await world.control.store.reverse_chargeback(user, order)
            else:
                await world.control.store.charge_back(user, order)
            await world.run()
            await world.carry_out_jobs()
            await world.run()
            assert await held(world, user, SWORD) == expected

    async def test_what_was_refunded_besides_stays_taken(self, world: Refunding) -> None:
        user = await world.player()
        order = await world.buy(user, COINS, 10)
        await world.fulfill(user, COINS, 10)
        (chargeback,) = await world.control.store.charge_back(user, order, send=False)
        (reversal,) = await world.control.store.reverse_chargeback(user, order, send=False)
        (refund,) = await world.control.store.refund(user, order, send=False)
        for event in (chargeback, refund, reversal):
            await world.put(event)

        await world.run()
        await world.run()

        assert await held(world, user) == 0
        assert (await world.found(reversal)).status is RefundStatus.IGNORED


class TestOrder:
    """Whatever order events and grants come in, the end is the same."""

    @pytest.mark.parametrize("order_of_events", list(permutations(range(3))))
    async def test_chargeback_reversal_and_refund_in_any_order(
        self, world: Refunding, order_of_events: tuple[int, ...]
    ) -> None:
        user = await world.player()
        order = await world.buy(user, COINS, 10)
        await world.fulfill(user, COINS, 10)
        events = [
            *await world.control.store.charge_back(user, order, send=False),
            *await world.control.store.reverse_chargeback(user, order, send=False),
            *await world.control.store.refund(user, order, send=False),
        ]

        for number in order_of_events:
            await world.put(events[number])
            await world.run()

        await world.run()
        assert await held(world, user) == 0
        assert await world.listed(RefundStatus.UNMATCHED) == []

    @pytest.mark.parametrize("product_id", [COINS, SWORD])
    @pytest.mark.parametrize("order_of_events", list(permutations(range(4)))[::3])
    async def test_two_chargebacks_and_their_reversals_in_any_order(
        self, world: Refunding, order_of_events: tuple[int, ...], product_id: str
    ) -> None:
        user = await world.player()
        order = await world.buy(user, product_id)
        await world.fulfill(user, product_id)
        front = world.control.store
        events: list[dict[str, Any]] = []
        for _ in range(2):
            events += await front.charge_back(user, order, send=False)
            events += await front.reverse_chargeback(user, order, send=False)
            if product_id == SWORD:
                await world.fulfill(user, SWORD)

        for number in order_of_events:
            await world.put(events[number], times=2)
            await world.run()
            await world.carry_out_jobs()

        world.offset += timedelta(minutes=1)  # on a slow machine what waits is not due at once
        await world.run()
        assert await held(world, user, product_id) == 1
        assert await world.listed(RefundStatus.UNMATCHED) == []

    async def test_an_event_before_its_grant_waits_for_it(self, world: Refunding) -> None:
        user = await world.player()
        order = await world.buy(user, COINS, 10)
        line = (await world.control.store.books(user))[user]["orders"][0]["lines"][0]["lineItemId"]
        event = crafted(order, line)
        await world.put(event)
        await world.run()
        assert (await world.found(event)).status is RefundStatus.UNMATCHED
        assert await world.left() == 0
        await world.fulfill(user, COINS, 10)

        await world.run()

        refund = await world.found(event)
        assert (refund.status, refund.quantity) == (RefundStatus.APPLIED, 10)
        assert await world.balance(user) == 0

    async def test_what_a_clock_filed_that_was_ahead_waits_no_longer_for_that(self, world: Refunding) -> None:
        user = await world.player()
        order = await world.buy(user, COINS, 10)
        line = (await world.control.store.books(user))[user]["orders"][0]["lines"][0]["lineItemId"]
        event = crafted(order, line)
        world.offset = timedelta(days=400)
        await world.put(event)
        await world.run()
        world.offset = timedelta(0)
        await world.fulfill(user, COINS, 10)

        await world.run()

        assert (await world.found(event)).status is RefundStatus.APPLIED
        assert await world.balance(user) == 0

    async def test_a_consume_that_was_under_way_is_taken_when_it_is_granted(self, world: Refunding) -> None:
        user = await world.player()
        order = await world.buy(user, COINS, 100)
        await world.fulfill(user, COINS, 30)
        await world.control.disturb("collections", {"status": 500, "when": "after"}, path="consume$", times=1)
        late = await world.fulfill(user, COINS, 20)
        assert late.status is JobStatus.PENDING
        (event,) = await world.control.store.refund(user, order)
        await world.run()
        assert (await world.found(event)).due_on is not None
        assert await world.balance(user) == 0

        world.offset += timedelta(minutes=2)
        await world.intake._worker.advance(await world.intake.find(user, late.tracking_id))
        assert await world.balance(user) == 20
        await world.run()

        refund = await world.found(event)
        assert (refund.quantity, refund.due_on) == (50, None)
        assert await held(world, user) == 0

    async def test_where_the_store_never_told_the_order_a_person_is_asked_once(self, world: Refunding) -> None:
        user = await world.player()
        order = await world.buy(user, SWORD)
        await world.control.disturb("collections", {"status": 400, "body": {"code": "No"}}, path="Query$", times=1)
        await world.control.disturb("collections", {"drop": "after"}, path="consume$", times=1)
        job = await world.fulfill(user, SWORD)
        world.offset += timedelta(minutes=2)
        await world.intake._worker.advance(job)
        assert await world.balance(user, SWORD) == 1
        (event,) = await world.control.store.refund(user, order)
        await world.run()
        assert (await world.found(event)).status is RefundStatus.UNMATCHED

        for _ in range(3):
            world.offset += PATIENCE
            await world.run()

        refund = await world.found(event)
        assert refund.status is RefundStatus.REVIEW
        assert refund.due_on is not None
        assert [each["refundId"] for each in await world.told("refund.review-needed")] == [event["id"]]
        assert await world.balance(user, SWORD) == 1

    async def test_what_is_consumed_after_a_reversal_is_not_taken_for_the_chargeback(self, world: Refunding) -> None:
        user = await world.player()
        order = await world.buy(user, COINS, 100)
        await world.fulfill(user, COINS, 30)
        await world.control.store.charge_back(user, order)
        await world.control.store.reverse_chargeback(user, order)
        await world.fulfill(user, COINS, 70)

        await world.run()
        await world.run()
        assert await held(world, user) == 100
        await world.control.store.charge_back(user, order)
        await world.run()

        assert await held(world, user) == 0


class TestEntitlements:
    """Of what is no consumable the publisher is told."""

    async def test_a_game_is_taken_back_and_given_back(self, world: Refunding) -> None:
        user = await world.player()
        order = await world.buy(user, GAME)
        (taken,) = await world.control.store.charge_back(user, order)
        await world.run()
        (given,) = await world.control.store.reverse_chargeback(user, order)
        await world.run()

        (revoked,), (restored,) = await world.told("entitlement.revoked"), await world.told("entitlement.restored")
        assert (revoked["clawbackEventId"], revoked["cause"]) == (taken["id"], "chargeback")
        assert (restored["clawbackEventId"], restored["cause"]) == (given["id"], "chargebackReversal")
        assert (revoked["orderId"], revoked["productType"], revoked["userId"]) == (order, "Game", None)

    async def test_a_reversal_that_comes_first_is_told_last(self, world: Refunding) -> None:
        user = await world.player()
        order = await world.buy(user, GAME)
        (taken,) = await world.control.store.charge_back(user, order, send=False)
        (given,) = await world.control.store.reverse_chargeback(user, order, send=False)
        await world.put(given)
        await world.run()
        assert await world.told("entitlement.restored") == []
        await world.put(taken)

        await world.run()

        assert len(await world.told("entitlement.revoked")) == 1
        assert len(await world.told("entitlement.restored")) == 1

    @pytest.mark.parametrize("written", ["Full", "partial", "PARTIAL"])
    async def test_a_subscription_is_told_by_its_recurrence_with_the_days_that_stay(
        self, world: Refunding, written: str
    ) -> None:
        user = await world.player()
        subscription = await world.control.store.subscribe(user, SEASON)
        (event,) = await world.control.store.refund_subscription(subscription["id"], daysKept=6)
        duplicate = event | {"id": f"{event['id'][:-4]}0000"}
        duplicate["data"] = event["data"] | {
            "recurrenceData": event["data"]["recurrenceData"] | {"refundType": written}
        }
        await world.put(duplicate)

        await world.run()

        told = await world.told("entitlement.revoked")
        assert {each["recurrenceId"] for each in told} == {subscription["id"]}
        assert {each["keptDays"] for each in told} == {6}
        assert {each["refundType"] for each in told} == {"full", written.lower()}

    async def test_a_reversal_finds_its_subscription_under_another_order(self, world: Refunding) -> None:
        recurrence = {"recurrenceId": "mdr:0:00112233:1234", "refundType": "Full", "consumedDurationInDays": 1}
        changes: dict[str, Any] = {
            "productType": "Pass",
            "recurrenceData": recurrence,
            "source": "/Purchase/Chargeback",
        }
        await world.put(crafted("order-1", "line-1", SEASON, **changes))
        await world.put(crafted("order-2", "line-2", SEASON, **changes, eventState="ChargebackReversal"))

        await world.run()

        assert len(await world.told("entitlement.restored")) == 1
