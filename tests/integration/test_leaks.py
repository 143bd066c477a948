"""No secret is seen anywhere: a whole story is played, with everything logged that can be, and then searched."""

import json
from pathlib import Path

import pytest

from local.control import Kind
from local.stack import servers
from tests.support.app import App, Headers, Storage, started, unique
from tests.support.finder import leaks
from tests.support.polling import eventually

KINDS: list[Kind] = ["collections", "purchase"]


@pytest.mark.timeout(90)
async def test_no_secret_is_found_in_logs_tables_queues_or_blobs(tmp_path: Path) -> None:
    async with servers(tmp_path, keep=True) as stack:
        async with started(stack, "talkative", options=("--log-level", "Debug")) as app:
            storage = Storage(stack.azurite.connection_string)
            await play(app, storage)
            bearer = await app.player("last")
            assert (await app.http.get("/users/me/store-ids", headers=bearer)).status_code == 200
        control = stack.control
        secrets = [(each["kind"], each["value"]) for each in await control.secrets_in_use()]
        secrets.append(("bearer", bearer["Authorization"].removeprefix("Bearer ")))
        places = await storage.everything()
        assert any(place.startswith("table storeids user|") for place in places)
        assert any(place.startswith("queue store-events") for place in places)

    places |= {str(file.relative_to(tmp_path)): file.read_bytes() for file in files(tmp_path)}

    kinds = {kind for kind, _ in secrets}
    assert {"clientSecret", "vaultSecret", "serviceToken", "xToken", "storeIdKey", "withdrawnSecret"} <= kinds
    assert len(places["talkative.log"]) > 10_000
    assert any("azurite" in place and content for place, content in places.items())
    assert leaks(secrets, places) == []


def files(folder: Path) -> list[Path]:
    """All that was written, but for what is meant to hold secrets: settings, and the emulated world's own state."""
    found = [file for file in folder.rglob("*") if file.is_file()]
    return [file for file in found if file.parent.name != "emulator" and not file.name.endswith(".settings.json")]


async def play(app: App, storage: Storage) -> None:
    """Keys of both kinds come in every way, are renewed, die and are refused; secrets and certificates rotate."""
    control, name, dead = app.control, unique(), unique()
    player, operator = await app.player(name), await app.operator()
    for kind in KINDS:
        assert (await app.http.post(f"/tokens/{kind}", headers=player)).status_code == 200
        await app.keep(player, kind, await control.store_id(kind, name, issuedDaysAgo=20))
        body = {"xToken": await control.x_token(name, kind)}
        await app.http.post(f"/users/me/store-ids/{kind}/from-xtoken", headers=await app.player(), json=body)
    await refusals(app, player, name)
    await entitlements(app, player, operator, name)
    revoked = await control.store_id("purchase", dead, issuedDaysAgo=20)
    await app.keep(await app.player(dead), "purchase", revoked)
    await control.revoke(revoked)
    await control.disturb("collections", {"status": 500, "when": "after"}, times=1)
    await app.run_timer()

    async def told() -> bool:
        return bool(await storage.events(dead))

    await eventually(told)
    await storage.drained()
    await control.rotate_signing_certificate(retire_old=True)
    client_id = (await control.settings())["PUBLISHER_CLIENT_ID"]
    await control.rotate_client_secret(client_id, revokeOthers=True, storeInVault="publisher-client-secret")
    assert (await app.http.get("/health/ready", headers=operator)).status_code == 200
    await storage.send("store-id-renewals", json.dumps({"version": 9}))

    async def poisoned() -> bool:
        return bool(await storage.messages("store-id-renewals-poison"))

    await eventually(poisoned)
    assert (await app.http.delete("/users/me/store-ids/purchase", headers=player)).status_code == 204


async def entitlements(app: App, player: Headers, operator: Headers, name: str) -> None:
    """Keys and service tokens go to the Store with every call, and errors come back."""
    control = app.control
    await control.store.product("9NLEAKSPASS0", "Pass")
    subscription = await control.store.subscribe(name, "9NLEAKSPASS0")
    changes = f"/users/{name}/subscriptions/{subscription['id']}/changes"
    for status, body in ((401, {}), (400, {}), (500, {"innererror": {"code": "x"}})):
        for service, path in (("collections", "/publisherQuery$"), ("purchase", "/recurrences/query$")):
            await control.disturb(service, {"status": status, "body": body}, path=path, times=1)
    for _ in range(4):
        await app.http.get("/users/me/products", params={"productId": "9NLEAKSPASS0"}, headers=player)
        await app.http.get("/users/me/subscriptions", headers=player)
    await control.disturb("purchase", {"drop": "after"}, path="/change$", times=1)
    change = {"changeId": "once", "changeType": "Extend", "extensionTimeInDays": 5}
    answer = await app.http.post(changes, headers=operator, json=change)
    assert (answer.status_code, answer.json()["status"]) == (200, "done")


async def refusals(app: App, player: Headers, name: str) -> None:
    """Everything that is refused, with what was wrong in the log."""
    control = app.control
    wrong = [
        await control.store_id("purchase", name),
        await control.store_id("collections", name, issuedDaysAgo=40),
        await control.store_id("collections", name, clientId="99999999-9999-4999-8999-999999999999"),
        await control.store_id("collections", name, refreshUri="https://evil.example/"),
        (await control.store_id("collections", name)) + "é",
    ]
    for key in wrong:
        assert (await app.put(player, "collections", key)).status_code == 422
        body = json.dumps({"key": [key]}).encode() + b"}"
        headers = player | {"content-type": "application/json"}
        assert (await app.http.put("/users/me/store-ids/purchase", headers=headers, content=body)).status_code == 400
    expired = {"xToken": await control.x_token(name, "purchase", expiresInSeconds=-5)}
    answer = await app.http.post("/users/me/store-ids/purchase/from-xtoken", headers=player, json=expired)
    assert answer.status_code == 422
    bad = await app.player(name, signedBy="unknown")
    assert (await app.http.get("/users/me/store-ids", headers=bad)).status_code == 401
