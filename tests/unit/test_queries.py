"""Query parameters: what is declared is checked, and nothing else passes."""

import contextlib

import pytest
from azure.functions import HttpRequest
from hypothesis import given
from hypothesis import strategies as st

from functions.http.queries import Queries, Query, read_queries
from shared.errors import BadRequestError

DECLARED = {
    "search": Query("words in the name"),
    "pageSize": Query("how many", "count", most=100),
    "status": Query("which", choices=("Active", "Removed")),
}


def asked(query: str, declared: dict[str, Query] = DECLARED) -> Queries:
    url = f"https://app.example/api/things?{query}"
    return read_queries(HttpRequest("GET", url, body=b""), declared)


def faults(query: str, declared: dict[str, Query] = DECLARED) -> dict[str, str]:
    with pytest.raises(BadRequestError) as refusal:
        asked(query, declared)
    return {fault.pointer: fault.detail for fault in refusal.value.faults}


def test_what_is_given_is_read_and_decoded_once() -> None:
    query = asked("search=caf%C3%A9+%26%252B&pageSize=7&status=Active")

    assert query.text("search") == "café &%2B"
    assert query.count("pageSize", 25) == 7
    assert query.text("status") == "Active"


def test_what_is_not_given_or_empty_has_its_default() -> None:
    query = asked("search=&pageSize=")

    assert query.text("search") is None
    assert query.count("pageSize", 25) == 25


REPEATED = {"productId": Query("a product", required=True, repeated=True, most=3), "sandbox": Query("which")}


def test_what_may_be_repeated_is_read_in_order_and_each_value_once() -> None:
    query = asked("productId=B&sandbox=X&productId=A&productId=B", REPEATED)

    assert query.all("productId") == ("B", "A")
    assert query.text("sandbox") == "X"
    assert query.text("productId") is None
    assert asked("search=x").all("search") == ()


def test_a_repeated_parameter_has_its_bounds() -> None:
    assert asked("productId=A&productId=B&productId=C", REPEATED).all("productId") == ("A", "B", "C")
    four = "&".join(["productId=A"] * 4)
    assert faults(four, REPEATED) == {"?productId": "is given 4 times; at most 3 are accepted"}
    assert faults("productId=&productId=", REPEATED) == {"?productId": "is required"}
    assert faults("productId=A&sandbox=X&sandbox=Y", REPEATED) == {"?sandbox": "is given twice"}


def test_each_value_of_a_repeated_parameter_is_checked() -> None:
    declared = {
        "size": Query("sizes", "count", repeated=True, most=2),
        "state": Query("states", choices=("a", "b"), repeated=True),
    }

    assert asked("size=100&size=7&state=a&state=b", declared).all("size") == ("100", "7")
    assert set(faults("size=0&state=a&state=c", declared)) == {"?size", "?state"}


def test_a_repeated_parameter_is_described_as_a_list() -> None:
    assert REPEATED["productId"].schema() == {
        "type": "array",
        "items": {"type": "string", "maxLength": 1024},
        "maxItems": 3,
    }


def test_a_name_that_nobody_knows_is_refused_and_the_known_ones_are_named() -> None:
    assert faults("pagesize=5") == {"?pagesize": "no such parameter; known here: search, pageSize, status"}


def test_what_is_given_twice_is_refused() -> None:
    assert faults("status=Active&status=Removed") == {"?status": "is given twice"}


@pytest.mark.parametrize("value", ["0", "-1", "101", "1.5", "many", "1e1", "٣", "0x1", "99999999999999999999"])
def test_a_count_is_a_whole_number_within_its_bounds(value: str) -> None:
    assert faults(f"pageSize={value}") == {"?pageSize": "expected a whole number from 1 to 100"}


def test_a_choice_is_one_of_its_words() -> None:
    assert faults("status=active") == {"?status": "expected one of Active, Removed"}


def test_a_required_parameter_is_asked_for() -> None:
    declared = {"user": Query("whose", required=True)}

    assert faults("", declared) == {"?user": "is required"}
    assert faults("user=", declared) == {"?user": "is required"}
    assert asked("user=ada%40contoso.example", declared).needed("user") == "ada@contoso.example"


def test_all_faults_are_told_at_once() -> None:
    assert set(faults("pageSize=x&status=y&more=z")) == {"?pageSize", "?status", "?more"}


@given(st.text())
def test_no_query_raises_anything_but_an_error_for_the_caller(text: str) -> None:
    with contextlib.suppress(BadRequestError):
        asked(text)
