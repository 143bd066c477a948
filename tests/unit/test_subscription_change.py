"""What a subscription shows of a change whose outcome nobody knows."""

import pytest

from shared.entitlements.change import Asked, Change, Shown, shown
from shared.store.models.purchase import ChangeType, Recurrence, RecurrenceState

BEFORE = "2026-12-01T23:59:59.0000000+00:00"
CANCEL, EXTEND, REFUND, TOGGLE = ChangeType


def change(change_type: ChangeType, days: int | None = None, expiration: str | None = BEFORE) -> Change:
    return Change(asked=Asked("c-1", "mdr:0:x", change_type, days, None), state="Active", expiration=expiration)


def subscription(
    end: str | None = BEFORE, state: RecurrenceState = RecurrenceState.ACTIVE, auto_renew: bool | None = True
) -> Recurrence:
    return Recurrence(id="mdr:0:x", product_id="A", recurrence_state=state, expiration_time=end, auto_renew=auto_renew)


@pytest.mark.parametrize(
    ("days", "end", "expected"),
    [
        (5, "2026-12-06T23:59:59.0000000+00:00", Shown.DONE),
        (5, "2026-12-06T23:59:59+00:00", Shown.DONE),
        (5, "2026-12-07T01:59:59+02:00", Shown.DONE),
        (-5, "2026-11-26T23:59:59Z", Shown.DONE),
        (5, BEFORE, Shown.NOTHING),
        (5, "2026-12-01T23:59:58Z", Shown.NOTHING),
        (5, "2026-12-11T23:59:59Z", Shown.OTHER),  # twice
        (5, "2026-12-31T23:59:59Z", Shown.OTHER),  # renewed meanwhile
        (5, "2026-11-26T23:59:59Z", Shown.OTHER),
        (1, "2026-12-02T12:00:00Z", Shown.OTHER),  # half a day
        (5, None, Shown.OTHER),
        (5, "never", Shown.OTHER),
    ],
)
def test_an_extension_shows_in_the_end_alone(days: int, end: str | None, expected: Shown) -> None:
    assert shown(change(EXTEND, days), subscription(end)) is expected


def test_an_extension_of_what_had_no_end_can_never_be_told() -> None:
    assert shown(change(EXTEND, 5, None), subscription()) is Shown.OTHER


@pytest.mark.parametrize(
    ("end", "state", "expected"),
    [
        (BEFORE, RecurrenceState.ACTIVE, Shown.OTHER),
        (BEFORE, RecurrenceState.IN_DUNNING, Shown.OTHER),
        (BEFORE, RecurrenceState.CANCELED, Shown.DONE),
        ("2026-11-21T12:00:00Z", RecurrenceState.INACTIVE, Shown.DONE),
        ("2026-11-21T12:00:00Z", RecurrenceState.ACTIVE, Shown.OTHER),
    ],
)
def test_a_refund_shows_when_the_subscription_has_ended(end: str, state: RecurrenceState, expected: Shown) -> None:
    assert shown(change(REFUND), subscription(end, state)) is expected


def test_what_had_ended_before_its_refund_shows_it_by_an_earlier_end_alone() -> None:
    canceled = Change(asked=Asked("c-1", "mdr:0:x", REFUND, None, None), state="Canceled", expiration=BEFORE)

    assert shown(canceled, subscription(BEFORE, RecurrenceState.CANCELED)) is Shown.OTHER
    assert shown(canceled, subscription("2026-11-21T12:00:00Z", RecurrenceState.CANCELED)) is Shown.DONE


@pytest.mark.parametrize("change_type", [CANCEL, TOGGLE])
def test_what_has_ended_is_canceled_and_does_not_renew(change_type: ChangeType) -> None:
    for state in (RecurrenceState.CANCELED, RecurrenceState.INACTIVE, RecurrenceState.FAILED):
        assert shown(change(change_type), subscription(state=state, auto_renew=None)) is Shown.DONE
    for running in (subscription(), subscription(auto_renew=None)):
        assert shown(change(change_type), running) is Shown.NOTHING


def test_what_does_not_renew_is_switched_off_and_not_surely_canceled() -> None:
    assert shown(change(TOGGLE), subscription(auto_renew=False)) is Shown.DONE
    assert shown(change(CANCEL), subscription(auto_renew=False)) is Shown.NOTHING
