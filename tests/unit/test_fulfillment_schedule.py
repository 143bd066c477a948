"""Claims and waits between clocks that differ."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.fulfillment.schedule import BUDGET, CLAIM, CLOCK_ALLOWANCE, is_in_force

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("until", "expected"),
    [
        (None, False),
        (NOW - timedelta(seconds=1), False),
        (NOW, False),
        (NOW + timedelta(seconds=1), True),
        (NOW + CLAIM, True),
        (NOW + CLAIM + CLOCK_ALLOWANCE, True),
        (NOW + CLAIM + CLOCK_ALLOWANCE + timedelta(seconds=1), False),
        (NOW + timedelta(days=365), False),
    ],
)
def test_a_claim_holds_until_its_time_and_never_longer_than_claims_do(until: datetime | None, expected: bool) -> None:
    assert is_in_force(until, NOW, CLAIM) is expected


def test_a_worker_is_done_with_the_store_while_its_claim_holds() -> None:
    assert CLAIM.total_seconds() - BUDGET >= 20
