"""User Store ID keys are read without trust."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.auth.tokens import StoreIdKind
from shared.store.user_store_id import (
    DOCUMENTED_RENEWAL,
    MAX_KEY_CHARACTERS,
    MalformedKeyError,
    UntrustedClaims,
    UserStoreIdKey,
    decode,
    is_known_renewal_address,
)
from tests.support.crafted import CLIENT_ID, HEADER, PREFIX, claims_of, jwt_of, key_of, part
from tests.support.fixtures import names, wire

HTTPS = "https://schemas.microsoft.com/marketplace/2015/08/claims/key/"
SEED_CLAIMS = {
    f"{HTTPS}clientId": "1d577369placeholder7393beef1e13d",
    f"{HTTPS}payload": "placeholderytCRzCHSqnfczv3f0343wfSydx7hghfu0snWzMqyoAGy5DSJ5rMSsKoQFAccs1iNlwlGrX+/eIwh/VlUhL=",
    f"{HTTPS}userId": "infusQplaceholder/SZWoPB4FqLEwHXgZFuMJ6TuTY=",
    f"{HTTPS}refreshUri": "https://collections.mp.microsoft.com/v6.0/b2b/keys/renew",
    "iat": 1442395542,
    "iss": "https://collections.mp.microsoft.com/v6.0/keys",
    "aud": "https://collections.mp.microsoft.com/v6.0/keys",
    "exp": 1450171541,
    "nbf": 1442391941,
}
SEED_HEADER = {
    "typ": "JWT",
    "alg": "RS256",
    "kid": "36D101AF67A9F61B8017FB96F91EDD4B22F05804",
    "x5t": "agA_pgJ7Twx_Ex2_rEeQ2o5fZ5g",
}


def refused(key: str) -> str:
    """Why a key is refused, which must not repeat anything of it."""
    with pytest.raises(MalformedKeyError) as refusal:
        decode(UserStoreIdKey(key))
    return str(refusal.value)


def test_the_documented_example_is_read() -> None:
    claims = decode(UserStoreIdKey(jwt_of(SEED_CLAIMS, SEED_HEADER)))

    assert claims == UntrustedClaims(
        kind=StoreIdKind.COLLECTIONS,
        client_id="1d577369placeholder7393beef1e13d",
        user_id="infusQplaceholder/SZWoPB4FqLEwHXgZFuMJ6TuTY=",
        refresh_uri="https://collections.mp.microsoft.com/v6.0/b2b/keys/renew",
        issued_on=datetime.fromtimestamp(1442395542, UTC),
        expires_on=datetime.fromtimestamp(1450171541, UTC),
    )


@pytest.mark.parametrize("name", names("user-store-id-claims-*"))
def test_every_published_claim_set_is_read_whatever_its_prefix(name: str) -> None:
    claims = decode(UserStoreIdKey(jwt_of(wire(name), wire("user-store-id-header"))))

    assert claims.kind == ("purchase" if "purchase" in name else "collections")
    assert (claims.client_id, claims.user_id) == (CLIENT_ID, "player-0001")
    assert claims.refresh_uri == DOCUMENTED_RENEWAL[claims.kind]
    assert (claims.expires_on - claims.issued_on).days == 30


def test_a_key_without_a_user_id_is_read() -> None:
    assert decode(key_of(userId=None)).user_id is None


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        (claims_of(clientId=None), "clientId is missing"),
        (claims_of(clientId=""), "clientId is missing"),
        (claims_of(clientId=5), "clientId is missing"),
        (claims_of(refreshUri=None), "refreshUri is missing"),
        (claims_of(iat=None), "claim set"),
        (claims_of(exp=None), "claim set"),
        (claims_of(iss=None), "claim set"),
        (claims_of(aud=None), "claim set"),
        (claims_of(aud=["https://collections.mp.microsoft.com/v6.0/keys"]), "claim set"),
        (claims_of(iat="1795270200"), "claim set"),
        (claims_of(iat=True), "claim set"),
        (claims_of(iat=-1), "claim set"),
        (claims_of(exp=10**20), "claim set"),
        (claims_of(exp=float("inf")), "claim set"),
        (claims_of(exp=1_795_270_200), "exp is not after iat"),
        (claims_of(aud="https://collections.mp.microsoft.com/v6.0/keys/"), "iss and aud"),
        (claims_of(iss="https://purchase.mp.microsoft.com/v6.0/keys"), "iss and aud"),
        (claims_of(kind="licensing"), "iss and aud"),
        ([], "claim set"),
        ("text", "claim set"),
        (None, "claim set"),
        (b"", "three base64url parts"),
        (b"\xff\xfe{}", "claim set"),
        (b'{"iss":', "claim set"),
        (b'{"a":' + b"[" * 6_000 + b"]" * 6_000 + b"}", "claim set"),
    ],
)
def test_a_claim_set_that_cannot_be_relied_on_is_refused(claims: object, reason: str) -> None:
    assert reason in refused(jwt_of(claims))


@pytest.mark.parametrize(
    "header",
    [
        {**HEADER, "alg": "none"},
        {**HEADER, "alg": "HS256"},
        {**HEADER, "typ": "at+jwt"},
        {"alg": "RS256"},
        {"typ": "JWT"},
        {},
        [],
    ],
)
def test_a_header_of_anything_but_a_key_is_refused(header: object) -> None:
    assert "header" in refused(jwt_of(claims_of(), header))


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a.b",
        "a.b.c.d",
        "a..c",
        " . . ",
        "not a key",
        "é.é.é",
        "\ud800.a.b",
        "a.\U0001f600.b",
        "\0.\0.\0",
    ],
)
def test_what_is_no_jwt_is_refused(text: str) -> None:
    assert refused(text)


def test_a_part_with_foreign_characters_is_refused() -> None:
    good = key_of().reveal()

    for end in ("é", "\n", " ", "\0", "%"):
        assert refused(good + end)
    assert refused(good.replace(".", ". ", 1))
    assert refused("\n" + good)
    assert refused(f"{part(HEADER)}é.{part(claims_of())}.sig")


def test_a_key_of_the_largest_size_is_read_and_one_character_more_is_refused() -> None:
    good = key_of().reveal()
    filled = good + "A" * (MAX_KEY_CHARACTERS - len(good))

    assert decode(UserStoreIdKey(filled)).client_id == CLIENT_ID
    assert "longer than" in refused(filled + "A")


def test_both_prefixes_may_agree_but_not_contradict_each_other() -> None:
    other = PREFIX.replace("http:", "https:")

    assert decode(UserStoreIdKey(jwt_of(claims_of() | claims_of(prefix=other)))).client_id == CLIENT_ID
    for name in ("clientId", "userId", "refreshUri"):
        contradiction = claims_of() | claims_of(prefix=other, **{name: "another"})
        assert refused(jwt_of(contradiction)) == f"the claim {name} is given twice, with two values"


def test_a_refusal_repeats_nothing_of_the_key() -> None:
    marker = "c0ffee-marker"
    for key in (marker, f"{marker}.b.c", jwt_of({"iss": marker, "aud": marker, "iat": 1, "exp": 2}), jwt_of([marker])):
        assert marker not in refused(key)


@given(st.text())
@example("é.a.b")
def test_no_text_raises_anything_but_a_malformed_key(text: str) -> None:
    assert refused(text)


@given(st.lists(st.binary(), min_size=3, max_size=3))
def test_no_bytes_raise_anything_but_a_malformed_key(parts: list[bytes]) -> None:
    assert refused(".".join(part(each) for each in parts))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.sampled_from(sorted(claims_of())), JSON)
def test_no_value_of_a_claim_raises_anything_but_a_malformed_key(name: str, value: Any) -> None:
    key = UserStoreIdKey(jwt_of({**claims_of(), name: value}))
    try:
        claims = decode(key)
    except MalformedKeyError:
        return
    assert claims.issued_on < claims.expires_on


LOOK_ALIKES = [
    "https://collections.mp.microsoft.com@evil.example/v6.0/b2b/keys/renew",
    "https://user@collections.mp.microsoft.com/v6.0/b2b/keys/renew",
    "https://collections.mp.microsoft.com:443/v6.0/b2b/keys/renew",
    "https://collections.mp.microsoft.com:8443/v6.0/b2b/keys/renew",
    "https://collections.mp.microsoft.com./v6.0/b2b/keys/renew",
    "https://COLLECTIONS.mp.microsoft.com/v6.0/b2b/keys/renew",
    "HTTPS://collections.mp.microsoft.com/v6.0/b2b/keys/renew",
    "http://collections.mp.microsoft.com/v6.0/b2b/keys/renew",
    "https://xn--collections-mp.microsoft.com/v6.0/b2b/keys/renew",
    "https://collectiоns.mp.microsoft.com/v6.0/b2b/keys/renew",  # noqa: RUF001 - the look-alike is the point
    "https://collections.mp.microsoft.com.evil.example/v6.0/b2b/keys/renew",
    "https://evil.example/collections.mp.microsoft.com/v6.0/b2b/keys/renew",
    "https://127.0.0.1/v6.0/b2b/keys/renew",
    "https://[::1]/v6.0/b2b/keys/renew",
    "https://169.254.169.254/v6.0/b2b/keys/renew",
    "https://collections.mp.microsoft.com/v6.0/b2b/keys/renew?x=1",
    "https://collections.mp.microsoft.com/v6.0/b2b/keys/renew#x",
    "https://collections.mp.microsoft.com/v6.0/b2b/keys/renew/",
    "https://collections.mp.microsoft.com/v6.0/b2b/keys/../keys/renew",
    "https://collections.mp.microsoft.com//v6.0/b2b/keys/renew",
    "https://collections.mp.microsoft.com\\@evil.example/v6.0/b2b/keys/renew",
    "https://purchase.mp.microsoft.com/v6.0/b2b/keys/renew",
    " https://collections.mp.microsoft.com/v6.0/b2b/keys/renew",
    "https://collections.mp.microsoft.com/v6.0/b2b/keys/renew\n",
    "//collections.mp.microsoft.com/v6.0/b2b/keys/renew",
    "",
]


@pytest.mark.parametrize("address", LOOK_ALIKES)
def test_an_address_that_only_looks_like_the_stores_is_not_known(address: str) -> None:
    assert not is_known_renewal_address(address, StoreIdKind.COLLECTIONS, "https://collections.mp.microsoft.com")


@pytest.mark.parametrize("kind", StoreIdKind)
def test_the_documented_and_the_configured_address_are_known(kind: StoreIdKind) -> None:
    root = "https://localhost:7000/emulated"

    assert is_known_renewal_address(f"https://{kind}.mp.microsoft.com/v6.0/b2b/keys/renew", kind, root)
    assert is_known_renewal_address(f"{root}/v6.0/b2b/keys/renew", kind, root)
    assert not is_known_renewal_address(f"{root}x/v6.0/b2b/keys/renew", kind, root)


@given(st.text())
def test_no_other_text_is_a_known_address(address: str) -> None:
    assert not is_known_renewal_address(address, StoreIdKind.PURCHASE, "https://localhost:7000")


def test_the_payload_is_left_alone() -> None:
    assert "payload" not in json.dumps(list(UntrustedClaims.__dataclass_fields__))
