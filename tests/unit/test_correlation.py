"""The correlation id: accepted where it cannot forge, made where it could."""

import logging
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.correlation import correlated, current, get_logger


@pytest.mark.parametrize("offered", ["c-1", "A.b_c:d-9", "x" * 128])
def test_an_id_that_is_offered_is_taken(offered: str) -> None:
    with correlated(offered) as accepted:
        assert accepted == offered == current()


@pytest.mark.parametrize(
    "offered", [None, "", " ", "a b", "a\nb", "a\r\nX: y", "é", "x" * 129, "a]b", "%s", "a\n", "\udcff", "<script>"]
)
def test_an_id_that_could_forge_is_replaced(offered: str | None) -> None:
    with correlated(offered) as accepted:
        assert uuid.UUID(accepted)


@given(st.text())
def test_no_id_can_break_a_line_or_a_header(offered: str) -> None:
    with correlated(offered) as accepted:
        assert accepted.isascii()
        assert accepted.isprintable()
        assert " " not in accepted


def test_ids_nest_and_end() -> None:
    with correlated("outer"):
        with correlated("inner"):
            assert current() == "inner"
        assert current() == "outer"
    assert current() == "-"


def test_every_log_line_opens_with_the_id(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), correlated("c-1"):
        get_logger("test").info("100%% of %d", 5)

    assert caplog.messages == ["[c-1] 100% of 5"]
