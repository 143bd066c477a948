"""Of what is open, which fulfilments may have taken of an order line that was refunded."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.ledger.kinds import JobStatus
from shared.ledger.record import Job, Line
from shared.refunds.in_hand import CLOCK_ALLOWANCE, may_take
from shared.store.models.clawback import ClawbackData, ClawbackEvent

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
EVENT = ClawbackEvent(
    "event-1",
    "/Purchase/Refund",
    "ClawbackEventContractV2",
    ClawbackData("Line-1", "Order-1", "9NCOINS00001", "Consumable", "Revoked", "RETAIL"),
)
JOB = Job(
    user_id="player-1",
    tracking_id="tracking-1",
    product_id="9NCOINS00001",
    quantity=1,
    consumable_type="Consumable",
    sandbox="RETAIL",
    accepted_on=NOW,
)


def granted(*places: tuple[str, str]) -> dict[str, Any]:
    return {"status": JobStatus.GRANTED, "lines": tuple(Line(order, line, 1) for order, line in places)}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, True),
        ({"status": JobStatus.STUCK}, True),
        ({"status": JobStatus.REFUSED}, False),
        ({"product_id": "9ncoins00001"}, True),
        ({"product_id": "9NSWORD00001"}, False),
        ({"sandbox": "XDKS.1"}, False),
        ({"accepted_on": NOW + CLOCK_ALLOWANCE}, True),
        ({"accepted_on": NOW + CLOCK_ALLOWANCE + timedelta(seconds=1)}, False),
        (granted(("order-2", "line-2"), ("order-1", "line-1")), True),
        (granted(("order-1", "")), True),
        (granted(("order-1", "line-2")), False),
        (granted(("order-2", "line-1")), False),
    ],
)
def test_what_may_have_taken_of_the_line(changes: dict[str, Any], expected: bool) -> None:
    assert may_take(replace(JOB, **changes), EVENT, NOW) is expected
