"""Lists of users: what is malformed, what stands there twice, and where."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import UnprocessableError
from shared.seats.names import MAX_CHARACTERS, MAX_FAULTS, check_users, fault_of, in_json
from shared.seats.sheets import MAX_LINES, read_users, write


def faults(names: list[str]) -> list[str]:
    """The places at fault."""
    with pytest.raises(UnprocessableError) as refusal:
        check_users(in_json(names))
    return [fault.pointer for fault in refusal.value.faults]


@pytest.mark.parametrize(
    "name", ["a@b", "o'ne.two+three#x@contoso.example", "=1@x", "ünï@contoso.example", "a" * 111 + "@b"]
)
def test_upns_that_are_taken(name: str) -> None:
    assert fault_of(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "@",
        "a@",
        "@b",
        "a",
        "a@b@c",
        "a b@c",
        " a@b",
        "a@b\n",
        "a\u200b@b",
        "a\u00a0b@c",
        "\x00@b",
        "a" * 112 + "@b",
    ],
)
def test_upns_that_are_not(name: str) -> None:
    fault = fault_of(name)

    assert fault
    assert len(name) < 3 or name not in fault


def test_duplicates_are_named_whatever_their_letter_case() -> None:
    assert faults(["ada@x", "Bob@x", "ADA@x", "bob@X", "eve@x"]) == ["/users/2", "/users/3"]


def test_the_first_faults_are_listed_and_all_are_counted() -> None:
    with pytest.raises(UnprocessableError, match=r"^150 users .* first 100 are listed") as refusal:
        check_users(in_json(["x"] * 150))

    assert len(refusal.value.faults) == MAX_FAULTS


@pytest.mark.parametrize("count", [0, 100_001])
def test_too_few_and_too_many_are_said_once(count: int) -> None:
    assert faults(["x"] * count) == ["/users"]


class TestSheets:
    """CSV as it comes out of spreadsheets."""

    @pytest.mark.parametrize(
        "content",
        [
            b"a@x\nb@x\n",
            b"a@x\r\nb@x",
            b"userName\na@x\nb@x",
            b"\xef\xbb\xbfUSERNAME\r\n\r\na@x\r\n\r\nb@x\r\n",
            b'"userName"\n"a@x"\n"b@x"\n',
            b"  a@x \n   \nb@x\n,\n",
        ],
    )
    def test_every_common_form_is_read(self, content: bytes) -> None:
        users = read_users(content)

        assert users.names == ["a@x", "b@x"]

    def test_places_are_lines_of_the_file(self) -> None:
        users = read_users(b'userName\n\n"a@x"\n\nb@x\n')

        assert [users.place(index) for index in (0, 1)] == ["line 3", "line 5"]

    @pytest.mark.parametrize(
        ("content", "places"),
        [
            (b"a@x,b@x\nc@x\nd@x;e@x,1\n", ["line 1", "line 3"]),
            (b'a@x\n"b@x"c\nd@x\n', ["line 2"]),
            (b'a@x\n"b@x\nc@x\n', ["line 2"]),
            (b"a@x\n\n\xe4@x\n", ["line 3"]),
            (b"a" * 200_000, ["line 1"]),
        ],
    )
    def test_lines_that_are_broken_are_named(self, content: bytes, places: list[str]) -> None:
        with pytest.raises(UnprocessableError) as refusal:
            check_users(read_users(content))

        assert [fault.pointer for fault in refusal.value.faults] == places

    @pytest.mark.parametrize("line", [b"a@x,b@x\n", b"\r\n", b"\r"])
    def test_far_too_many_lines_are_not_even_looked_at(self, line: bytes) -> None:
        with pytest.raises(UnprocessableError) as refusal:
            read_users(line * (MAX_LINES + 1))

        assert str(MAX_LINES) in refusal.value.detail
        assert [fault.pointer for fault in refusal.value.faults] == [""]

    def test_a_header_counts_only_at_the_top(self) -> None:
        assert read_users(b"a@x\nuserName\n").names == ["a@x", "userName"]

    @given(st.binary(max_size=200))
    def test_any_bytes_are_read_or_refused(self, content: bytes) -> None:
        with contextlib.suppress(UnprocessableError):
            users = read_users(content)
            check_users(users)

            assert all("@" in name for name in users.names)

    @pytest.mark.parametrize("formula", ["=1", "+1", "-1", "@x", "\tx", "\rx"])
    def test_a_formula_is_defused(self, formula: str) -> None:
        sheet = write(["a"], [[formula], ["plain"]])

        assert sheet in {f"a\r\n'{formula}\r\nplain\r\n".encode(), f'a\r\n"\'{formula}"\r\nplain\r\n'.encode()}


def test_the_longest_name_is_taken() -> None:
    assert fault_of("a" * (MAX_CHARACTERS - 2) + "@b") is None
