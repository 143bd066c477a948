"""What an answer of the Store means."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.retry_after import MAX_RETRY_AFTER, parse_retry_after
from shared.store.answers import DEFAULT_RETRY_AFTER, MAX_TEXT, failure, success
from shared.store.errors import (
    StoreCredentialsError,
    StoreError,
    StoreRefusedError,
    StoreThrottledError,
    StoreUnknownError,
)
from tests.support.fixtures import names, whole, wire

NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
CLASSES = {
    400: StoreRefusedError,
    401: StoreCredentialsError,
    429: StoreThrottledError,
    500: StoreUnknownError,
}


def clock() -> datetime:
    return NOW


def fail(status: int, body: bytes = b"", **headers: str) -> StoreError:
    return failure("test", status, {name.replace("_", "-"): value for name, value in headers.items()}, body, clock)


def test_a_key_or_a_token_that_an_error_repeats_is_masked() -> None:
    key = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwcyJ9.c2lnbmF0dXJl"
    told = f"the key '{key}' is not one, nor is Bearer {key}"
    body = {"code": f"b2bKey {key}", "innererror": {"code": key, "message": told}}

    error = fail(400, json.dumps(body).encode())

    assert "c2lnbmF0dXJl" not in repr(error.answer)
    assert error.answer.message == "the key '***' is not one, nor is ***"


@pytest.mark.parametrize("name", names("error-[0-9]*"))
def test_every_published_error_is_of_the_class_of_its_status(name: str) -> None:
    status, body = int(name.split("-")[1]), wire(name)
    headers = whole(name).get("_http", {}).get("headers", {})

    error = failure("renew", status, headers, json.dumps(body).encode(), clock)

    assert type(error) is CLASSES[status]
    assert error.answer.inner_code == body.get("innererror", {}).get("code")
    assert error.answer.code == body.get("code")
    assert error.answer.message == body["message"]
    assert error.retry_after == (37 if status == 429 else None)
    assert str(error).startswith(f"renew: HTTP {status}")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (301, StoreUnknownError),
        (307, StoreUnknownError),
        (400, StoreRefusedError),
        (401, StoreCredentialsError),
        (403, StoreRefusedError),
        (404, StoreRefusedError),
        (408, StoreUnknownError),
        (409, StoreRefusedError),
        (429, StoreThrottledError),
        (500, StoreUnknownError),
        (503, StoreUnknownError),
        (599, StoreUnknownError),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff\xfe", b"null", b"[]", b'{"code":5}', b'{"innererror":"text"}'])
def test_the_status_decides_whatever_the_body_is(status: int, expected: type[StoreError], body: bytes) -> None:
    assert type(fail(status, body)) is expected


@given(st.integers(300, 599), st.binary())
@example(500, b'{"more":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
@example(401, b"[" * 1_000_000)
def test_no_body_is_anything_but_an_error_of_the_store(status: int, body: bytes) -> None:
    assert isinstance(fail(status, body), StoreError)


def test_what_the_store_says_is_bounded() -> None:
    body = json.dumps({"code": "c" * 5_000, "innererror": {"code": "i" * 5_000, "message": "m" * 5_000}}).encode()

    answer = fail(400, body).answer

    assert [len(text or "") for text in (answer.code, answer.inner_code, answer.message)] == [MAX_TEXT] * 3


def test_the_request_id_is_kept() -> None:
    assert fail(500, MS_RequestId="r-1").answer.request_id == "r-1"


def test_a_throttled_call_always_has_a_time_to_come_again() -> None:
    assert fail(429).retry_after == DEFAULT_RETRY_AFTER
    assert fail(429, Retry_After="soon").retry_after == DEFAULT_RETRY_AFTER
    assert fail(429, Retry_After="0").retry_after == 0
    assert fail(503, Retry_After="7").retry_after == 7
    assert fail(503).retry_after is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("37", 37.0),
        (" 37 ", 37.0),
        ("1.5", 1.5),
        ("-5", 0.0),
        ("999999999999", MAX_RETRY_AFTER),
        ("1e999", None),
        ("nan", None),
        ("-inf", None),
        ("soon", None),
        ("Mon, 99999999999999999999 Jan 2020 00:00:00 GMT", None),
        (format_datetime(NOW + timedelta(seconds=90), usegmt=True), 90.0),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0.0),
        (format_datetime(NOW + timedelta(days=365), usegmt=True), MAX_RETRY_AFTER),
        ("Sat, 21 Nov 2026 14:01:00", 60.0),
        ("Sat, 21 Nov 2026 16:01:00 +0200", 60.0),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, clock) == seconds


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d{1,30} [A-Z][a-z]{2} \d{1,9} \d\d:\d\d:\d\d [+-]\d{1,9}"))
def test_no_retry_after_is_an_error_or_out_of_bounds(value: str) -> None:
    seconds = parse_retry_after(value, clock)

    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER


class Answer(msgspec.Struct):
    key: str


def test_a_success_is_read_tolerantly() -> None:
    assert success("test", 200, {}, b'{"key":"k","more":{"x":[1]}}', Answer) == Answer("k")


@pytest.mark.parametrize("body", [b"", b"{}", b'{"key":5}', b"<html>", b"\xff", b'{"a":' + b"[" * 100_000])
def test_a_success_that_cannot_be_read_is_an_unknown_outcome(body: bytes) -> None:
    with pytest.raises(StoreUnknownError):
        success("test", 200, {"MS-RequestId": "r"}, body, Answer)
