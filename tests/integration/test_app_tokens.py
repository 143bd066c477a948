"""Access tokens for the game."""

import asyncio
from datetime import UTC, datetime

import jwt
import pytest

from local.control import Control, Kind
from local.stack import Servers
from tests.support.app import App, problem, started

AUDIENCE = "https://onestore.microsoft.com/b2b/keys/create/"
KINDS: list[Kind] = ["collections", "purchase"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_player_gets_the_token_of_the_kind_they_ask_for(app: App, kind: Kind) -> None:
    answer = await app.http.post(f"/tokens/{kind}", headers=await app.player())

    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    token = answer.json()
    assert token.keys() == {"kind", "audience", "accessToken", "expiresOn"}
    assert (token["kind"], token["audience"]) == (kind, AUDIENCE + kind)
    claims = jwt.decode(token["accessToken"], options={"verify_signature": False})
    assert claims["aud"] == AUDIENCE + kind
    rest = datetime.fromisoformat(token["expiresOn"]) - datetime.now(UTC)
    assert 3000 < rest.total_seconds() <= 3600


async def test_an_operator_gets_one_too(app: App) -> None:
    assert (await app.http.post("/tokens/purchase", headers=await app.operator())).status_code == 200


@pytest.mark.parametrize("kind", ["service", "SERVICE", "Collections", "collections%20", "onestore", "..%2Fpurchase"])
async def test_no_other_token_is_given_away_least_of_all_the_service_token(app: App, kind: str) -> None:
    problem(await app.http.post(f"/tokens/{kind}", headers=await app.operator()), 404)


async def test_what_a_player_gets_makes_a_key_at_the_store(app: App, control: Control) -> None:
    """The token is good for its purpose: the emulated Store takes it as a service ticket."""
    x_token = await control.x_token("player-x", "collections")
    token = (await app.http.post("/tokens/collections", headers=await app.player())).json()["accessToken"]
    store = (await control.settings())["STORE_COLLECTIONS_URL"]

    answer = await control._client.post(
        f"{store}/v7.0/beneficiaries/me/keys", headers={"Authorization": x_token}, json={"serviceTicket": token}
    )

    assert answer.status_code == 200, answer.text


async def test_a_thousand_players_of_a_cold_app_cost_one_token_an_audience(stack: Servers, control: Control) -> None:
    async with started(stack, "cold") as cold:
        player = await cold.player()
        since = await control.last_seen()

        answers = await asyncio.gather(
            *(cold.http.post(f"/tokens/{kind}", headers=player) for kind in KINDS for _ in range(500))
        )

        assert {answer.status_code for answer in answers} == {200}
        assert len({answer.json()["accessToken"] for answer in answers}) == 2
        publisher = (await control.settings())["PUBLISHER_CLIENT_ID"]
        asked = [each["clientId"] for each in await control.requests(service="entra", path="/token$", since=since)]
        secrets = await control.count(service="vault", path="publisher-client-secret", since=since)
        assert asked.count(publisher) == 2
        assert len(asked) == 3  # the third is the app's own, for the vault
        assert secrets == 2  # the challenge and the answer
