"""JSON bodies are read strictly, and every fault is located."""

import json
from typing import Annotated

import msgspec
import pytest
from azure.functions import HttpRequest
from hypothesis import given
from hypothesis import strategies as st

from functions.http.bodies import MAX_BODY_BYTES, read_body
from functions.keys import KeyUpload, XTokenUpload
from shared.errors import (
    BadRequestError,
    InputFault,
    PayloadTooLargeError,
    StorekeeperError,
    UnsupportedMediaTypeError,
)


class Item(msgspec.Struct, forbid_unknown_fields=True):
    name: str


class Shape(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    key: Annotated[str, msgspec.Meta(min_length=1, max_length=5)]
    items: list[Item] = []
    by_name: dict[str, Item] = {}
    nested: Item | None = None


def request(body: bytes, content_type: str | None = "application/json") -> HttpRequest:
    headers = {} if content_type is None else {"content-type": content_type}
    return HttpRequest(method="PUT", url="/", headers=headers, body=body)


def faults(body: bytes, shape: type[object] = Shape) -> tuple[InputFault, ...]:
    with pytest.raises(BadRequestError) as refusal:
        read_body(request(body), shape)
    assert refusal.value.faults
    return refusal.value.faults


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        'APPLICATION/JSON;charset="UTF-8"',
        "application/json ; x=y; Charset = utf-8",
    ],
)
def test_json_in_utf_8_is_read(content_type: str) -> None:
    assert read_body(request('{"key":"é"}'.encode(), content_type), Shape) == Shape("é")


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/jsonx",
        "application/problem+json",
        "application/json; charset=iso-8859-1",
        "application/json; charset=utf-16",
        "multipart/form-data; boundary=application/json",
    ],
)
def test_another_content_type_is_refused(content_type: str | None) -> None:
    with pytest.raises(UnsupportedMediaTypeError) as refusal:
        read_body(request(b'{"key":"a"}', content_type), Shape)
    assert refusal.value.faults


def test_a_body_of_the_largest_size_is_read_and_one_byte_more_is_refused() -> None:
    body = b'{"key":"a"}'

    assert read_body(request(body.ljust(MAX_BODY_BYTES)), Shape) == Shape("a")
    with pytest.raises(PayloadTooLargeError) as refusal:
        read_body(request(body.ljust(MAX_BODY_BYTES + 1)), Shape)
    assert refusal.value.faults


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "not JSON"),
        (b" ", "not JSON"),
        (b"{", "not JSON"),
        (b"{'key':'a'}", "not JSON"),
        (b'{"key":"a"}x', "not JSON"),
        (b'{"key":"a"}{"key":"b"}', "not JSON"),
        (b'{"key":"a",}', "not JSON"),
        (b'{"key":NaN}', "not JSON"),
        (b'{"key":-Infinity}', "not JSON"),
        (b'{"key":"\xff"}', "not UTF-8 (byte 8)"),
        ('{"key":"a"}'.encode("utf-16"), "not UTF-8 (byte 0)"),
        (b"\xef\xbb\xbf" + b'{"key":"a"}', "not JSON"),
        (b'{"key":"a","key":"b"}', "'key' is given twice"),
        (b'{"key":"a","\\u006bey":"b"}', "'key' is given twice"),
        (b'{"key":"a","nested":{"name":"a","name":"a"}}', "'name' is given twice"),
        (b'{"key":"a","items":' + b"[" * 60_000, "not JSON"),
        (b'{"key":' + b"1" * 5_000 + b"}", "not JSON"),
        (b'{"key":"\\ud800"}', "not JSON"),
        (b'{"\\udfff":"a"}', "not JSON"),
    ],
    ids=lambda part: str(part[:40]),
)
def test_a_body_that_cannot_be_read_is_one_fault_of_the_whole(body: bytes, detail: str) -> None:
    (fault,) = faults(body)

    assert fault.pointer == ""
    assert detail in fault.detail


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({}, "/key"),
        ([], ""),
        ("text", ""),
        (None, ""),
        ({"key": 5}, "/key"),
        ({"key": None}, "/key"),
        ({"key": ""}, "/key"),
        ({"key": "toolong"}, "/key"),
        ({"key": "a", "items": {}}, "/items"),
        ({"key": "a", "items": [{"name": "a"}, {"name": 5}]}, "/items/1/name"),
        ({"key": "a", "items": [{}]}, "/items/0/name"),
        ({"key": "a", "nested": {}}, "/nested/name"),
        ({"key": "a", "nested": {"name": []}}, "/nested/name"),
        ({"key": "a", "byName": []}, "/byName"),
    ],
    ids=str,
)
def test_a_body_of_another_shape_is_a_fault_at_its_place(body: object, pointer: str) -> None:
    (fault,) = faults(json.dumps(body).encode())

    assert fault.pointer == pointer
    assert fault.detail


def test_an_unknown_name_is_told() -> None:
    (fault,) = faults(b'{"key":"a","kye":"b"}')

    assert "kye" in fault.detail


def test_a_fault_never_repeats_a_value() -> None:
    marker = "c0ffee-marker"
    bodies = [{"key": marker}, {"key": [marker]}, {"key": {marker: 1}}, marker, [marker], {"key": "a", "items": marker}]
    for body in bodies:
        assert marker not in str(faults(json.dumps(body).encode()))


GOOD_X_TOKEN = "XBL3.0 x=12345678901234567890;eyJhbGciOiJIUzI1NiJ9.e30.c2ln-_"


@pytest.mark.parametrize(
    "x_token",
    [
        "",
        "XBL3.0",
        "XBL3.0 x=1",
        "XBL3.0 x=1;",
        "XBL3.0 x=;token",
        "XBL2.0 x=1;token",
        "Bearer token",
        " " + GOOD_X_TOKEN,
        GOOD_X_TOKEN + "\n",
        GOOD_X_TOKEN + "\r\nHost: evil.example",
        GOOD_X_TOKEN.replace("x=1", "x=1\n"),
        GOOD_X_TOKEN.replace("x=1", "x=\0"),
        GOOD_X_TOKEN.replace("x=1", "x=\x7f"),
        GOOD_X_TOKEN.replace("x=1", "x=é"),
        GOOD_X_TOKEN + "é",
        GOOD_X_TOKEN + "a" * 16_384,
    ],
)
def test_an_x_token_that_is_no_header_of_xbox_live_is_refused(x_token: str) -> None:
    (fault,) = faults(json.dumps({"xToken": x_token}).encode(), XTokenUpload)

    assert fault.pointer == "/xToken"


def test_an_x_token_may_come_with_a_user_id() -> None:
    body = json.dumps({"xToken": GOOD_X_TOKEN, "publisherUserId": "player é"}).encode()

    assert read_body(request(body), XTokenUpload) == XTokenUpload(GOOD_X_TOKEN, "player é")


@given(st.text(max_size=200))
def test_no_x_token_that_is_accepted_could_break_a_header(text: str) -> None:
    try:
        upload = read_body(request(json.dumps({"xToken": f"XBL3.0 x={text}"}).encode()), XTokenUpload)
    except BadRequestError:
        return
    assert upload.x_token.isascii()
    assert upload.x_token.isprintable()


@given(st.binary() | st.text().map(str.encode) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("key"), inner),
).map(lambda value: json.dumps(value).encode()))  # fmt: skip
def test_no_body_raises_anything_but_an_error_for_the_caller(body: bytes) -> None:
    try:
        upload = read_body(request(body), KeyUpload)
    except StorekeeperError:
        return
    assert upload.key.encode()
