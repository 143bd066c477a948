"""Keys as bytes: they come back to the letter, whatever they are, and a JWT takes less."""

from hypothesis import example, given
from hypothesis import strategies as st

from shared.keys.packing import pack, unpack
from tests.support.crafted import jwt_of

letters = st.text(st.sampled_from("abcXYZ019-_.=+/é"), max_size=60)


@given(letters | st.text(st.characters(exclude_categories=["Cs"])))
@example("")
@example(".")
@example("..")
@example("a" * 300_000)
def test_every_text_comes_back_to_the_letter(text: str) -> None:
    assert unpack(pack(text)) == text


def test_a_jwt_is_a_quarter_shorter() -> None:
    key = jwt_of({"claim": "x" * 2_000})

    assert unpack(pack(key)) == key
    assert len(pack(key)) < 0.77 * len(key)
