"""Hosts are killed, servers go away and come back: callers are told, and nothing is lost."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from local import azurite
from local.control import Control
from local.stack import Servers
from tests.support.app import App, Storage, problem, started, unique
from tests.support.polling import eventually

LEASE = ("--queue-lease-seconds", "2")

PUBLISHER_ALONE = {"BUSINESS_TENANTS": "[]"}
"""One Entra app to be asked for, not one for each organisation."""


class Account:
    """An Azurite of our own, with a folder, so that it can be stopped and be the same again."""

    def __init__(self, stack: Servers) -> None:
        self._folder = stack.folder / "account"
        self._server: azurite.Azurite | None = None
        self.connection_string = ""

    async def start(self) -> None:
        ports = self._server.ports if self._server else azurite.ANY_PORTS
        log = self._folder.with_suffix(".log")
        self._server = await azurite.start(log=log, location=self._folder, ports=ports)
        self.connection_string = self._server.connection_string

    async def stop(self) -> None:
        assert self._server
        await self._server.terminate()

    @property
    def setting(self) -> dict[str, str]:
        return {"AzureWebJobsStorage": self.connection_string}

    @property
    def storage(self) -> Storage:
        return Storage(self.connection_string)


@pytest.fixture(scope="module")
async def account(stack: Servers) -> AsyncIterator[Account]:
    account = Account(stack)
    await account.start()
    yield account
    await account.stop()


def is_fresh(kept: dict[str, Any]) -> bool:
    return (datetime.now(UTC) - datetime.fromisoformat(kept["issuedOn"])).total_seconds() < 300


def outage(answer: httpx.Response, words: str) -> None:
    """A caller is told what is away and when to come again."""
    assert words in problem(answer, 503)["detail"]
    assert int(answer.headers["retry-after"]) >= 1


async def checks(app: App) -> dict[str, str]:
    """What readiness says of each dependency."""
    answer = await app.http.get("/health/ready", headers=await app.operator())
    content = answer.json()
    well = all(check["status"] == "ready" for check in content["checks"])
    assert answer.status_code == (200 if well else 503)
    assert content["status"] == ("ready" if well else "unavailable")
    assert well or int(answer.headers["retry-after"]) >= 1
    return {check["name"]: check["status"] for check in content["checks"]}


def unavailable(found: dict[str, str]) -> set[str]:
    return {name for name, status in found.items() if status == "unavailable"}


async def test_a_killed_host_loses_nothing_and_the_next_one_finishes(
    stack: Servers, account: Account, control: Control
) -> None:
    names = [unique() for _ in range(4)]
    async with started(stack, "killed", account.setting, options=LEASE) as first:
        for name in names:
            key = await control.store_id("collections", name, issuedDaysAgo=20)
            await first.keep(await first.player(name), "collections", key)
        await control.disturb("collections", {"latencyMs": 2000}, path="/keys/renew$")
        await first.run_timer()

        async def under_way() -> bool:
            return any(fault["applied"] for fault in await control.faults())

        await eventually(under_way)
        await first.server.kill()
    await control.calm()
    for name in names:
        assert len(await account.storage.rows_of(name)) == 2
    await account.storage.free_leases()

    async with started(stack, "next", account.setting, options=LEASE) as second:
        operator = await second.operator()
        assert [len(await second.kept(operator, name)) for name in names] == [1] * 4
        await second.run_timer()

        async def all_renewed() -> bool:
            return all([is_fresh((await second.kept(operator, name))["collections"]) for name in names])

        await eventually(all_renewed)
    for name in names:
        assert len(await account.storage.rows_of(name)) == 2
        assert await account.storage.events(name) == []


async def test_an_app_that_is_stopped_ends_its_work_and_another_start_knows_everything(
    stack: Servers, account: Account, control: Control
) -> None:
    name = unique()
    async with started(stack, "before", account.setting) as app:
        for kind in ("collections", "purchase"):
            await app.keep(await app.player(name), kind, await control.store_id(kind, name))
        kept = await app.kept(await app.player(name))
        await control.disturb("purchase", {"latencyMs": 1000})
        body = {"xToken": await control.x_token(name, "purchase")}
        making = asyncio.create_task(
            app.http.post("/users/me/store-ids/purchase/from-xtoken", headers=await app.player(), json=body)
        )
        await asyncio.sleep(0.3)
        assert await app.server.terminate() == 0
        assert (await making).status_code == 201

    async with started(stack, "after", account.setting) as app:
        assert await app.kept(await app.player(name)) == kept


async def test_storage_away_is_told_and_comes_back_by_itself(
    stack: Servers, account: Account, control: Control
) -> None:
    name = unique()
    async with started(stack, "stored", account.setting) as app:
        player = await app.player(name)
        await app.keep(player, "collections", await control.store_id("collections", name))
        key = await control.store_id("purchase", name)
        kept = await app.kept(player)

        await account.stop()
        outage(await app.http.get("/users/me/store-ids", headers=player), "storage-tables")
        outage(await app.put(player, "purchase", key), "storage-tables")
        outage(await app.http.delete("/users/me/store-ids/collections", headers=player), "storage-tables")
        assert unavailable(await checks(app)) == {"storage-blobs", "storage-queues", "storage-tables"}
        assert (await app.http.post("/tokens/collections", headers=player)).status_code == 200
        assert (await app.http.get("/health")).status_code == 200

        await account.start()
        assert await app.kept(player) == kept
        assert (await app.put(player, "purchase", key)).status_code == 201
        assert unavailable(await checks(app)) == set()


async def test_a_cold_app_starts_without_its_storage(stack: Servers, control: Control) -> None:
    nowhere = "http://127.0.0.1:9/a"
    setting = f"DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;QueueEndpoint={nowhere};"
    setting += f"TableEndpoint={nowhere};BlobEndpoint={nowhere};"
    async with started(stack, "storeless", {"AzureWebJobsStorage": setting}) as app:
        outage(await app.http.get("/users/me/store-ids", headers=await app.player()), "storage-tables")
        assert unavailable(await checks(app)) == {"storage-blobs", "storage-queues", "storage-tables"}


async def test_the_vault_away_is_told_and_comes_back_by_itself(
    stack: Servers, account: Account, control: Control
) -> None:
    async with started(stack, "vaultless", account.setting | PUBLISHER_ALONE) as app:
        name = unique()
        player, key = await app.player(name), await control.store_id("collections", name)
        await control.disturb("vault", {"drop": "before"})

        outage(await app.put(player, "collections", key), "key-vault")
        outage(await app.http.post("/tokens/collections", headers=player), "key-vault")
        assert await app.kept(player) == {}
        assert unavailable(await checks(app)) == {"entra", "key-vault"}

        await control.calm()
        assert (await app.put(player, "collections", key)).status_code == 201
        assert (await app.http.post("/tokens/collections", headers=player)).status_code == 200
        assert unavailable(await checks(app)) == set()

        await control.disturb("vault", {"status": 503})
        assert (await app.put(player, "collections", key)).status_code == 200
        assert unavailable(await checks(app)) == {"key-vault"}


async def test_entra_away_is_told_by_its_name_and_comes_back_by_itself(
    stack: Servers, account: Account, control: Control
) -> None:
    async with started(stack, "entraless", account.setting | PUBLISHER_ALONE) as app:
        name = unique()
        player = await app.player(name)
        await app.keep(player, "collections", await control.store_id("collections", name))
        await control.disturb("entra", {"drop": "before"})

        outage(await app.http.post("/tokens/collections", headers=player), "entra")
        assert unavailable(await checks(app)) == {"entra"}

        await control.calm()
        assert (await app.http.post("/tokens/collections", headers=player)).status_code == 200
        assert unavailable(await checks(app)) == set()

        await control.disturb("entra", {"drop": "before"})
        assert (await app.http.post("/tokens/collections", headers=player)).status_code == 200


@pytest.mark.parametrize("service", ["entra", "vault"])
async def test_a_caller_does_not_wait_as_long_as_a_service_wants_to_be_left_alone(
    stack: Servers, account: Account, control: Control, service: str
) -> None:
    """They are told how long, instead: by then their own connection would be gone."""
    async with started(stack, f"impatient-{service}", account.setting, options=("--grace-seconds", "1")) as app:
        name = unique()
        player = await app.player(name)
        await app.keep(player, "collections", await control.store_id("collections", name))
        await control.disturb(service, {"status": 429, "retryAfter": 30})

        answer = await app.http.post("/tokens/collections", headers=player, timeout=10)

        problem(answer, 503)
        assert int(answer.headers["retry-after"]) == 30
        await control.calm()


async def test_an_issuer_that_was_never_reached_is_an_outage(
    stack: Servers, account: Account, control: Control
) -> None:
    await control.disturb("issuers", {"drop": "before"})
    async with started(stack, "issuerless-cold", account.setting) as app:
        outage(await app.http.get("/users/me/store-ids", headers=await app.player()), "/players")


async def test_a_store_away_is_named_by_readiness(stack: Servers, account: Account) -> None:
    away = account.setting | {"STORE_PURCHASE_URL": "https://localhost:9/purchase"}
    async with started(stack, "half-a-store", away) as app:
        assert unavailable(await checks(app)) == {"store-purchase"}
