"""The callers' issuers: tokens good and bad, as a verifier meets them."""

import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from tests.emulator.world import World, claims

ALGORITHMS = {"player": "RS256", "operator": "ES256"}


async def verify(world: World, kind: str, token: str) -> dict[str, Any]:
    """Check a token by discovery and JWKS alone, as a strict relying party does."""
    [issuer] = [each["issuer"] for each in json.loads(world.settings["CALLER_ISSUERS"]) if each["kind"] == kind]
    described = (await world.http.get(f"{issuer}/.well-known/openid-configuration")).json()
    keys = {key["kid"]: key for key in (await world.http.get(described["jwks_uri"])).json()["keys"]}
    kid = jwt.get_unverified_header(token)["kid"]
    if kid not in keys:
        raise jwt.InvalidKeyError(f"{kid} is not published")
    content: dict[str, Any] = jwt.decode(
        token,
        jwt.PyJWK(keys[kid]).key,
        algorithms=[ALGORITHMS[kind]],
        audience="storekeeper",
        issuer=described["issuer"],
        options={"require": ["exp", "iat", "sub"]},
    )
    return content


async def bearer(world: World, **wanted: object) -> str:
    return str((await world.control("bearer-tokens", **wanted))["token"])


async def test_players_and_operators(world: World) -> None:
    player = await verify(world, "player", await bearer(world, kind="player", subject="player-7"))
    operator = await verify(world, "operator", await bearer(world, kind="operator"))

    assert player["sub"] == "player-7"
    assert "roles" not in player
    assert operator["roles"] == ["Store.Operator"]


async def test_tokens_can_be_made_to_measure(world: World) -> None:
    token = await bearer(
        world,
        kind="operator",
        roles=["Reader"],
        audience="someone-else",
        expiresInSeconds=-5,
        claims={"tenant": "x", "sub": "override"},
        omit=["jti"],
    )

    content = claims(token)

    assert (content["roles"], content["aud"], content["tenant"], content["sub"]) == (
        ["Reader"],
        "someone-else",
        "x",
        "override",
    )
    assert content["exp"] < content["iat"]
    assert "jti" not in content


@pytest.mark.parametrize("kind", ["player", "operator"])
@pytest.mark.parametrize(
    "bad",
    [
        {"algorithm": "none"},
        {"algorithm": "HS256"},
        {"signedBy": "unknown"},
        {"expiresInSeconds": -1},
        {"audience": "someone-else"},
        {"claims": {"iss": "https://elsewhere.example"}},
        {"omit": ["exp"]},
        {"omit": ["sub"]},
    ],
)
async def test_bad_tokens_are_bad(world: World, kind: str, bad: dict[str, object]) -> None:
    token = await bearer(world, kind=kind, **bad)

    with pytest.raises(jwt.InvalidTokenError):
        await verify(world, kind, token)


@pytest.mark.parametrize(("kind", "algorithm"), [("player", "ES256"), ("operator", "RS256"), ("player", "PS256")])
async def test_the_wrong_algorithm(world: World, kind: str, algorithm: str) -> None:
    token = await bearer(world, kind=kind, algorithm=algorithm)

    assert jwt.get_unverified_header(token)["alg"] == algorithm
    with pytest.raises(jwt.InvalidTokenError):
        await verify(world, kind, token)


async def test_hs256_is_the_classic_confusion(world: World) -> None:
    token = await bearer(world, kind="player", algorithm="HS256")
    [key] = (await world.http.get("/players/keys")).json()["keys"][-1:]
    pem = jwt.PyJWK(key).key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signed, _, signature = token.rpartition(".")

    assert hmac.digest(pem, signed.encode(), "sha256") == jwt.utils.base64url_decode(signature)


@pytest.mark.parametrize(("kind", "issuer"), [("player", "players"), ("operator", "operators")])
async def test_rotation(world: World, kind: str, issuer: str) -> None:
    old = await bearer(world, kind=kind)

    kept = await world.control(f"issuers/{issuer}/rotations")
    new = await bearer(world, kind=kind)

    assert jwt.get_unverified_header(new)["kid"] == kept["kid"] != jwt.get_unverified_header(old)["kid"]
    await verify(world, kind, old)
    await verify(world, kind, new)

    await world.control(f"issuers/{issuer}/rotations", keepOld=False)

    for gone in (old, new):
        with pytest.raises(jwt.InvalidKeyError):
            await verify(world, kind, gone)
    await verify(world, kind, await bearer(world, kind=kind))
