"""What callers and the Store put into a target comes out of it as it was."""

from urllib.parse import parse_qsl, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.store.paths import path, query

UNICODE = st.text(st.characters(codec="utf-8"))
SEGMENTS = st.lists(UNICODE.filter(lambda text: text not in {"", ".", ".."}), min_size=1)


@given(SEGMENTS)
@example(["ada+b@contoso.example", "a/b", "%2F", "...", "a b", "#?&=", "\r\n\x00", "é"])
def test_segments_make_the_round_trip_and_stay_one_each(segments: list[str]) -> None:
    made = path(*segments)

    assert [unquote(part, errors="strict") for part in made.split("/")[1:]] == segments
    assert made.isascii()
    assert made.isprintable()
    assert not {" ", "?", "#", "+", "@"} & set(made)


@given(st.lists(st.tuples(UNICODE.filter(bool), UNICODE)))
@example([("modifiedSince", "2015-07-13T14:02:25.6863382+07:00")])
@example([("continuationToken", "MjU=+/&a=b"), ("licenseTypes", "online"), ("licenseTypes", "offline")])
def test_parameters_make_the_round_trip_in_their_order(parameters: list[tuple[str, str]]) -> None:
    made = query(parameters)

    assert parse_qsl(made.removeprefix("?"), keep_blank_values=True, strict_parsing=bool(parameters)) == parameters
    assert made.isascii()
    assert made.isprintable()


@pytest.mark.parametrize("text", ["", ".", ".."])
def test_what_would_lead_to_another_operation_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="empty"):
        path("V1", "Users", text, "Seats")
