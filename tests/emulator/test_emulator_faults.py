"""Faults: every effect, and whom it strikes."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.emulator.world import World, claims, fixture, shape

RENEW = "/collections/v6.0/b2b/keys/renew"


@pytest.fixture(autouse=True)
async def no_faults_left(world: World) -> AsyncIterator[None]:
    yield
    await world.http.delete("/_emulator/faults")


async def fault(world: World, service: str = "collections", **wanted: object) -> str:
    return str((await world.control("faults", service=service, **wanted))["id"])


async def renewal(world: World) -> httpx.Response:
    return await world.renew(await world.key(), await world.token())


async def test_a_status_with_retry_after_in_the_services_shape(world: World) -> None:
    await fault(world, effect={"status": 429, "retryAfter": 37}, times=1)

    refused, accepted = await renewal(world), await renewal(world)

    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "37")
    assert refused.json() == fixture("error-429-rate-limited")
    assert refused.headers["MS-CorrelationId"]
    assert accepted.status_code == 200


async def test_retry_after_may_be_a_date(world: World) -> None:
    date = "Sat, 21 Nov 2026 14:00:00 GMT"
    await fault(world, effect={"status": 503, "retryAfter": date})

    assert (await renewal(world)).headers["Retry-After"] == date


@pytest.mark.parametrize(
    ("service", "path", "status", "example"),
    [
        ("purchase", "/purchase/v6.0/b2b/keys/renew", 500, "error-500-unknown-internal-failure"),
        ("collections", RENEW, 401, "error-401-authentication-token-invalid"),
        ("entra", "/any/oauth2/v2.0/token", 503, "entra-token-error-temporarily-unavailable"),
    ],
)
async def test_default_bodies_are_the_published_ones(
    world: World, service: str, path: str, status: int, example: str
) -> None:
    await fault(world, service, effect={"status": status})

    answer = await world.http.post(path)

    assert answer.status_code == status
    assert shape(answer.json()) == shape(fixture(example))


@pytest.mark.parametrize(
    ("service", "path"),
    [("vault", "/secrets?api-version=7.6"), ("issuers", "/players/keys"), ("msi", "/msi/token"), ("*", "/nowhere")],
)
async def test_every_service_can_fail(world: World, service: str, path: str) -> None:
    await fault(world, service, effect={"status": 503})

    assert (await world.http.get(path)).status_code == 503


async def test_a_body_may_be_anything(world: World) -> None:
    await fault(world, effect={"status": 200, "body": {"key": None}}, times=1)
    await fault(world, effect={"status": 502, "body": "<html>Bad Gateway</html>"})

    json, text = await world.http.post(RENEW), await world.http.post(RENEW)

    assert json.json() == {"key": None}
    assert (text.status_code, text.text) == (502, "<html>Bad Gateway</html>")


async def test_after_means_once_the_effect_took_place(world: World) -> None:
    admin = (await world.http.get("/_emulator/admin")).json()
    token = await world.token("https://vault.azure.net", client_id=admin["clientId"], secret=admin["clientSecret"])

    async def put(name: str) -> int:
        answer = await world.http.put(
            f"/secrets/{name}",
            params={"api-version": "7.6"},
            json={"value": "x"},
            headers={"Authorization": f"Bearer {token}"},
        )
        return answer.status_code

    async def get(name: str) -> int:
        headers = {"Authorization": f"Bearer {token}"}
        return (await world.http.get(f"/secrets/{name}", params={"api-version": "7.6"}, headers=headers)).status_code

    await fault(world, "vault", method="put", effect={"status": 500, "when": "before"}, times=1)
    await fault(world, "vault", method="put", effect={"status": 500, "when": "after"}, times=1)
    await fault(world, "vault", method="put", effect={"drop": "before"}, times=1)
    await fault(world, "vault", method="put", effect={"drop": "after"}, times=1)

    assert (await put("refused-before"), await get("refused-before")) == (500, 404)
    assert (await put("refused-after"), await get("refused-after")) == (500, 200)
    with pytest.raises(httpx.TransportError):
        await put("dropped-before")
    assert await get("dropped-before") == 404
    with pytest.raises(httpx.TransportError):
        await put("dropped-after")
    assert await get("dropped-after") == 200


async def test_latency_delays_and_blocks_nobody(world: World) -> None:
    key, ticket = await world.key(), await world.token()
    await fault(world, effect={"latencyMs": 300})
    started = time.perf_counter()

    async with asyncio.TaskGroup() as group:
        renewals = [group.create_task(world.renew(key, ticket)) for _ in range(10)]
        await world.http.get("/players/keys")
        assert time.perf_counter() - started < 0.25
    slow = [task.result() for task in renewals]

    assert [answer.status_code for answer in slow] == [200] * 10
    assert 0.3 <= time.perf_counter() - started < 1


async def test_latency_comes_before_another_faults_status(world: World) -> None:
    await fault(world, effect={"latencyMs": 60})
    await fault(world, effect={"latencyMs": 60, "status": 503})
    started = time.perf_counter()

    assert (await world.http.post(RENEW)).status_code == 503
    assert time.perf_counter() - started >= 0.12


async def test_times_and_after_count_matches(world: World) -> None:
    fault_id = await fault(world, path="/renew$", effect={"status": 503}, after=1, times=2)

    seen = [(await world.http.post(RENEW)).status_code for _ in range(4)]
    await world.http.post("/collections/v7.0/beneficiaries/me/keys")

    assert [status == 503 for status in seen] == [False, True, True, False]
    [shown] = (await world.http.get("/_emulator/faults")).json()["faults"]
    assert (shown["id"], shown["matched"], shown["applied"]) == (fault_id, 4, 2)


async def test_probability(world: World) -> None:
    await fault(world, effect={"status": 503}, probability=0)
    assert (await world.http.post(RENEW)).status_code != 503

    await fault(world, effect={"status": 503}, probability=0.5)
    seen = {(await world.http.post(RENEW)).status_code == 503 for _ in range(64)}
    assert seen == {True, False}


async def test_one_fault_can_be_lifted(world: World) -> None:
    first, second = await fault(world, effect={"status": 503}), await fault(world, effect={"status": 502})

    assert (await world.http.delete(f"/_emulator/faults/{first}")).status_code == 204
    assert (await world.http.delete(f"/_emulator/faults/{first}")).status_code == 404

    assert [each["id"] for each in (await world.http.get("/_emulator/faults")).json()["faults"]] == [second]
    assert (await world.http.post(RENEW)).status_code == 502


async def test_the_control_api_never_fails(world: World) -> None:
    await fault(world, "*", effect={"status": 503})

    assert (await world.http.get("/_emulator/health")).json() == {"status": "ok", "url": world.url}
    assert claims(await world.key())


@pytest.mark.parametrize(
    ("wanted", "named"),
    [
        ({"service": "store", "effect": {"status": 503}}, "$.service"),
        ({"service": "vault"}, "effect"),
        ({"service": "vault", "effect": {}}, "latencyMs"),
        ({"service": "vault", "effect": {"status": "503"}}, "$.effect.status"),
        ({"service": "vault", "effect": {"status": 503, "drop": "before"}}, "drop"),
        ({"service": "vault", "effect": {"retryAfter": 1}}, "retryAfter"),
        ({"service": "vault", "effect": {"status": 503}, "path": "("}, "path"),
        ({"service": "vault", "effect": {"status": 503}, "time": 1}, "time"),
        ({"service": "vault", "effect": {"status": 503}, "probability": 2}, "$.probability"),
    ],
)
async def test_bad_faults_are_named(world: World, wanted: dict[str, object], named: str) -> None:
    answer = await world.http.post("/_emulator/faults", json=wanted)

    assert answer.status_code == 400
    assert named in answer.json()["error"]
