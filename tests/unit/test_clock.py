"""Times go to rows and back unchanged."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.clock import from_epoch, from_iso, to_iso, utc_now


@given(st.integers(0, 253_402_300_799))
def test_every_second_survives_the_way_to_text_and_back(seconds: int) -> None:
    moment = from_epoch(seconds)

    assert from_iso(to_iso(moment)) == moment
    assert len(to_iso(moment)) == len("2026-11-21T14:00:00Z")


def test_texts_sort_as_the_times_do() -> None:
    early = datetime(2026, 11, 21, 23, 30, tzinfo=timezone(timedelta(hours=2)))
    late = datetime(2026, 11, 21, 22, 0, tzinfo=UTC)

    assert to_iso(early) < to_iso(late)


@pytest.mark.parametrize("seconds", [10**12, 10**18, 10**30, -(10**30)])
def test_a_number_that_is_no_time_is_refused(seconds: int) -> None:
    with pytest.raises(ValueError, match=r"year|is not a time|out of range"):
        from_epoch(seconds)


def test_now_knows_its_time_zone() -> None:
    assert utc_now().utcoffset() == timedelta(0)
