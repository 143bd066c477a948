"""What is told of grants and of what is taken back: ids that repeats share, and nothing else does."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from shared.events import (
    EVENTS,
    ConsumableCorrectedData,
    ConsumableGrantedData,
    EntitlementData,
    RefundReviewNeededData,
    consumable_granted,
    consumable_restored,
    consumable_revoked,
    entitlement_restored,
    entitlement_revoked,
    refund_review_needed,
)

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
GRANTED = ConsumableGrantedData("player é", "t", "P", 2, 5, "RETAIL")
CORRECTED = ConsumableCorrectedData("player", "P", "RETAIL", 2, -3, True, "chargeback", "order", "line", ["t"], "event")
ENTITLEMENT = EntitlementData("event", "order", "line", "P", "Durable", "refund", None, None, None, None)
REVIEW = RefundReviewNeededData("refund", "because", None, None, None)


def made(now: datetime) -> list[Any]:
    return [
        consumable_granted(GRANTED, now),
        consumable_granted(msgspec.structs.replace(GRANTED, user_id="other"), now),
        consumable_granted(msgspec.structs.replace(GRANTED, tracking_id="u"), now),
        consumable_revoked(CORRECTED, "event", now),
        consumable_revoked(CORRECTED, "other event", now),
        consumable_restored(CORRECTED, "event", now),
        entitlement_revoked(ENTITLEMENT, now),
        entitlement_restored(ENTITLEMENT, now),
        refund_review_needed(REVIEW, now),
    ]


def test_each_has_an_id_of_its_own_which_its_repeats_share() -> None:
    ids = [event.id for event in made(NOW)]

    assert len(set(ids)) == len(ids)
    assert ids == [event.id for event in made(NOW + timedelta(days=1))]


@pytest.mark.parametrize("event", made(NOW), ids=lambda event: type(event).__name__)
def test_each_is_a_cloud_event_of_the_published_union(event: Any) -> None:
    written = msgspec.json.encode(event)

    assert msgspec.json.decode(written, type=EVENTS) == event
    told = json.loads(written)
    assert told["specversion"] == "1.0"
    assert told["type"].startswith("storekeeper.")
    assert told["subject"]


def test_a_balance_below_zero_says_so() -> None:
    told = json.loads(msgspec.json.encode(consumable_revoked(CORRECTED, "event", NOW)))

    assert (told["data"]["balance"], told["data"]["isNegative"]) == (-3, True)
