"""Whatever Store for Business answers, it is an error of ours with bounded texts and no token."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.secret import Secret
from shared.store.answers import MAX_TEXT
from shared.store.business_answers import MAX_RAW_BYTES, UNNAMED_PAUSE, Call, answered_on, failure
from shared.store.errors import StoreError, StoreThrottledError, StoreUnknownError

CALL = Call("test", "GET", "/V1/Inventory")
TOKEN = Secret("the-token")
NOW = datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(st.characters(codec="utf-8"), max_size=20),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(["code", "Reason", "itemType", "data", "message", "x"]), inner, max_size=5)
    ),
    max_leaves=30,
)


def failed(status: int, body: bytes, **headers: str) -> StoreError:
    return failure(
        CALL, status, {name.replace("_", "-"): value for name, value in headers.items()}, body, TOKEN, lambda: NOW
    )


@given(st.integers(300, 599), st.binary() | JSON.map(msgspec.json.encode))
@example(409, b'{"data":' + b"[" * 30_000 + b"]" * 30_000 + b"}")
@example(409, b"[" * 100_000)
@example(409, msgspec.json.encode([{"x": n} for n in range(5_000)]))
def test_no_body_is_anything_but_an_error_with_bounded_texts(status: int, body: bytes) -> None:
    error = failed(status, body)

    answer = error.answer
    assert (answer.status, answer.method, answer.path) == (status, "GET", "/V1/Inventory")
    assert len((answer.raw or "").encode()) <= MAX_RAW_BYTES
    texts = (answer.code, answer.reason, answer.item_type, answer.message)
    assert all(text is None or 0 < len(text) <= MAX_TEXT for text in texts)


@given(st.text(), st.text(), st.sampled_from(["code", "reason", "message", "itemType", "other"]))
def test_no_token_comes_through_wherever_it_was_put(before: str, after: str, name: str) -> None:
    text = f"{before}{TOKEN.reveal()}{after}"

    for body in (text.encode(errors="replace"), msgspec.json.encode({name: text.encode(errors="replace").decode()})):
        assert TOKEN.reveal() not in repr(failed(400, body).answer)


def test_the_outermost_word_counts() -> None:
    body = msgspec.json.encode({"data": {"reason": "inner", "itemType": "Seat"}, "reason": "outer"})

    answer = failed(409, body).answer

    assert (answer.reason, answer.item_type) == ("outer", "Seat")


def test_a_long_id_of_a_request_is_cut() -> None:
    assert failed(400, b"", x_ms_request_id="r" * 5_000).answer.request_id == "r" * MAX_TEXT


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {}, UNNAMED_PAUSE),
        (429, {"Retry_After": "soon"}, UNNAMED_PAUSE),
        (429, {"Retry_After": "0"}, 0.0),
        (429, {"Retry_After": "37"}, 37.0),
        (503, {"Retry_After": "Sat, 21 Nov 2026 14:01:30 GMT"}, 90.0),
    ],
)
def test_a_busy_store_always_has_a_time_to_come_again(status: int, headers: dict[str, str], seconds: float) -> None:
    error = failed(status, b"", **headers)

    assert type(error) is StoreThrottledError
    assert error.retry_after == seconds


def test_a_503_that_names_no_time_is_an_unknown_outcome() -> None:
    assert type(failed(503, b"")) is StoreUnknownError
    assert type(failed(503, b"", Retry_After="soon")) is StoreUnknownError


@pytest.mark.parametrize(
    ("date", "moment"),
    [
        ("Sat, 21 Nov 2026 14:00:00 GMT", NOW),
        ("Sat, 21 Nov 2026 16:00:00 +0200", NOW),
        ("Sat, 21 Nov 2026 14:00:00", NOW),
        ("yesterday", None),
        ("", None),
        (None, None),
    ],
)
def test_the_clock_of_the_store_is_read_where_it_shows_one(date: str | None, moment: datetime | None) -> None:
    assert answered_on({} if date is None else {"Date": date}) == moment
