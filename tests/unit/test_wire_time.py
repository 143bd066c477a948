"""Date-times of Store for Business: moments to 100 ns, whatever their offset."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.store.wire_time import TICKS_A_SECOND, ticks
from tests.support.fixtures import business

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST, LATEST = (EPOCH.replace(year=year, tzinfo=None) for year in (2, 9998))
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59)


def written(seconds: int, offset: int, fraction: str) -> str:
    """The text of a moment as a clock with this offset (in minutes) shows it."""
    shown = EPOCH.replace(tzinfo=None) + timedelta(seconds=seconds, minutes=offset)
    sign = "-" if offset < 0 else "+"
    zone = f"{sign}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
    return f"{shown.isoformat(timespec='seconds')}{fraction and '.' + fraction}{zone}"


SECONDS = st.integers(-62_135_000_000, 253_402_000_000)
FRACTIONS = st.text("0123456789", max_size=7)


@given(SECONDS, OFFSETS, FRACTIONS)
@example(0, 0, "0000001")
@example(0, 0, "")
@example(-1, -1, "9999999")
def test_a_moment_is_the_same_in_every_offset(seconds: int, offset: int, fraction: str) -> None:
    expected = seconds * TICKS_A_SECOND + int(fraction.ljust(7, "0"))

    assert ticks(written(seconds, offset, fraction)) == expected
    assert ticks(written(seconds, 0, fraction).replace("+00:00", "Z")) == expected


@given(st.datetimes(EARLIEST, LATEST, timezones=OFFSETS.map(lambda minutes: timezone(timedelta(minutes=minutes)))))
def test_what_python_can_read_is_read_alike(moment: datetime) -> None:
    assert ticks(moment.isoformat()) == (moment - EPOCH) // timedelta(microseconds=1) * 10


@given(SECONDS, OFFSETS, OFFSETS, FRACTIONS, st.integers(-3, 3))
def test_moments_are_ordered_to_the_last_digit(
    seconds: int, offset: int, other_offset: int, fraction: str, later: int
) -> None:
    one = ticks(written(seconds, offset, fraction))
    total = one + later
    other = written(total // TICKS_A_SECOND, other_offset, f"{total % TICKS_A_SECOND:07}")

    assert ticks(other) - one == later


def test_a_tick_is_not_lost_where_pythons_own_parser_loses_it() -> None:
    earlier, later = "2016-02-29T23:59:59.9999998Z", "2016-02-29T23:59:59.9999999Z"

    assert datetime.fromisoformat(earlier) == datetime.fromisoformat(later)
    assert ticks(later) - ticks(earlier) == 1


def test_every_published_date_time_is_read() -> None:
    entries = business("inventory-page-1")["inventoryEntries"] + business("inventory-page-2")["inventoryEntries"]

    assert [ticks(entry["lastModified"]) for entry in entries] == [
        1_436_821_345_6863382,
        1_451_894_400_0000000,
        1_456_790_399_9999999,
    ]
    assert ticks("0001-01-01T00:00:00Z") == -62_135_596_800 * TICKS_A_SECOND
    assert ticks("0001-01-01T00:00:00+14:00") < ticks("0001-01-01T00:00:00Z")
    assert ticks("9999-12-31T23:59:59.9999999-14:00") > ticks("9999-12-31T23:59:59.9999999Z")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2015-07-13",
        "2015-07-13T14:02:25",
        "2015-07-13T14:02:25.6863382",
        "2015-07-13 14:02:25Z",
        "2015-07-13T14:02:25.Z",
        "2015-07-13T14:02:25.12345678Z",
        "2015-07-13T14:02:25,1Z",
        "2015-07-13T14:02Z",
        "2015-7-13T14:02:25Z",
        "2015-02-29T00:00:00Z",
        "2015-13-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2015-07-13T24:00:01Z",
        "2015-07-13T14:60:00Z",
        "2015-07-13T14:02:60Z",
        "2015-07-13T14:02:25+7:00",
        "2015-07-13T14:02:25+0700",
        "2015-07-13T14:02:25+24:00",
        "2015-07-13T14:02:25+99:00",
        "2015-07-13T14:02:25+07:60",
        "2015-07-13T14:02:25Z\n",
        " 2015-07-13T14:02:25Z",
        "\u0662\u0660\u0661\u0665-07-13T14:02:25Z",
        "1436821345",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        ticks(text)


@given(st.text() | st.from_regex(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{0,9})?(Z|[+-]\d\d:\d\d)?"))
def test_what_is_read_is_a_moment_of_the_calendar(text: str) -> None:
    try:
        moment = ticks(text)
    except ValueError:
        return
    assert ticks("0001-01-01T00:00:00+23:59") <= moment <= ticks("9999-12-31T23:59:59.9999999-23:59")
