"""Queue messages: plain or base64, of a known version, or not at all."""

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.keys.messages import RenewalMessage
from shared.messages import MessageError, decode_message

PLAIN = b'{"version":1,"shard":"0a"}'


@pytest.mark.parametrize(
    "body",
    [PLAIN, b" \n" + PLAIN, base64.b64encode(PLAIN), base64.b64encode(b"\n" + PLAIN), b'{"shard":"0a","version":1}'],
)
def test_a_message_is_read_plain_or_from_base64(body: bytes) -> None:
    assert decode_message(body, RenewalMessage).shard == "0a"


def test_what_the_app_sends_it_can_read() -> None:
    assert decode_message(msgspec.json.encode(RenewalMessage("3f")), RenewalMessage) == RenewalMessage("3f")


@pytest.mark.parametrize("version", [b"0", b"2", b"-1", b"99999999999"])
def test_another_version_is_refused_by_its_number(version: bytes) -> None:
    with pytest.raises(MessageError, match=f"version {version.decode()} is not known; expected 1"):
        decode_message(b'{"version":' + version + b',"anything":true}', RenewalMessage)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"hello",
        b"{",
        b"[]",
        b"{}",
        b'{"version":"1","shard":"0a"}',
        b'{"version":true,"shard":"0a"}',
        b'{"version":1}',
        b'{"version":1,"shard":5}',
        b'{"version":1,"shard":"0a","more":1}',
        b'{"version":1,"shard":"\xff"}',
        b"\xff\xfe",
        base64.b64encode(b"hello"),
        base64.b64encode(PLAIN)[:-1],
        b'{"version":1,"more":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        base64.b64encode(b"[" * 100_000),
    ],
    ids=lambda body: str(body[:24]),
)
def test_what_can_never_be_handled_says_so(body: bytes) -> None:
    with pytest.raises(MessageError) as refusal:
        decode_message(body, RenewalMessage)
    assert str(refusal.value)


@pytest.mark.parametrize("shard", ["", "zz", "40", "0", "000", "0A", "../x", "a/b", "0a\n"])
def test_a_message_for_a_shard_that_is_none_is_refused(shard: str) -> None:
    with pytest.raises(MessageError):
        decode_message(msgspec.json.encode({"version": 1, "shard": shard}), RenewalMessage)


@given(st.binary())
def test_no_bytes_raise_anything_but_a_message_error(body: bytes) -> None:
    with pytest.raises(MessageError):
        decode_message(body, RenewalMessage)
