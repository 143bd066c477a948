"""User Store ID keys: made, renewed, refused."""

import asyncio
import time
from typing import Any

import httpx
import jwt
import pytest

from tests.emulator.world import CREATE, CREATE_PATHS, SERVICE, World, claims, fixture, shape

KINDS = ["collections", "purchase"]
CLAIM = "http://schemas.microsoft.com/marketplace/2015/08/claims/key/"


def inner(answer: httpx.Response) -> tuple[int, str]:
    body: dict[str, Any] = answer.json()
    assert set(body) == {"code", "data", "details", "innererror", "message", "source"}
    assert set(body["innererror"]) == {"code", "data", "details", "message", "source"}
    return answer.status_code, body["innererror"]["code"]


@pytest.fixture(scope="module")
async def ticket(world: World) -> str:
    return await world.token()


async def create(world: World, kind: str, **changes: Any) -> httpx.Response:
    """A right creation but for what the test changes."""
    x_token = changes.pop("x_token", None) or (await world.control("x-tokens", player="Ann", kind=kind))["xToken"]
    body = {"serviceTicket": await world.token(CREATE[kind]), "publisherUserId": "player-0001"} | changes
    sent = {name: value for name, value in body.items() if value is not None}
    return await world.http.post(CREATE_PATHS[kind], json=sent, headers={"Authorization": x_token})


@pytest.mark.parametrize("kind", KINDS)
async def test_a_key_has_the_published_claims(world: World, kind: str) -> None:
    key = await world.key(kind, publisherUserId="player-0001")

    content, header = claims(key), jwt.get_unverified_header(key)

    assert shape(content) == shape(fixture(f"user-store-id-claims-{kind}"))
    assert {name: value for name, value in content.items() if name in {"iss", "aud", f"{CLAIM}refreshUri"}} == {
        name: value
        for name, value in fixture(f"user-store-id-claims-{kind}").items()
        if name in {"iss", "aud", f"{CLAIM}refreshUri"}
    }
    assert content[f"{CLAIM}clientId"] == world.client_id
    assert content[f"{CLAIM}userId"] == "player-0001"
    assert content["exp"] - content["iat"] == 30 * 86_400
    assert content["iat"] - content["nbf"] == 3601
    assert shape(header) == shape(fixture("user-store-id-header"))
    assert bytes.fromhex(header["kid"]) == jwt.utils.base64url_decode(header["x5t"])


async def test_a_key_can_be_made_to_measure(world: World) -> None:
    key = await world.key(
        "purchase",
        publisherUserId="someone",
        clientId="another-client",
        issuedDaysAgo=13.5,
        lifetimeDays=90,
        refreshUri="https://elsewhere.example/renew",
        claimPrefix="https",
    )

    content = claims(key)

    assert shape(content) == shape(fixture("user-store-id-claims-https-prefix-variant"))
    own = CLAIM.replace("http:", "https:")
    assert content[f"{own}clientId"] == "another-client"
    assert content[f"{own}refreshUri"] == "https://elsewhere.example/renew"
    assert content["iat"] == pytest.approx(time.time() - 13.5 * 86_400, abs=5)
    assert content["exp"] - content["iat"] == 90 * 86_400


@pytest.mark.parametrize("kind", KINDS)
async def test_renewal(world: World, ticket: str, kind: str) -> None:
    old = await world.key(kind, publisherUserId="player-0001", issuedDaysAgo=15)

    answer = await world.renew(old, ticket, kind)

    assert answer.status_code == 200
    assert shape(answer.json()) == shape(fixture("renew-response"))
    new = answer.json()["key"]
    before, after = claims(old), claims(new)
    for name in ("clientId", "userId", "refreshUri"):
        assert after[CLAIM + name] == before[CLAIM + name]
    assert after["iat"] == pytest.approx(time.time(), abs=5)
    assert after["exp"] - after["iat"] == 30 * 86_400
    assert after[f"{CLAIM}payload"] != before[f"{CLAIM}payload"]
    assert (await world.renew(new, ticket, kind)).json()["key"] != new


async def test_property_names_have_no_case(world: World, ticket: str) -> None:
    body = {"SERVICETICKET": ticket, "Key": await world.key()}

    assert (await world.http.post("/collections/v6.0/b2b/keys/renew", json=body)).status_code == 200


async def test_store_answers_carry_ids(world: World) -> None:
    mine = {"MS-CorrelationId": "mine"}

    echoed = await world.http.post("/collections/v6.0/b2b/keys/renew", json={}, headers=mine)
    other = await world.http.post("/purchase/v6.0/b2b/keys/renew", json={})

    assert echoed.headers["MS-CorrelationId"] == "mine"
    assert other.headers["MS-CorrelationId"]
    assert other.headers["MS-RequestId"]
    assert other.headers["MS-CV"].endswith(".0")


async def test_renewal_without_a_ticket(world: World) -> None:
    answer = await world.http.post("/collections/v6.0/b2b/keys/renew", json={"key": await world.key()})

    assert inner(answer) == (401, "PartnerAadTicketRequired")
    assert shape(answer.json()) == shape(fixture("error-401-partner-aad-ticket-required"))


@pytest.mark.parametrize("audience", [*CREATE.values(), "https://vault.azure.net"])
async def test_renewal_takes_the_service_token_only(world: World, audience: str) -> None:
    answer = await world.renew(await world.key(), await world.token(audience))

    assert inner(answer) == (401, "AuthenticationTokenInvalid")
    assert shape(answer.json()) == shape(fixture("error-401-authentication-token-invalid"))


async def test_renewal_refuses_an_expired_or_forged_ticket(world: World, ticket: str) -> None:
    key = await world.key()
    path = f"/_emulator/tenants/{world.tenant_id}"
    await world.http.patch(path, json={"tokenLifetimeSeconds": 1})
    short = await world.token()
    await world.http.patch(path, json={"tokenLifetimeSeconds": 3600})
    assert (await world.renew(key, short)).status_code == 200

    await asyncio.sleep(claims(short)["exp"] - time.time() + 0.01)

    assert inner(await world.renew(key, short)) == (401, "AuthenticationTokenInvalid")
    header, payload, signature = ticket.split(".")
    forged = ".".join((header, payload, signature[::-1]))
    assert inner(await world.renew(key, forged)) == (401, "AuthenticationTokenInvalid")


async def test_renewal_refuses_a_key_of_another_client(world: World, ticket: str) -> None:
    answer = await world.renew(await world.key(clientId="another-client"), ticket)

    assert inner(answer) == (401, "InconsistentClientId")
    assert shape(answer.json()) == shape(fixture("error-401-inconsistent-client-id"))


@pytest.mark.parametrize(
    "wanted",
    [
        {"kind": "purchase"},
        {"issuedDaysAgo": 31},
        {"issuedDaysAgo": -1},
    ],
    ids=["other kind", "expired", "not yet valid"],
)
async def test_renewal_refuses_a_bad_key(world: World, ticket: str, wanted: dict[str, Any]) -> None:
    key = await world.key(**wanted)

    assert inner(await world.renew(key, ticket)) == (401, "AuthenticationTokenInvalid")


async def test_renewal_refuses_what_is_no_key(world: World, ticket: str) -> None:
    key = await world.key(publisherUserId="victim")
    header, _, signature = key.split(".")
    stolen = (await world.key(publisherUserId="thief")).split(".")[1]

    for bad in ("garbage", ticket, f"{header}.{stolen}.{signature}"):
        assert inner(await world.renew(bad, ticket)) == (401, "AuthenticationTokenInvalid")


async def test_renewal_refuses_bad_bodies(world: World, ticket: str) -> None:
    path = "/collections/v6.0/b2b/keys/renew"

    missing = await world.http.post(path, json={"serviceTicket": ticket})
    broken = await world.http.post(path, content="{", headers={"Content-Type": "application/json"})
    form = await world.http.post(path, data={"serviceTicket": ticket})

    assert inner(missing) == (400, "InvalidParameter")
    assert shape(missing.json()) == shape(fixture("error-400-invalid-parameter"))
    assert missing.json()["innererror"]["details"][0]["target"] == "key"
    assert inner(broken) == (400, "InvalidParameter")
    assert form.status_code == 415


async def test_revocation_of_one_key(world: World, ticket: str) -> None:
    revoked, other = await world.key(publisherUserId="same"), await world.key(publisherUserId="same")

    await world.control("store-ids/revocations", key=revoked)

    assert inner(await world.renew(revoked, ticket)) == (401, "AuthenticationTokenInvalid")
    assert (await world.renew(other, ticket)).status_code == 200


async def test_revocation_of_all_keys_of_a_player(world: World, ticket: str) -> None:
    first = await world.key(publisherUserId="gone")
    renewed = (await world.renew(first, ticket)).json()["key"]
    purchase = await world.key("purchase", publisherUserId="gone")

    await world.control("store-ids/revocations", publisherUserId="gone", kind="collections")

    for key in (first, renewed):
        assert inner(await world.renew(key, ticket)) == (401, "AuthenticationTokenInvalid")
    assert (await world.renew(purchase, ticket, "purchase")).status_code == 200
    later = await world.key(publisherUserId="gone")
    assert (await world.renew(later, ticket)).status_code == 200


async def test_certificate_rotation(world: World, ticket: str) -> None:
    old = await world.key(issuedDaysAgo=1)
    await world.control("signing-certificates/rotations", retireOld=False)
    renewed = (await world.renew(old, ticket)).json()["key"]
    assert jwt.get_unverified_header(renewed)["kid"] != jwt.get_unverified_header(old)["kid"]

    await world.control("signing-certificates/rotations", retireOld=True)

    for key in (old, renewed):
        assert inner(await world.renew(key, ticket)) == (401, "AuthenticationTokenInvalid")
    fresh = await world.key(issuedDaysAgo=15)
    assert (await world.renew(fresh, ticket)).status_code == 200


async def test_many_keys_at_once(world: World, ticket: str) -> None:
    keys = (await world.control("store-ids", kind="collections", count=250, publisherUserIdFormat="many-{}"))["keys"]

    assert [claims(key)[f"{CLAIM}userId"] for key in keys] == [f"many-{number}" for number in range(250)]
    assert (await world.renew(keys[-1], ticket)).status_code == 200


@pytest.mark.parametrize("kind", KINDS)
async def test_creation(world: World, ticket: str, kind: str) -> None:
    answer = await create(world, kind)

    assert answer.status_code == 200
    assert shape(answer.json()) == shape(fixture("create-key-xsts-response"))
    key = answer.json()["key"]
    assert claims(key)[f"{CLAIM}userId"] == "player-0001"
    assert claims(key)[f"{CLAIM}clientId"] == world.client_id
    assert (await world.renew(key, ticket, kind)).status_code == 200


async def test_creation_without_a_user_id(world: World) -> None:
    answer = await create(world, "collections", publisherUserId=None)

    assert claims(answer.json()["key"])[f"{CLAIM}userId"] == "NoUserIdProvided"


@pytest.mark.parametrize("kind", KINDS)
async def test_creation_refuses_the_service_token(world: World, kind: str) -> None:
    answer = await create(world, kind, serviceTicket=await world.token(SERVICE))

    assert inner(answer) == (401, "AuthenticationTokenInvalid")


async def test_creation_refuses_the_other_kinds_token(world: World) -> None:
    answer = await create(world, "collections", serviceTicket=await world.token(CREATE["purchase"]))

    assert inner(answer) == (401, "AuthenticationTokenInvalid")


async def test_creation_without_a_ticket(world: World) -> None:
    assert inner(await create(world, "purchase", serviceTicket=None)) == (401, "PartnerAadTicketRequired")


async def test_creation_with_an_expired_x_token(world: World) -> None:
    expired = await world.control("x-tokens", player="Ann", kind="collections", expiresInSeconds=-1)

    answer = await create(world, "collections", x_token=expired["xToken"])

    assert (answer.status_code, answer.json()["message"]) == (401, "Expired Token")


async def test_creation_with_a_wrong_x_token(world: World) -> None:
    other = (await world.control("x-tokens", player="Ann", kind="purchase"))["xToken"]
    own = (await world.control("x-tokens", player="Ann", kind="collections"))["xToken"]

    for wrong in (other, "XBL3.0 x=1;garbage", "XBL3.0 x=1;" + own.split(";")[1]):
        answer = await create(world, "collections", x_token=wrong)
        assert (answer.status_code, answer.json()["message"]) == (403, "Invalid Token")
        assert answer.json()["code"] == "Unauthorized"
    assert inner(await create(world, "collections", x_token="Bearer x")) == (401, "AuthenticationTokenInvalid")
