"""Whether a subscription entitles its user, by its state and by its times."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.entitlements.entitled import is_entitled, time_of
from shared.store.models.purchase import Recurrence, RecurrenceState

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
ACTIVE, IN_DUNNING = RecurrenceState.ACTIVE, RecurrenceState.IN_DUNNING


def at(hours: float) -> str:
    """A time as the Store writes it, some hours from now."""
    return (NOW + timedelta(hours=hours)).strftime("%Y-%m-%dT%H:%M:%S.%f0+00:00")


def subscription(
    state: RecurrenceState, start: str | None = None, end: str | None = None, grace: str | None = None
) -> Recurrence:
    return Recurrence(
        id="mdr:0:x",
        product_id="CFQ7EXAMPLE1",
        recurrence_state=state,
        start_time=start,
        expiration_time=end,
        expiration_time_with_grace=grace,
    )


@pytest.mark.parametrize(
    ("state", "start", "end", "grace", "entitled"),
    [
        (ACTIVE, at(-1), at(1), at(2), True),
        (ACTIVE, at(-3), at(-2), at(-1), False),  # the state lags
        (ACTIVE, at(-3), at(-1), at(1), True),  # not yet in dunning, and in the grace time already
        (ACTIVE, at(1), at(2), at(3), False),  # not begun
        (ACTIVE, at(0), at(1), None, True),  # begins at this moment
        (ACTIVE, at(-1), at(0), None, False),  # ends at this moment
        (ACTIVE, at(-1), at(1), at(0), True),  # a grace time that ends first takes nothing away
        (ACTIVE, None, None, None, True),
        (ACTIVE, at(-1), "2021-06-142T08:00:00+00:00", None, True),
        (ACTIVE, "soon", at(1), "", True),
        (ACTIVE, at(-1), "9999-12-31T23:59:59.9999999+00:00", None, True),
        (IN_DUNNING, at(-3), at(-1), at(1), True),
        (IN_DUNNING, at(-3), at(-2), at(-1), False),
        (IN_DUNNING, at(-3), at(-1), None, False),
        (IN_DUNNING, at(-3), at(1), None, True),
        (IN_DUNNING, at(-3), None, None, False),
        *((state, at(-1), at(1), at(2), False) for state in RecurrenceState if state not in {ACTIVE, IN_DUNNING}),
        (RecurrenceState("Paused"), at(-1), at(1), at(2), False),
    ],
)
def test_state_and_times_together_entitle(
    state: RecurrenceState, start: str | None, end: str | None, grace: str | None, entitled: bool
) -> None:
    assert is_entitled(subscription(state, start, end, grace), NOW) is entitled


def test_the_seventh_digit_counts() -> None:
    last = subscription(ACTIVE, end="2026-11-21T12:00:00.0000001+00:00")

    assert is_entitled(last, NOW)
    assert not is_entitled(last, NOW + timedelta(microseconds=1))


def test_other_time_zones_are_the_same_moments() -> None:
    assert not is_entitled(subscription(ACTIVE, end="2026-11-21T13:00:00+01:00"), NOW)
    assert is_entitled(subscription(ACTIVE, end="2026-11-21T12:00:00-00:01"), NOW)


@given(st.sampled_from(RecurrenceState), *[st.floats(-1000, 1000)] * 3)
def test_nobody_is_entitled_past_all_known_ends_or_before_the_start(
    state: RecurrenceState, start: float, end: float, grace: float
) -> None:
    entitled = is_entitled(subscription(state, at(start), at(end), at(grace)), NOW)

    assert not (entitled and (start > 0.001 or max(end, grace) < -0.001))


@given(st.text())
def test_whatever_stands_for_a_time_is_no_error(text: str) -> None:
    assert time_of(text) is None or isinstance(time_of(text), int)
