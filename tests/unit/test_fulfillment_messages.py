"""What the queues take, and what ends in poison."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from shared.errors import UnprocessableError
from shared.fulfillment.messages import FulfillmentMessage, WorkMessage, work_on
from shared.fulfillment.request import Request, new_job
from shared.ledger.kinds import RETAIL, JobStatus
from shared.ledger.record import Job, Line
from shared.messages import MessageError, decode_message

GOOD: dict[str, Any] = {
    "version": 1,
    "userId": "player",
    "trackingId": "9A2F1F3E-0000-4000-8000-000000000001",
    "productId": "9NBLGGH4R0SP",
    "quantity": 3,
    "consumableType": "Consumable",
}
NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)


def read(message: dict[str, Any]) -> FulfillmentMessage:
    return decode_message(json.dumps(message).encode(), FulfillmentMessage)


def test_a_message_is_read_plain_and_in_base64() -> None:
    plain = json.dumps(GOOD).encode()

    assert read(GOOD) == decode_message(base64.b64encode(plain), FulfillmentMessage)
    assert read(GOOD | {"sandbox": "XDKS.1"}).sandbox == "XDKS.1"


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"quantity": 0},
        {"quantity": -1},
        {"quantity": 2**31},
        {"quantity": 1.5},
        {"quantity": "3"},
        {"quantity": True},
        {"consumableType": "consumable"},
        {"consumableType": "Durable"},
        {"trackingId": "not-a-guid"},
        {"trackingId": "{9a2f1f3e-0000-4000-8000-000000000001}"},
        {"trackingId": "9a2f1f3e000040008000000000000001"},
        {"trackingId": "9a2f1f3e-0000-4000-8000-000000000001\n"},
        {"userId": ""},
        {"userId": "x" * 257},
        {"productId": ""},
        {"productId": "a/b"},
        {"productId": "P\n"},
        {"sandbox": ""},
        {"sandbox": "a b"},
        {"unknown": 1},
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(MessageError):
        read(GOOD | change)


@pytest.mark.parametrize("name", GOOD)
def test_all_but_the_sandbox_is_needed(name: str) -> None:
    with pytest.raises(MessageError):
        read({key: value for key, value in GOOD.items() if key != name})


def test_the_greatest_quantity_is_taken() -> None:
    assert read(GOOD | {"quantity": 2**31 - 1}).quantity == 2**31 - 1


@pytest.mark.parametrize("sandbox", [None, "RETAIL", "retail"])
def test_no_sandbox_is_retail(sandbox: str | None) -> None:
    assert new_job(Request("player", None, "P", 1, "Consumable", sandbox), NOW).sandbox == RETAIL


def test_a_user_id_is_measured_in_bytes() -> None:
    with pytest.raises(UnprocessableError, match="256 bytes"):
        new_job(Request("é" * 129, None, "P", 1, "Consumable", None), NOW)


def test_the_message_for_a_worker_says_what_was_written() -> None:
    job = new_job(Request("player é", None, "P", 2, "Consumable", "XDKS.1"), NOW)
    written = work_on(job_filed(job))

    read_back = decode_message(msgspec.json.encode(written), WorkMessage).job()

    assert read_back == job_filed(job)


def test_the_message_for_what_is_over_has_it_read() -> None:
    job = msgspec.json.decode(msgspec.json.encode(work_on(over())), type=WorkMessage)

    assert job.job() is None


def job_filed(job: Job) -> Job:
    return replace(job, filed_under="open|…", etag='W/"1"')


def over() -> Job:
    job = new_job(Request("player", None, "P", 1, "Consumable", None), NOW)
    return replace(job_filed(job), status=JobStatus.GRANTED, lines=(Line("o", "l", 1),), granted_on=NOW)
