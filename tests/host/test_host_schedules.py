"""When a timer is due."""

from datetime import UTC, datetime

import pytest

from local.host import schedule
from local.host.errors import StartError

NOW = datetime(2026, 2, 27, 22, 58, 30, 500_000, tzinfo=UTC)  # a Friday


@pytest.mark.parametrize(
    ("text", "following"),
    [
        ("* * * * * *", "2026-02-27T22:58:31"),
        ("*/15 * * * * *", "2026-02-27T22:58:45"),
        ("0 */5 * * * *", "2026-02-27T23:00:00"),
        ("*/5 * * * *", "2026-02-27T23:00:00"),
        ("30 0 0 1 * *", "2026-03-01T00:00:30"),
        ("0 0 9 * * MON-FRI", "2026-03-02T09:00:00"),
        ("0 30 8 * jan *", "2027-01-01T08:30:00"),
        ("0 0 0 13 * FRI", "2026-03-13T00:00:00"),  # both must fit
        ("00:01:30", "2026-02-27T23:00:00.500000"),
    ],
)
def test_the_next_occurrence(text: str, following: str) -> None:
    assert schedule.parse(text, "here")(NOW) == datetime.fromisoformat(following).replace(tzinfo=UTC)


def test_an_occurrence_is_after_the_moment() -> None:
    every = schedule.parse("*/10 * * * * *", "here")
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    assert (every(moment) - moment).total_seconds() == 10


@pytest.mark.parametrize(
    "text",
    ["", "hourly", "@hourly", "* * * *", "* * * * * * *", "60 * * * * *", "0 0 0 L * *", "0 0 0 ? * *", "00:00:00"],
)
def test_what_is_no_schedule(text: str) -> None:
    with pytest.raises(StartError, match="here"):
        schedule.parse(text, "here")
