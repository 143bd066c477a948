"""The three ways to prove who we are to Entra, and what happens when one no longer holds."""

import os

from local.control import Control
from local.stack import Servers
from tests.support.app import App, problem, started, unique
from tests.support.polling import eventually

SECRET = "publisher-client-secret"


async def works(app: App) -> bool:
    """Whether the app gets a token of the Store, and makes a key with it."""
    name = unique()
    player = await app.player(name)
    token = await app.http.post("/tokens/purchase", headers=player)
    body = {"xToken": await app.control.x_token(name, "purchase"), "publisherUserId": name}
    made = await app.http.post("/users/me/store-ids/purchase/from-xtoken", headers=player, json=body)
    return (token.status_code, made.status_code) == (200, 201)


async def test_a_certificate_of_the_vault(stack: Servers, control: Control) -> None:
    client_id = (await control.settings())["PUBLISHER_CLIENT_ID"]
    await control.add_certificate(client_id, "publisher-certificate")

    async with started(stack, "certified", {"PUBLISHER_CREDENTIAL": "certificate:publisher-certificate"}) as app:
        assert await works(app)


async def test_a_managed_identity_needs_no_secret_at_all(stack: Servers, control: Control) -> None:
    settings = await control.settings()
    identity = await control.trust_managed_identity(settings["PUBLISHER_CLIENT_ID"])
    trust = {name: settings[name] for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")}
    changes = {
        "PUBLISHER_CREDENTIAL": f"managed-identity:{identity['clientId']}",
        "AZURE_CLIENT_ID": identity["clientId"],
        "AZURE_CLIENT_SECRET": "",
        "AZURE_TENANT_ID": "",
    }
    since = await control.last_seen()

    async with started(stack, "managed", changes, env={**os.environ, **trust, **identity["environment"]}) as app:
        assert await works(app)

    assert await control.count(service="vault", path=SECRET, since=since) == 0
    assert await control.count(service="msi", since=since) > 0


async def test_a_rotated_secret_is_picked_up_without_a_restart(stack: Servers, control: Control) -> None:
    client_id = (await control.settings())["PUBLISHER_CLIENT_ID"]
    async with started(stack, "rotated") as app:
        player = await app.player()
        assert (await app.http.post("/tokens/collections", headers=player)).status_code == 200
        since = await control.last_seen()

        await control.rotate_client_secret(client_id, revokeOthers=True, storeInVault=SECRET)
        answer = await app.http.post("/tokens/purchase", headers=player)

        assert answer.status_code == 200, answer.text
        assert await control.count(service="vault", path=SECRET, since=since) == 1
        assert await control.count(service="entra", path="/token$", since=since) == 2


async def test_a_wrong_secret_in_the_vault_is_told_with_entras_code(stack: Servers, control: Control) -> None:
    client_id = (await control.settings())["PUBLISHER_CLIENT_ID"]
    await control.rotate_client_secret(client_id, revokeOthers=True)
    try:
        async with started(stack, "wrong") as app:
            player = await app.player()
            answer = await app.http.post("/tokens/purchase", headers=player)

            assert "AADSTS7000215" in problem(answer, 502)["detail"]
            ready = await app.http.get("/health/ready", headers=await app.operator())
            told = {check["name"]: check.get("detail", "") for check in ready.json()["checks"]}
            assert ready.status_code == 503
            assert "AADSTS7000215" in told["entra"]

            await control.rotate_client_secret(client_id, storeInVault=SECRET)

            async def is_answered() -> bool:
                return (await app.http.post("/tokens/purchase", headers=player)).status_code == 200

            assert await eventually(is_answered), "the refusal is remembered for a moment, no longer"
    finally:
        await control.rotate_client_secret(client_id, storeInVault=SECRET)


async def test_a_secret_that_the_vault_does_not_have_is_told_by_name(stack: Servers, control: Control) -> None:
    async with started(stack, "absent", {"PUBLISHER_CREDENTIAL": "secret:no-such-secret"}) as app:
        answer = await app.http.post("/tokens/purchase", headers=await app.player())

        assert "no-such-secret" in problem(answer, 502)["detail"]


async def test_a_certificate_that_is_none_is_told(stack: Servers, control: Control) -> None:
    async with started(stack, "uncertified", {"PUBLISHER_CREDENTIAL": f"certificate:{SECRET}"}) as app:
        answer = await app.http.post("/tokens/purchase", headers=await app.player())

        assert "certificate" in problem(answer, 502)["detail"]


async def test_a_data_key_that_the_vault_does_not_have_keeps_nothing(stack: Servers, control: Control) -> None:
    async with started(stack, "keyless", {"STORE_ID_DATA_KEY": "no-such-key"}) as app:
        name = unique()
        player = await app.player(name)
        answer = await app.put(player, "collections", await control.store_id("collections", name))

        assert "no-such-key" in problem(answer, 503)["detail"]
        assert await app.kept(player) == {}


async def test_a_switched_off_half_is_not_there(stack: Servers) -> None:
    async with started(stack, "half", {"PUBLISHER_TENANT_ID": "", "PUBLISHER_CLIENT_ID": ""}) as app:
        player = await app.player()
        problem(await app.http.post("/tokens/purchase", headers=player), 404)
        problem(await app.http.get("/users/me/store-ids", headers=player), 404)
        await app.run_timer()
        ready = await app.http.get("/health/ready", headers=await app.operator())
        assert ready.status_code == 200
        assert "entra" not in [check["name"] for check in ready.json()["checks"]]


async def test_keys_may_be_bound_to_the_player(stack: Servers, control: Control) -> None:
    async with started(stack, "matched", {"STORE_ID_MATCH_USER": "true"}) as app:
        name = unique()
        player = await app.player(name)
        of_another = await control.store_id("collections", unique())
        of_nobody = await control.store_id("collections", "NoUserIdProvided")

        for key in (of_another, of_nobody):
            assert "publisherUserId" in problem(await app.put(player, "collections", key), 422, "/key")["detail"]
        assert (await app.put(player, "collections", await control.store_id("collections", name))).status_code == 201
        body = {"xToken": await control.x_token(name, "purchase")}
        made = await app.http.post("/users/me/store-ids/purchase/from-xtoken", headers=player, json=body)
        assert made.status_code == 201
