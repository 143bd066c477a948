"""What a set of events means for a purchase, whatever order they came in."""

from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pytest

from shared.refunds.findings import SELDOM, next_look
from shared.refunds.history import History
from shared.refunds.record import Refund, from_row, group_of, shard_of, to_properties, unread_group
from shared.refunds.rules import Mark, is_taken
from shared.refunds.status import RefundStatus
from shared.store.models.clawback import ClawbackEvent, decode_event
from tests.support.refunding import SEASON, SWORD, crafted, text_of

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
R, C, V = Mark.REFUND, Mark.CHARGEBACK, Mark.REVERSAL


def event(**changes: Any) -> ClawbackEvent:
    return decode_event(text_of(crafted(changes.pop("orderId", "order-1"), "line-1", **changes)))


def filed(status: RefundStatus = RefundStatus.APPLIED, **changes: Any) -> Refund:
    content = text_of(crafted(changes.pop("orderId", "order-1"), "line-1", **changes))
    return Refund(
        group="order-1",
        event_id=decode_event(content).id,
        message_id="message-1",
        content=content,
        received_on=NOW,
        status=status,
        reason="because",
    )


CHARGEBACK: dict[str, Any] = {"source": "/Purchase/Chargeback"}
REVERSAL = CHARGEBACK | {"eventState": "ChargebackReversal"}


@pytest.mark.parametrize(
    ("marks", "taken"),
    [
        ([], False),
        ([R], True),
        ([C], True),
        ([C, V], False),
        ([V], False),
        ([R, V], True),
        ([R, C, V], True),
        ([C, V, C], True),
        ([C, V, C, V], False),
        ([C, C, V], True),
    ],
)
def test_a_purchase_is_taken_by_a_refund_or_a_chargeback_that_stands(marks: list[Mark], taken: bool) -> None:
    assert {is_taken(each) for each in permutations(marks)} == {taken}


def test_a_reversal_waits_for_a_chargeback_that_was_dealt_with() -> None:
    reversal = event(**REVERSAL)

    assert History(reversal, []).awaits_chargeback()
    assert History(reversal, [filed(RefundStatus.UNMATCHED, **CHARGEBACK)]).awaits_chargeback()
    assert not History(reversal, [filed(**CHARGEBACK)]).awaits_chargeback()
    assert History(reversal, [filed(**CHARGEBACK), filed(**REVERSAL)]).awaits_chargeback()


def test_a_chargeback_of_what_was_not_consumed_is_one_too() -> None:
    history = History(event(**REVERSAL), [filed(RefundStatus.IGNORED, **CHARGEBACK, eventState="Return")])

    assert not history.awaits_chargeback()
    assert history.times_added_back() == 0


def test_a_unit_is_added_back_as_often_as_its_chargebacks_were_reversed() -> None:
    reversal, chargeback = event(**REVERSAL), filed(**CHARGEBACK)

    assert History(reversal, [chargeback]).times_added_back() == 1
    assert History(reversal, [chargeback, filed(**CHARGEBACK)]).times_added_back() == 1
    assert History(reversal, [chargeback, filed(**CHARGEBACK), filed(**REVERSAL)]).times_added_back() == 2
    assert History(reversal, [filed()]).times_added_back() == 0


@pytest.mark.parametrize("other", [{"productId": SWORD}, {"lineItemId": "line-2"}])
def test_events_of_another_product_or_line_do_not_count(other: dict[str, str]) -> None:
    chargeback = crafted("order-1", "line-1", **CHARGEBACK)
    chargeback["data"] |= other
    known = Refund(
        group="order-1",
        event_id=chargeback["id"],
        message_id="message-1",
        content=text_of(chargeback),
        received_on=NOW,
        status=RefundStatus.APPLIED,
        reason="because",
    )

    assert History(event(**REVERSAL), [known]).awaits_chargeback()


def test_neither_does_the_event_itself_nor_one_that_the_player_keeps() -> None:
    chargeback = filed(**CHARGEBACK)
    assert chargeback.event

    assert History(chargeback.event, [chargeback]).awaits_chargeback()
    assert not History(event(), [filed(RefundStatus.IGNORED, eventState="Refunded")]).is_taken(Mark.REVERSAL)


def test_the_refund_of_another_period_takes_no_subscription_back() -> None:
    """A period is an order: January was paid back, June is charged back and that is reversed."""
    season: dict[str, Any] = {"productId": SEASON, "productType": "Pass", "recurrenceData": {"recurrenceId": "mdr:0:1"}}
    june = season | {"orderId": "order-6"}
    history = History(event(**june, **REVERSAL), [filed(**season), filed(**june, **CHARGEBACK)])

    assert not history.awaits_chargeback()
    assert not history.is_taken(Mark.REVERSAL)
    assert History(event(**june, **REVERSAL), [filed(**june), filed(**june, **CHARGEBACK)]).is_taken(Mark.REVERSAL)


def test_the_group_of_a_subscription_is_its_recurrence() -> None:
    recurrence = {"recurrenceId": "MDR:0:1"}

    assert group_of(event(productId=SEASON, productType="Pass", recurrenceData=recurrence)) == "mdr:0:1"
    assert group_of(event(orderId="ORDER-1")) == "order-1"


@pytest.mark.parametrize(("age", "delay"), [(0, 0), (10, 1), (600, 60), (10**9, SELDOM.total_seconds())])
def test_an_event_is_looked_at_ever_more_seldom(age: int, delay: float) -> None:
    assert next_look(NOW - timedelta(seconds=age), NOW) == NOW + timedelta(seconds=delay)


def test_our_clock_going_back_makes_nothing_wait() -> None:
    assert next_look(NOW + timedelta(days=1), NOW) == NOW


def test_a_record_is_read_as_it_was_written() -> None:
    refund = filed(RefundStatus.UNMATCHED, **CHARGEBACK)

    assert from_row(to_properties(refund)) == refund
    assert len(shard_of(refund.group)) == 1


@pytest.mark.parametrize("message_id", ["7df10000-2c9b", "a/b|c#d?", "", "x" * 500])
def test_what_could_not_be_read_is_filed_under_its_message(message_id: str) -> None:
    group = unread_group(message_id)

    assert group.startswith("message.")
    assert not set(group) & set("/\\#?|")
    assert len(group) < 200
