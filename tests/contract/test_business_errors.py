"""What the refusals of Store for Business tell. No page documents their body, so it may be of any shape."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.store import transport
from shared.store.business import BusinessStore
from shared.store.business_answers import MAX_RAW_BYTES, REQUEST_IDS
from shared.store.errors import (
    StoreCredentialsError,
    StoreError,
    StoreRefusedError,
    StoreThrottledError,
    StoreUnknownError,
)
from tests.support.business import PRODUCT, LoopbackStore, Said, ScriptedEntra, all_of, client
from tests.support.fixtures import business

ADA = "ada@contoso.example"
DATA = {"parameterName": "userName", "reason": "Not online", "itemType": "Inventory", "values": ["x"], "details": None}


@pytest.fixture
async def server() -> AsyncIterator[LoopbackStore]:
    async with LoopbackStore().running() as server:
        yield server


@pytest.fixture
async def store(server: LoopbackStore) -> AsyncIterator[BusinessStore]:
    async with client(server.url, ScriptedEntra()) as store:
        yield store


async def refused(store: BusinessStore) -> StoreError:
    with pytest.raises(StoreError) as refusal:
        await store.assign_seat(PRODUCT, ADA)
    return refusal.value


@pytest.mark.parametrize(
    "body",
    [
        {"code": "Conflict", "description": "No seat.", "data": DATA},
        {"Code": "Conflict", "Message": "No seat.", "Data": [DATA]},
        {"error": {"code": "Conflict", "description": "No seat.", "innererror": {"code": "other", "data": DATA}}},
        [{"code": "Conflict", "description": "No seat."}, {"data": DATA}],
    ],
)
async def test_the_reason_is_found_in_whatever_json_it_comes(
    server: LoopbackStore, store: BusinessStore, body: object
) -> None:
    server.says(Said(409, body, {"MS-RequestId": "r-1"}))

    error = await refused(store)

    assert type(error) is StoreRefusedError
    answer = error.answer
    assert (answer.status, answer.code, answer.message) == (409, "Conflict", "No seat.")
    assert (answer.reason, answer.item_type, answer.request_id) == ("Not online", "Inventory", "r-1")
    assert answer.raw == json.dumps(body)
    assert str(error) == "assign seat: HTTP 409, Conflict, Not online, Inventory, No seat. (request r-1)"


@pytest.mark.parametrize(
    ("body", "raw"),
    [
        (b"", None),
        (b"Not online", "Not online"),
        (b"<html><body>Bad Gateway</body></html>", "<html><body>Bad Gateway</body></html>"),
        (b'"Not online"', '"Not online"'),
        (b"[]", "[]"),
        (b"null", "null"),
        (b"17", "17"),
        (b'{"code": [], "reason": {"x": 1}, "itemType": null}', '{"code": [], "reason": {"x": 1}, "itemType": null}'),
        (b"\xff\xfe\x00", "\ufffd\ufffd\x00"),
        (b"[" * 50_000, "[" * MAX_RAW_BYTES),
    ],
)
async def test_a_body_without_words_that_we_know_is_kept_as_it_came(
    server: LoopbackStore, store: BusinessStore, body: bytes, raw: str | None
) -> None:
    server.says(Said(404, body))

    error = await refused(store)

    assert type(error) is StoreRefusedError
    assert error.answer.raw == raw
    assert (error.answer.code, error.answer.reason, error.answer.item_type) == (None, None, None)


@pytest.mark.parametrize("text", ["x" * 10_000, "é" * 10_000, "a" + "…" * 10_000])
async def test_what_is_kept_of_a_body_is_bounded_in_bytes(
    server: LoopbackStore, store: BusinessStore, text: str
) -> None:
    server.says(Said(400, text.encode()))

    raw = (await refused(store)).answer.raw

    assert raw
    assert text.startswith(raw)
    assert MAX_RAW_BYTES - 3 < len(raw.encode()) <= MAX_RAW_BYTES


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
        (500, StoreUnknownError),
        (502, StoreUnknownError),
        (503, StoreUnknownError),
    ],
)
async def test_the_status_decides(
    server: LoopbackStore, store: BusinessStore, status: int, expected: type[StoreError]
) -> None:
    server.says(Said(status, b"", {"Location": f"{server.url}/elsewhere"}))

    assert type(await refused(store)) is expected
    assert len(server.sent) == 1


async def test_busy_is_busy_with_429_and_with_503_that_names_a_time(
    server: LoopbackStore, store: BusinessStore
) -> None:
    for status, seconds in ((503, 3600), (429, 7200)):
        server.says(Said(status, b"", {"Retry-After": str(seconds)}))
        async with client(server.url, ScriptedEntra()) as fresh:
            error = await refused(fresh)
        assert type(error) is StoreThrottledError
        assert (error.answer.status, error.retry_after) == (status, seconds)


async def test_the_first_header_that_looks_like_a_request_id_is_kept(
    server: LoopbackStore, store: BusinessStore
) -> None:
    headers: dict[str, str] = {}
    for name in reversed(REQUEST_IDS):
        headers[name] = f"id of {name}"
        server.says(Said(400, b"", headers))
        assert (await refused(store)).answer.request_id == f"id of {name}"


@pytest.mark.parametrize(
    "body",
    [
        'token "{token}" is not good',
        '{{"headers": {{"Authorization": "Bearer {token}"}}, "code": "{token}", "reason": "no {token}"}}',
        "<pre>Authorization: bearer {token}\nHost: x</pre>",
    ],
)
@pytest.mark.parametrize("other", ["", "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"])
async def test_no_token_is_in_what_is_kept(server: LoopbackStore, store: BusinessStore, body: str, other: str) -> None:
    token = other or "contoso-token-1"
    server.says(Said(400, body.format(token=token).encode()))

    error = await refused(store)

    assert server.sent[0].token == "contoso-token-1"
    assert token not in repr(error.answer) + repr(error) + str(error)
    assert error.answer.raw
    assert "***" in error.answer.raw


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"assignedTo":5}', b"\xff", b"[" * 100_000])
async def test_a_success_that_cannot_be_read_is_an_unknown_outcome(
    server: LoopbackStore, store: BusinessStore, body: bytes
) -> None:
    server.says(Said(200, body, {"request-id": "r-2"}))

    error = await refused(store)

    assert type(error) is StoreUnknownError
    assert "unreadable answer" in str(error)
    assert error.answer.request_id == "r-2"


async def test_an_answer_that_is_packed_although_nobody_asked_for_that_is_an_unknown_outcome(
    server: LoopbackStore, store: BusinessStore
) -> None:
    server.says(Said(200, gzip.compress(json.dumps(business("seat")).encode()), {"Content-Encoding": "gzip"}))

    assert type(await refused(store)) is StoreUnknownError
    assert server.sent[0].headers["Accept-Encoding"] == "identity"


async def test_an_answer_without_end_is_not_read_to_its_end(
    server: LoopbackStore, store: BusinessStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "MAX_ANSWER_BYTES", 1_000_000)
    seat = business("seat")
    server.says(Said(body=seat | {"more": "x" * 900_000}), Said(body=seat | {"more": "x" * 1_000_000}), Said(body=seat))

    await store.assign_seat(PRODUCT, ADA)
    error = await refused(store)

    assert type(error) is StoreUnknownError
    assert "more than 1000000 bytes" in str(error)
    await store.assign_seat(PRODUCT, ADA)  # and the connection it came on does no harm to the next call


async def test_a_connection_that_breaks_is_an_unknown_outcome_and_the_next_call_works(
    server: LoopbackStore, store: BusinessStore
) -> None:
    server.says(lambda _: None)
    for _ in range(20):  # more than there are connections: none may be lost to a failure
        error = await refused(store)
        assert (type(error), error.answer.status, error.answer.method) == (StoreUnknownError, None, "POST")
        assert error.answer.path == "/V1/Inventory/9WZDNCRFHVJL/0016/Seats/ada%40contoso.example"

    server.says(Said(body=business("seat")))

    assert (await store.assign_seat(PRODUCT, ADA)).assigned_to == ADA


async def test_no_more_calls_are_in_flight_than_allowed(server: LoopbackStore) -> None:
    server.says(Said(body=business("seat")))
    server.latency = 0.02
    async with client(server.url, ScriptedEntra(), concurrency=3) as store:
        await asyncio.gather(*(store.get_seat(PRODUCT, ADA) for _ in range(30)))

    assert server.most_in_flight == 3


async def test_an_error_shows_no_name_of_a_user(server: LoopbackStore, store: BusinessStore) -> None:
    server.says(Said(404))

    shown: list[Any] = [await refused(store)]
    with pytest.raises(StoreError) as listing:
        await all_of(store.seats_of_user(ADA))
    shown.append(listing.value)

    assert not any("ada" in f"{error} {error!r}" for error in shown)
