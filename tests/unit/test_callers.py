"""Who calls us: tokens that hold, and all the ways in which one does not."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.auth.callers import LEEWAY, MAX_TOKEN_CHARACTERS, Caller, Callers
from shared.auth.issuer_keys import MAX_DOCUMENT_BYTES, NO_KEYS_COOL_DOWN, TIME_TO_LIVE, UNKNOWN_KEY_COOL_DOWN
from shared.errors import ForbiddenError, UnauthenticatedError, UnavailableError
from shared.settings import Issuer
from tests.support.crafted import jwt_of, part
from tests.support.issuing import EC, OTHER_RSA, RSA, WEAK_RSA, PrivateKey, Web, jwk, public_pem

PLAYERS, OPERATORS = "https://players.example", "https://operators.example/"
JWKS = {PLAYERS: "https://players.example/keys", OPERATORS: "https://operators.example/keys"}


class World:
    """Two issuers: players by OIDC discovery and RS256, operators by a configured JWKS and ES256."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.web = Web()
        self.web.documents = {
            f"{PLAYERS}/.well-known/openid-configuration": {"issuer": PLAYERS, "jwks_uri": JWKS[PLAYERS]},
            JWKS[PLAYERS]: {"keys": [jwk(RSA, "player-key")]},
            JWKS[OPERATORS]: {"keys": [jwk(EC, "operator-key")]},
        }
        self.keys = self.web.keys(lambda: self.now)
        issuers = (Issuer(PLAYERS, "app", "player", None), Issuer(OPERATORS, "app", "operator", JWKS[OPERATORS]))
        self.issuers = issuers
        self.callers = Callers(issuers, self.keys, now=lambda: time.time() + self.now - 1000.0)

    async def verify(self, token: str) -> Caller:
        return await self.callers.verify(f"Bearer {token}")

    async def refusal(self, token: str) -> str:
        with pytest.raises(UnauthenticatedError) as refusal:
            await self.verify(token)
        return refusal.value.detail


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.keys.close()


def claims(issuer: str = PLAYERS, **changes: Any) -> dict[str, Any]:
    content = {"iss": issuer, "aud": "app", "sub": "player-1", "exp": int(time.time()) + 3600} | changes
    return {name: value for name, value in content.items() if value is not None}


def token(key: PrivateKey = RSA, kid: str | None = "player-key", algorithm: str = "RS256", **changes: Any) -> str:
    return jwt.encode(claims(**changes), key, algorithm=algorithm, headers={"kid": kid} if kid else {})


def operator(**changes: Any) -> str:
    return token(EC, "operator-key", "ES256", issuer=OPERATORS, **({"roles": ["Store.Operator"]} | changes))


async def test_a_player_is_who_their_issuer_says(world: World) -> None:
    assert await world.verify(token()) == Caller("player", "player-1")


async def test_an_operator_needs_the_role(world: World) -> None:
    assert await world.verify(operator()) == Caller("operator", "player-1")
    for roles in (None, [], ["Store.Reader"], "Store.Operator", {"Store.Operator": True}, ["store.operator"]):
        with pytest.raises(ForbiddenError):
            await world.verify(operator(roles=roles))


async def test_a_role_does_not_make_an_operator_of_a_player(world: World) -> None:
    assert (await world.verify(token(roles=["Store.Operator"]))).kind == "player"


@pytest.mark.parametrize(
    "header",
    [None, "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "token", "Bearer a b", "Bearer \udcff\udcfe", "Bearer é.é.é"],
)
async def test_what_is_no_bearer_token_is_refused(world: World, header: str | None) -> None:
    with pytest.raises(UnauthenticatedError):
        await world.callers.verify(header)


async def test_the_scheme_is_not_case_sensitive(world: World) -> None:
    assert await world.callers.verify(f"bearer  {token()} ") == Caller("player", "player-1")


async def test_a_token_too_long_is_refused_before_it_is_read(world: World) -> None:
    assert "longer than" in await world.refusal("a" * (MAX_TOKEN_CHARACTERS + 1))


async def test_an_unsigned_token_is_refused(world: World) -> None:
    unsigned = jwt.encode(claims(), "", algorithm="none", headers={"kid": "player-key"})

    assert "algorithm" in await world.refusal(unsigned)
    assert await world.refusal(f"{unsigned.rpartition('.')[0]}.{part(b'signature')}")


async def test_a_token_signed_with_the_public_key_as_a_password_is_refused(world: World) -> None:
    for pretended in ("HS256", "RS256"):
        head = f"{part({'alg': pretended, 'typ': 'JWT', 'kid': 'player-key'})}.{part(claims())}"
        mac = hmac.digest(public_pem(RSA), head.encode(), hashlib.sha256)
        assert await world.refusal(f"{head}.{part(mac)}")


@pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256"])
async def test_no_algorithm_but_those_pinned_is_accepted(world: World, algorithm: str) -> None:
    assert "algorithm" in await world.refusal(token(algorithm=algorithm))


async def test_another_issuers_key_does_not_sign_for_this_one(world: World) -> None:
    assert "signing key" in await world.refusal(token(EC, "operator-key", "ES256"))
    assert await world.refusal(token(EC, "player-key", "ES256"))
    assert "signature" in await world.refusal(token(OTHER_RSA))


async def test_a_published_symmetric_key_signs_nothing(world: World) -> None:
    secret = b"published-to-all-the-world-32byt"
    entry = {"kty": "oct", "k": part(secret), "kid": "shared"}
    world.web.documents[JWKS[PLAYERS]] = {"keys": [entry, jwk(RSA, "player-key")]}
    for pretended in ("HS256", "RS256"):
        head = f"{part({'alg': pretended, 'kid': 'shared'})}.{part(claims())}"
        assert await world.refusal(f"{head}.{part(hmac.digest(secret, head.encode(), hashlib.sha256))}")


async def test_a_key_too_short_to_be_safe_signs_nothing(world: World) -> None:
    world.web.documents[JWKS[PLAYERS]] = {"keys": [jwk(WEAK_RSA, "weak")]}
    head = f"{part({'alg': 'RS256', 'kid': 'weak'})}.{part(claims())}"
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    signature = WEAK_RSA.sign(head.encode(), PKCS1v15(), SHA256())

    assert await world.refusal(f"{head}.{part(signature)}")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"iss": "https://evil.example"}, "issuer or audience"),
        ({"iss": PLAYERS + "/"}, "issuer or audience"),
        ({"iss": [PLAYERS]}, "issuer or audience"),
        ({"iss": None}, "issuer or audience"),
        ({"aud": "another"}, "issuer or audience"),
        ({"aud": []}, "issuer or audience"),
        ({"aud": {"app": 1}}, "issuer or audience"),
        ({"aud": None}, "issuer or audience"),
        ({"sub": None}, "sub"),
        ({"sub": ""}, "sub"),
        ({"exp": None}, "exp"),
        ({"exp": "soon"}, "not valid"),
        pytest.param({"exp": int(time.time()) - LEEWAY - 30}, "expired", id="exp long ago"),
        pytest.param({"nbf": int(time.time()) + LEEWAY + 3600}, "not valid", id="nbf to come"),
        pytest.param({"iat": int(time.time()) + LEEWAY + 3600}, "not valid", id="iat to come"),
    ],
    ids=str,
)
async def test_a_claim_that_does_not_hold_is_refused_by_name(
    world: World, changes: dict[str, Any], reason: str
) -> None:
    good = claims(**{name: value for name, value in changes.items() if name not in {"iss", "aud"}})
    content = {name: value for name, value in {**good, **changes}.items() if value is not None}
    head = part({"alg": "RS256", "typ": "JWT", "kid": "player-key"}) + "." + part(content)
    signed = jwt.get_algorithm_by_name("RS256").sign(head.encode(), RSA)

    assert reason in await world.refusal(f"{head}.{part(signed)}")


@pytest.mark.parametrize("subject", [5, ["player"], {"id": 1}, True, "\ud800"])
async def test_a_subject_that_is_no_text_is_refused(world: World, subject: object) -> None:
    head = part({"alg": "RS256", "kid": "player-key"}) + "." + part(claims(sub=subject))
    signed = jwt.get_algorithm_by_name("RS256").sign(head.encode(), RSA)

    assert await world.refusal(f"{head}.{part(signed)}")


async def test_a_clock_that_differs_a_little_is_forgiven(world: World) -> None:
    now = int(time.time())

    assert await world.verify(token(exp=now - LEEWAY + 20))
    assert await world.verify(token(nbf=now + LEEWAY - 20, iat=now + LEEWAY - 20))


async def test_one_of_several_audiences_is_enough(world: World) -> None:
    assert await world.verify(token(aud=["other", "app"]))


async def test_keys_are_fetched_once_for_a_crowd(world: World) -> None:
    good = token()

    assert await asyncio.gather(*(world.verify(good) for _ in range(100))) == [Caller("player", "player-1")] * 100
    assert world.web.fetched == [f"{PLAYERS}/.well-known/openid-configuration", JWKS[PLAYERS]]


async def test_a_new_key_of_the_issuer_is_picked_up(world: World) -> None:
    await world.verify(token())
    world.web.documents[JWKS[PLAYERS]] = {"keys": [jwk(OTHER_RSA, "new-key")]}
    world.now += UNKNOWN_KEY_COOL_DOWN + 1

    assert await world.verify(token(OTHER_RSA, "new-key"))
    assert "signing key" in await world.refusal(token())


async def test_unknown_keys_cause_one_fetch_in_a_while(world: World) -> None:
    await world.verify(token())
    before = len(world.web.fetched)
    world.now += UNKNOWN_KEY_COOL_DOWN + 1

    for number in range(50):
        await world.refusal(token(OTHER_RSA, f"unknown-{number}"))

    assert len(world.web.fetched) == before + 2
    assert await world.verify(token())


async def test_a_withdrawn_key_stops_working_after_a_while(world: World) -> None:
    await world.verify(token())
    world.web.documents[JWKS[PLAYERS]] = {"keys": [jwk(OTHER_RSA, "new-key")]}
    assert await world.verify(token())

    world.now += TIME_TO_LIVE + 1

    assert await world.refusal(token())


async def test_an_issuer_that_is_away_is_not_missed_while_its_keys_are_held(world: World) -> None:
    await world.verify(token())
    world.web.away = True
    world.now += TIME_TO_LIVE + 1

    assert await world.verify(token())


async def test_an_issuer_never_reached_is_an_outage_and_not_the_callers_fault(world: World) -> None:
    world.web.away = True
    with pytest.raises(UnavailableError):
        await world.verify(token())
    with pytest.raises(UnavailableError):  # and the next caller does not have to wait for a fetch
        await world.verify(token())
    assert len(world.web.fetched) == 1

    world.web.away = False
    world.now += UNKNOWN_KEY_COOL_DOWN + 1

    assert await world.verify(token())


async def test_a_token_without_key_id_fits_a_key_without_one(world: World) -> None:
    world.web.documents[JWKS[PLAYERS]] = {"keys": [jwk(RSA, None)]}

    assert await world.verify(token(kid=None))


async def test_keys_for_encryption_and_of_foreign_types_are_passed_over(world: World) -> None:
    world.web.documents[JWKS[PLAYERS]] = {
        "keys": [
            jwk(OTHER_RSA, "player-key", use="enc"),
            {"kty": "quantum", "kid": "player-key"},
            jwk(RSA, "player-key", use="sig"),
        ]
    }

    assert await world.verify(token())


@pytest.mark.parametrize(
    "document",
    [
        {"issuer": "https://evil.example", "jwks_uri": JWKS[PLAYERS]},
        {"jwks_uri": JWKS[PLAYERS]},
        {"issuer": PLAYERS},
        {"issuer": PLAYERS, "jwks_uri": "http://players.example/keys"},
        {"issuer": PLAYERS, "jwks_uri": 5},
        {"issuer": PLAYERS, "jwks_uri": "https://"},
        {"issuer": PLAYERS, "jwks_uri": "https://[/keys"},
        {"issuer": PLAYERS, "jwks_uri": "https://players.example:port/keys"},
        [],
        b"",
        b"<html>",
        b"\xff\xfe",
        b"[" * 100_000,
        b" " * (MAX_DOCUMENT_BYTES + 1),
    ],
    ids=lambda document: str(document)[:60],
)
async def test_a_discovery_document_that_cannot_be_relied_on_is_an_outage(world: World, document: Any) -> None:
    world.web.documents[f"{PLAYERS}/.well-known/openid-configuration"] = document

    with pytest.raises(UnavailableError):
        await world.verify(token())


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"keys": None},
        {"keys": {}},
        {"keys": []},
        {"keys": ["text"]},
        {"keys": [None]},
        {"keys": [[]]},
        {"keys": [{"kty": "RSA", "kid": ["a"], "n": "AQAB", "e": "AQAB"}]},
        {"keys": [{"kty": "RSA", "n": "!"}]},
        pytest.param({"keys": [jwk(EC, "player-key") | {"kid": {"a": 1}}]}, id="a kid that is no text"),
    ],
    ids=lambda document: json.dumps(document)[:60],
)
async def test_a_key_set_without_a_usable_key_is_an_outage(world: World, document: Any) -> None:
    world.web.documents[JWKS[PLAYERS]] = document

    with pytest.raises(UnavailableError):
        await world.verify(token())


async def test_a_redirect_of_the_issuer_is_not_followed(world: World) -> None:
    import httpx  # noqa: PLC0415

    world.web.documents[JWKS[PLAYERS]] = httpx.Response(302, headers={"Location": "https://evil.example/keys"})

    with pytest.raises(UnavailableError):
        await world.verify(token())
    assert not any("evil" in address for address in world.web.fetched)


async def test_readiness_asks_for_the_keys_whatever_is_held(world: World) -> None:
    await world.keys.check(world.issuers[1])
    await world.keys.check(world.issuers[1])
    assert world.web.fetched == [JWKS[OPERATORS]] * 2

    world.web.away = True
    with pytest.raises(UnavailableError, match=r"players\.example"):
        await world.keys.check(world.issuers[0])
    assert await world.verify(operator()), "what is held is still good"


async def test_a_key_of_a_form_that_nobody_foresaw_does_no_harm(world: World) -> None:
    odd = {**jwk(OTHER_RSA, "odd-key"), "alg": ["RS256"]}
    world.web.documents[JWKS[PLAYERS]] = {"keys": [odd, jwk(RSA, "player-key")]}

    assert await world.verify(token())


async def test_callers_wait_a_moment_for_an_issuer_whose_first_answer_was_lost(world: World) -> None:
    world.web.away = True
    with pytest.raises(UnavailableError):
        await world.verify(token())

    world.web.away = False
    world.now += NO_KEYS_COOL_DOWN + 1

    assert await world.verify(token())


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "RS256", "kid": ["a"]},
        {"alg": "RS256", "kid": {"a": 1}},
        {"alg": "RS256", "kid": 5},
        {"alg": "RS256", "crit": ["x"]},
        {"alg": "RS256", "b64": False},
        {"alg": ["RS256"]},
        {"alg": None},
        {},
        [],
        b"[" * 11_000,
    ],
    ids=lambda header: str(header)[:40],
)
async def test_a_header_made_to_confuse_is_refused(world: World, header: object) -> None:
    assert await world.refusal(jwt_of(claims(), header))


@given(st.text(max_size=300))
def test_no_header_raises_anything_but_unauthenticated(text: str) -> None:
    callers = World().callers
    with pytest.raises(UnauthenticatedError):
        asyncio.run(callers.verify(f"Bearer {text}"))


@given(st.binary(max_size=50), st.binary(max_size=50), st.binary(max_size=10))
def test_no_parts_raise_anything_but_unauthenticated(header: bytes, payload: bytes, signature: bytes) -> None:
    callers = World().callers
    with pytest.raises(UnauthenticatedError):
        asyncio.run(callers.verify(f"Bearer {jwt_of(payload, header, signature)}"))


def test_a_refusal_repeats_nothing_of_the_token() -> None:
    marker = base64.b64encode(b"marker-in-a-token").decode()
    for text in (marker, f"{marker}.{marker}.{marker}", jwt_of({"iss": marker})):
        with pytest.raises(UnauthenticatedError) as refusal:
            asyncio.run(World().callers.verify(f"Bearer {text}"))
        assert marker not in refusal.value.detail
