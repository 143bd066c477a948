"""When a key is renewed, and when a failed attempt is repeated."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.keys.schedule import FIRST_RETRY, LAST_RETRY, following_time, renewal_time, retry_time

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
DAY = timedelta(days=1)
moments = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0)
)
lifetimes = st.timedeltas(timedelta(seconds=1), timedelta(days=400)).map(
    lambda life: timedelta(seconds=int(life.total_seconds()))
)
owners = st.text(max_size=20)


@given(moments, owners)
def test_a_key_of_thirty_days_is_due_between_day_14_and_half_a_day_later(issued_on: datetime, owner: str) -> None:
    due = renewal_time(issued_on, issued_on + 30 * DAY, owner)

    assert timedelta(days=14) <= due - issued_on <= timedelta(days=14.5)


@given(moments, lifetimes, owners)
def test_no_key_is_due_after_its_expiry_or_before_its_issue(issued_on: datetime, life: timedelta, owner: str) -> None:
    due = renewal_time(issued_on, issued_on + life, owner)

    assert issued_on <= due <= issued_on + life


@given(st.timedeltas(-400 * DAY, 10_000 * DAY))
def test_a_key_just_renewed_is_due_before_it_expires_wherever_our_clock_stands(ahead: timedelta) -> None:
    due, expires_on = NOW + 14 * DAY, NOW + 30 * DAY

    following = following_time(due, expires_on, NOW + DAY, NOW + ahead)

    assert due <= following < expires_on - 7 * DAY
    assert following > NOW + ahead or ahead > 14 * DAY


@given(st.timedeltas(-400 * DAY, 10_000 * DAY))
def test_an_old_key_that_the_store_gave_back_is_not_due_at_once(age: timedelta) -> None:
    due, expires_on = NOW + 14 * DAY, NOW + 30 * DAY

    assert following_time(due, expires_on, expires_on, NOW + age) >= NOW + age + FIRST_RETRY


@given(moments, lifetimes, owners)
def test_the_same_key_is_always_due_at_the_same_time(issued_on: datetime, life: timedelta, owner: str) -> None:
    first, second = (renewal_time(issued_on, issued_on + life, owner) for _ in range(2))

    assert first == second


def test_a_short_lived_key_is_due_at_half_its_life() -> None:
    due = renewal_time(NOW, NOW + 10 * DAY, "player")

    assert 5 * DAY <= due - NOW <= 5.5 * DAY


def test_keys_of_one_rush_are_spread_over_half_a_day() -> None:
    due = [renewal_time(NOW, NOW + 30 * DAY, f"player-{number}|collections") for number in range(2_000)]
    hours = [sum(1 for each in due if each - NOW - 14 * DAY >= timedelta(hours=hour)) for hour in range(12)]

    assert max(due) - min(due) > timedelta(hours=11)
    assert all(abs(later - 2_000 * (12 - hour) / 12) < 150 for hour, later in enumerate(hours))


attempts = st.integers(0, 10_000)
fractions = st.floats(0, 1)


@given(moments, attempts, fractions)
def test_a_retry_without_a_hint_keeps_between_its_bounds(now: datetime, failed: int, fraction: float) -> None:
    again = retry_time(now, now + 30 * DAY, failed, None, fraction)

    assert FIRST_RETRY / 2 <= again - now <= LAST_RETRY


@given(moments, attempts, fractions, st.floats(0, 86_400))
def test_a_retry_is_never_before_the_store_allows_it(now: datetime, failed: int, fraction: float, hint: float) -> None:
    again = retry_time(now, now + 30 * DAY, failed, hint, fraction)

    assert again - now >= timedelta(seconds=hint)


@given(moments, attempts, fractions, st.none() | st.floats(0, 86_400), lifetimes)
def test_an_expiring_key_is_tried_again_by_its_expiry_unless_the_store_wants_to_be_left_alone(
    now: datetime, failed: int, fraction: float, hint: float | None, rest: timedelta
) -> None:
    again = retry_time(now, now + rest, failed, hint, fraction)

    assert now < again <= max(now + rest, now + FIRST_RETRY, now + timedelta(seconds=hint or 0))


@given(moments, attempts, fractions, lifetimes)
def test_a_key_past_its_expiry_is_looked_at_again_soon_and_never_at_once(
    now: datetime, failed: int, fraction: float, ago: timedelta
) -> None:
    again = retry_time(now, now - ago, failed, None, fraction)

    assert FIRST_RETRY / 2 <= again - now <= FIRST_RETRY


def test_retries_become_rarer() -> None:
    pauses = [retry_time(NOW, NOW + 30 * DAY, failed, None, 1.0) - NOW for failed in range(10)]

    assert pauses[0] == FIRST_RETRY
    assert pauses == sorted(pauses)
    assert pauses[-1] == LAST_RETRY
