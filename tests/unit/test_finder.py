"""The finder of leaked secrets finds what is planted: the leak test can fail."""

import base64
import json

import pytest

from tests.support.finder import leaks

SECRET = "AbC~%2B+x9&-Zy_W8v.7Q=long-enough"
KEY = f"{'h' * 30}.{'c' * 40}.{'SignatureThatIsSecret'}"
NOISE = b'{"time":"2026-11-21","message":"put_store_id 201 in 40.0 ms"}' * 50


def planted(text: bytes) -> list[str]:
    return leaks([("clientSecret", SECRET), ("storeIdKey", KEY)], {"clean.log": NOISE, "app.log": NOISE + text + NOISE})


def test_nothing_is_found_where_nothing_is() -> None:
    assert planted(b"") == []


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", "abcd"])
def test_a_secret_is_found_as_it_is_and_in_base64_of_any_alignment(before: str) -> None:
    text = f"{before}{SECRET}and more".encode()

    for form in (text, base64.b64encode(text), base64.urlsafe_b64encode(text)):
        assert planted(form) == ["clientSecret in app.log"]


def test_the_signature_of_a_key_gives_the_key_away() -> None:
    assert planted(KEY.encode()) == ["storeIdKey in app.log"]
    assert planted(b"sig=" + KEY.rpartition(".")[2].encode()) == ["storeIdKey in app.log"]
    assert planted(base64.b64encode(json.dumps({"key": KEY}).encode())) == ["storeIdKey in app.log"]


def test_every_place_and_kind_is_named_once_and_no_secret_is_repeated() -> None:
    found = leaks([("a", SECRET), ("b", KEY)], {"one": SECRET.encode() * 3, "two": (SECRET + KEY).encode()})

    assert found == ["a in one", "a in two", "b in two"]
