"""Events for the publisher: CloudEvents with stable ids."""

import json
from datetime import UTC, datetime, timedelta

import msgspec

from shared.events import ReissueNeededData, reissue_needed

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
DATA = ReissueNeededData("player é", "collections", "expired", "2026-11-01T00:00:00Z")


def test_the_event_is_a_cloud_event() -> None:
    event = json.loads(msgspec.json.encode(reissue_needed(DATA, NOW)))

    assert event == {
        "id": event["id"],
        "specversion": "1.0",
        "type": "storekeeper.store-id.reissue-needed",
        "source": "/storekeeper",
        "subject": event["subject"],
        "time": "2026-11-21T14:00:00Z",
        "datacontenttype": "application/json",
        "data": {
            "userId": "player é",
            "kind": "collections",
            "reason": "expired",
            "issuedOn": "2026-11-01T00:00:00Z",
        },
    }


def test_its_id_is_the_same_however_often_and_whenever_it_is_sent() -> None:
    first, again = (reissue_needed(DATA, NOW + timedelta(hours=hour)) for hour in range(2))

    assert first.id == again.id


def test_another_key_is_another_event() -> None:
    changes = [{"user_id": "other"}, {"kind": "purchase"}, {"issued_on": "2026-11-02T00:00:00Z"}]
    others = [msgspec.structs.replace(DATA, **change) for change in changes]

    assert len({reissue_needed(data, NOW).id for data in [DATA, *others]}) == 4
