"""The request log, the list of secrets, and what the control API refuses."""

from typing import Any

import httpx
import pytest

from tests.emulator.world import World


async def requests(world: World, **query: Any) -> dict[str, Any]:
    answer: dict[str, Any] = (await world.http.get("/_emulator/requests", params=query)).json()
    return answer


async def test_what_a_renewal_leaves_in_the_log(world: World) -> None:
    key, ticket = await world.key(), await world.token()
    await world.http.delete("/_emulator/requests")
    headers = {"MS-CorrelationId": "correlation-1", "User-Agent": "Storekeeper/1"}
    body = {"serviceTicket": ticket, "key": key}
    await world.http.post("/collections/v6.0/b2b/keys/renew", json=body, headers=headers)

    logged = await requests(world)

    assert logged["count"] == 1
    [entry] = logged["requests"]
    assert entry.pop("seq") == logged["lastSeq"]
    assert entry.pop("time").endswith("+00:00")
    assert 0 < entry.pop("durationMs") < 1000
    assert entry == {
        "service": "collections",
        "method": "POST",
        "path": "/collections/v6.0/b2b/keys/renew",
        "status": 200,
        "clientId": world.client_id,
        "userAgent": "Storekeeper/1",
        "correlationId": "correlation-1",
    }


async def test_filters_and_pages(world: World) -> None:
    await world.http.delete("/_emulator/requests")
    for path in ("/players/keys", "/operators/keys", "/nowhere", "/secrets?api-version=7.6"):
        await world.http.get(path)
    await world.http.post("/purchase/v6.0/b2b/keys/renew", json={})

    assert (await requests(world, service="issuers"))["count"] == 2
    assert (await requests(world, path="^/(players|secrets)"))["count"] == 2
    assert (await requests(world, method="post"))["count"] == 1
    everything = await requests(world)
    assert [entry["status"] for entry in everything["requests"]] == [200, 200, 404, 401, 401]
    assert everything["requests"][2]["service"] == "unknown"
    first = await requests(world, limit=2)
    assert (first["count"], len(first["requests"])) == (5, 2)
    rest = await requests(world, since=first["requests"][-1]["seq"])
    assert rest["requests"] == everything["requests"][2:]


async def test_the_summary_counts_by_route(world: World) -> None:
    await world.http.delete("/_emulator/requests")
    for _ in range(3):
        await world.http.get(f"/{world.tenant_id}/discovery/v2.0/keys")

    summary = (await world.http.get("/_emulator/requests/summary")).json()["summary"]

    path = "/{tenant}/discovery/v2.0/keys"
    assert summary == [{"service": "entra", "method": "GET", "path": path, "status": 200, "count": 3}]


async def test_a_dropped_connection_is_logged_with_status_0(world: World) -> None:
    await world.http.delete("/_emulator/requests")
    await world.control("faults", service="issuers", effect={"drop": "before"}, times=1)

    with pytest.raises(httpx.TransportError):
        await world.http.get("/players/keys")

    assert [entry["status"] for entry in (await requests(world))["requests"]] == [0]


async def test_the_log_holds_no_secret(world: World) -> None:
    ticket = await world.token()
    key = (await world.renew(await world.key(), ticket)).json()["key"]
    x_token = (await world.control("x-tokens", player="Ann", kind="collections"))["xToken"]
    body, headers = {"serviceTicket": ticket}, {"Authorization": x_token}
    await world.http.post("/collections/v7.0/beneficiaries/me/keys", json=body, headers=headers)

    text = (await world.http.get("/_emulator/requests")).text
    known = (await world.http.get("/_emulator/secrets-in-use")).json()["secrets"]

    values = {secret["value"] for secret in known}
    assert {ticket, key, x_token.split(";")[1], world.settings["AZURE_CLIENT_SECRET"]} <= values
    assert not [value for value in values if value in text]


async def test_secrets_in_use_remembers_what_was_withdrawn(world: World) -> None:
    old = await world.secret()
    await world.control(f"apps/{world.client_id}/secrets", revokeOthers=True)

    answer = (await world.http.get("/_emulator/secrets-in-use")).json()["secrets"]

    assert {"kind": "withdrawnSecret", "value": old} in answer
    assert "vaultSecret" in {secret["kind"] for secret in answer}


async def test_the_control_api_returns_no_private_key(world: World) -> None:
    paths = (
        "settings",
        "admin",
        "apps",
        "managed-identity",
        "faults",
        "requests",
        "requests/summary",
        "secrets-in-use",
    )
    for path in (*paths, "ca.pem", "health"):
        answer = await world.http.get(f"/_emulator/{path}")
        assert answer.status_code == 200
        assert "PRIVATE KEY" not in answer.text


async def test_apps_are_listed_without_secrets(world: World) -> None:
    answer = await world.http.get("/_emulator/apps")

    apps = {app["clientId"]: app for app in answer.json()["apps"]}
    assert apps[world.settings["AZURE_CLIENT_ID"]]["vaultPermissions"] == ["get"]
    assert world.settings["AZURE_CLIENT_SECRET"] not in answer.text


async def test_unknown_routes_name_the_path(world: World) -> None:
    missing = await world.http.get("/collections/v9.0/nothing")
    wrong_method = await world.http.get("/collections/v6.0/b2b/keys/renew")

    assert missing.status_code == 404
    assert "/collections/v9.0/nothing" in missing.json()["error"]
    assert (wrong_method.status_code, wrong_method.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("store-ids", {"kind": "games"}, "$.kind"),
        ("store-ids", {"kind": "purchase", "count": 0}, "$.count"),
        ("store-ids", {"kind": "purchase", "count": 2, "publisherUserId": "x"}, "publisherUserId"),
        ("store-ids", {"kind": "purchase", "publisherUserIdFormat": "x"}, "publisherUserIdFormat"),
        ("store-ids", {"kind": "purchase", "days": 2}, "days"),
        ("store-ids/revocations", {}, "publisherUserId"),
        ("store-ids/revocations", {"key": "garbage"}, "key"),
        ("x-tokens", {"kind": "purchase"}, "player"),
        ("bearer-tokens", {"kind": "admin"}, "$.kind"),
        ("signing-certificates/rotations", {"retireOld": "yes"}, "$.retireOld"),
    ],
)
async def test_bad_control_input_is_named(world: World, path: str, body: dict[str, object], named: str) -> None:
    answer = await world.http.post(f"/_emulator/{path}", json=body)

    assert answer.status_code == 400
    assert named in answer.json()["error"]


async def test_control_of_what_does_not_exist(world: World) -> None:
    assert (await world.http.post("/_emulator/apps/none/secrets", json={})).status_code == 404
    assert (await world.http.post("/_emulator/issuers/none/rotations", json={})).status_code == 404
    assert (await world.http.patch("/_emulator/tenants/none", json={})).status_code == 404
    assert (await world.http.get("/_emulator/requests?since=x")).status_code == 400
    assert (await world.http.get("/_emulator/requests?path=(")).status_code == 400
