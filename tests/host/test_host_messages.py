"""Texts of queue messages, and the pauses between questions to an empty queue."""

import json

import pytest

from local.host.library import datum
from local.host.outputs import messages
from local.host.queues import Backoff
from local.host.storage import Queues, Undecodable


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("string", '["a"]', ['["a"]']),
        ("bytes", b"a", [b"a"]),
        ("json", json.dumps({"id": None, "body": "text"}), ["text"]),
        ("json", json.dumps(["a", {"id": "1", "body": "b"}, {"c": 1}]), ["a", "b", '{"c": 1}']),
        ("list", ["a", "b"], ["a", "b"]),
        ("dict", {"a": 1}, ['{"a": 1}']),
        (None, None, []),
    ],
)
def test_what_an_output_sends(kind: str, value: object, expected: list[str | bytes]) -> None:
    assert list(messages(datum(value, kind))) == expected


def test_what_no_message_can_be() -> None:
    with pytest.raises(ValueError, match="double"):
        list(messages(datum(1.5, "double")))


def test_base64() -> None:
    queues = Queues("base64")
    assert queues.decode("YQ==") == "a"
    assert queues.decode(" YQ\n== ") == "a"
    assert queues.decode("/w==") == b"\xff"
    for text in ("{}", "a", "YQ"):
        with pytest.raises(Undecodable):
            queues.decode(text)
    assert Queues("none").decode("YQ==") == "YQ=="


def test_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff(2.0)
    pauses = [backoff.next() for _ in range(8)]
    assert pauses[0] == pytest.approx(0.1)
    assert 0.18 <= pauses[1] <= 0.22
    assert 0.26 <= pauses[2] <= 0.34
    assert pauses[-1] == 2.0
    backoff.reset()
    assert backoff.next() == pytest.approx(0.1)
    assert Backoff(0.1).next() == 0.1
