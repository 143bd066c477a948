"""Fulfilment as the app does it: over HTTP, by message, killed in the middle of a consume."""

import asyncio
import base64
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
from azure.data.tables.aio import TableServiceClient

from local.control import Control
from local.stack import Servers
from shared.fulfillment.request import tracking_id_at_store
from tests.support.app import App, Headers, Storage, problem, started, unique
from tests.support.polling import eventually

JOBS = "fulfillment-jobs"
CONSUME = r"/collections/consume$"
COINS, CHEST = "9NAPPCOINS01", "9NAPPCHEST01"


@pytest.fixture(autouse=True)
async def products(control: Control) -> None:
    """What is sold here."""
    await control.store.product(COINS, "Consumable")
    await control.store.product(CHEST, "UnmanagedConsumable")


async def buyer(app: App, coins: int = 10) -> tuple[str, Headers]:
    """A player with a key, who has bought coins."""
    name = unique()
    headers = await app.player(name)
    await app.keep(headers, "collections", await app.control.store_id("collections", name))
    await app.control.store.buy(name, COINS, coins)
    return name, headers


def coins(quantity: int = 3, **more: object) -> dict[str, Any]:
    return {"productId": COINS, "quantity": quantity, "consumableType": "Consumable", **more}


async def ask(app: App, headers: Headers, body: dict[str, Any], user: str = "me") -> httpx.Response:
    return await app.http.post(f"/users/{user}/fulfillments", headers=headers, json=body)


async def granted(app: App, headers: Headers, tracking_id: str, seconds: float = 15.0) -> dict[str, Any]:
    """A fulfilment, once it is granted."""

    async def state() -> dict[str, Any] | None:
        answer = await app.http.get(f"/users/me/fulfillments/{tracking_id}", headers=headers)
        found: dict[str, Any] = answer.json()
        return found if answer.status_code == 200 and found["status"] == "granted" else None

    return await eventually(state, seconds)


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


async def balances(app: App, headers: Headers) -> dict[str, int]:
    answer = await app.http.get("/users/me/balances", headers=headers)
    assert answer.status_code == 200, answer.text
    return {each["productId"]: each["quantity"] for each in answer.json()["balances"]}


async def test_a_player_has_a_purchase_fulfilled(app: App, storage: Storage) -> None:
    name, headers = await buyer(app)
    tracking_id = str(uuid4())

    answer = await ask(app, headers, coins(trackingId=tracking_id))

    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/api/users/me/fulfillments/{tracking_id}"
    assert answer.json()["trackingId"] == tracking_id
    found = await granted(app, headers, tracking_id.upper())
    assert (found["quantity"], found["newQuantity"], found["productId"]) == (3, 7, COINS)
    assert found["grantedOn"].endswith("Z")
    assert await balances(app, headers) == {COINS: 3}
    (event,) = await eventually(lambda: storage.events(name))
    assert event["data"]["trackingId"] == tracking_id

    again = await ask(app, headers, coins(trackingId=tracking_id))
    assert (again.status_code, again.json()["status"]) == (202, "granted")
    problem(await ask(app, headers, coins(4, trackingId=tracking_id)), 409, "/quantity")
    assert await balances(app, headers) == {COINS: 3}


async def test_an_operator_acts_for_a_player(app: App) -> None:
    name, headers = await buyer(app)

    answer = await ask(app, await app.operator(), coins(), name)

    assert answer.headers["location"] == f"/api/users/{name}/fulfillments/{answer.json()['trackingId']}"
    await granted(app, headers, answer.json()["trackingId"])


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"quantity": 0}, "/quantity"),
        ({"quantity": -3}, "/quantity"),
        ({"quantity": 2**31}, "/quantity"),
        ({"quantity": 1.5}, "/quantity"),
        ({"consumableType": "Durable"}, "/consumableType"),
        ({"trackingId": "17"}, "/trackingId"),
        ({"productId": ""}, "/productId"),
        ({"userId": "somebody"}, ""),
    ],
    ids=str,
)
async def test_bad_input_is_refused_with_its_place(app: App, change: dict[str, Any], pointer: str) -> None:
    _, headers = await buyer(app)

    problem(await ask(app, headers, coins() | change), 400, pointer)

    assert await balances(app, headers) == {}


@pytest.mark.parametrize("sandbox", ["é" * 2000, "two words"], ids=["long", "spaced"])
async def test_balances_of_what_is_no_sandbox_are_refused(app: App, sandbox: str) -> None:
    _, headers = await buyer(app)

    answer = await app.http.get("/users/me/balances", headers=headers, params={"sandbox": sandbox})

    problem(answer, 400, "?sandbox")


async def test_what_the_store_cannot_do_is_refused_with_its_place(app: App) -> None:
    _, headers = await buyer(app)
    chest = {"productId": CHEST, "quantity": 1, "consumableType": "UnmanagedConsumable"}

    problem(await ask(app, headers, chest | {"quantity": 2}), 422, "/quantity")
    problem(await ask(app, headers, chest | {"sandbox": "XDKS.1"}), 422, "/sandbox")


async def test_a_player_without_a_key_is_told_what_to_do(app: App) -> None:
    told = problem(await ask(app, await app.player(), coins()), 409)

    assert "have the game make one and PUT it" in told["detail"]


async def test_what_does_not_exist_is_not_found(app: App) -> None:
    headers = await app.player()

    for tracking_id in (uuid4(), "no-guid", "%23%3F", "a%2Fb"):
        problem(await app.http.get(f"/users/me/fulfillments/{tracking_id}", headers=headers), 404)
    assert await balances(app, headers) == {}


async def test_gap_21_a_player_acts_on_nobody_else_whatever_a_body_says(app: App) -> None:
    name, headers = await buyer(app)
    stranger = await app.player()
    tracking_id = str(uuid4())
    await ask(app, headers, coins(trackingId=tracking_id))
    await granted(app, headers, tracking_id)

    problem(await ask(app, stranger, coins(), name), 404)
    problem(await ask(app, headers, coins(userId="somebody")), 400, "")
    problem(await app.http.get(f"/users/{name}/balances", headers=stranger), 404)
    problem(await app.http.get(f"/users/{name}/fulfillments/{tracking_id}", headers=stranger), 404)
    problem(await app.http.get(f"/users/me/fulfillments/{tracking_id}", headers=stranger), 404)
    problem(await ask(app, {}, coins(), name), 401)


@pytest.mark.parametrize(
    "encode", [str, lambda text: base64.b64encode(text.encode()).decode()], ids=["plain", "base64"]
)
async def test_another_back_end_has_a_purchase_fulfilled_by_a_message(app: App, storage: Storage, encode: Any) -> None:
    name, headers = await buyer(app)
    tracking_id = str(uuid4())
    message = json.dumps(coins(version=1, userId=name, trackingId=tracking_id))

    await storage.send(JOBS, encode(message))

    await granted(app, headers, tracking_id)
    assert await balances(app, headers) == {COINS: 3}


async def test_a_message_a_hundred_times_is_one_fulfilment(app: App, storage: Storage, control: Control) -> None:
    name, headers = await buyer(app)
    tracking_id = str(uuid4())
    message = json.dumps(coins(version=1, userId=name, trackingId=tracking_id))

    await asyncio.gather(*(storage.send(JOBS, message) for _ in range(100)))
    await granted(app, headers, tracking_id)
    await storage.drained(JOBS)

    assert await balances(app, headers) == {COINS: 3}
    books = (await control.store.books(name))[name]
    assert books["carriedOut"] == {tracking_id_at_store(name, tracking_id): 1}
    assert [event["type"] for event in await storage.events(name)] == ["storekeeper.consumable.granted"]


async def test_what_waits_for_a_key_is_fulfilled_as_soon_as_the_game_has_handed_one_in(
    app: App, storage: Storage
) -> None:
    name, tracking_id = unique(), str(uuid4())
    headers = await app.player(name)
    await app.control.store.buy(name, COINS, 10)
    await storage.send(JOBS, json.dumps(coins(version=1, userId=name, trackingId=tracking_id)))

    async def waits() -> bool:
        answer = await app.http.get(f"/users/me/fulfillments/{tracking_id}", headers=headers)
        return answer.status_code == 200 and answer.json()["status"] == "stuck"

    await eventually(waits)
    await app.keep(headers, "collections", await app.control.store_id("collections", name))

    await granted(app, headers, tracking_id)
    assert await balances(app, headers) == {COINS: 3}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"version": 2}, "version 2 is not known"),
        ({"quantity": 0}, "quantity"),
        ({"consumableType": "UnmanagedConsumable", "quantity": 2}, "quantity is exactly 1"),
        ({"sandbox": "XDKS.1", "consumableType": "UnmanagedConsumable", "quantity": 1}, "outside RETAIL"),
    ],
    ids=str,
)
async def test_a_broken_message_ends_in_poison_with_its_reason_and_changes_nothing(
    app: App, storage: Storage, change: dict[str, Any], reason: str
) -> None:
    name, headers = await buyer(app)
    message = json.dumps(coins(version=1, userId=name, trackingId=str(uuid4())) | change)
    await storage.send(JOBS, message)

    found = await eventually(lambda: poisoned(app, message))

    assert reason in found["reason"]
    assert await balances(app, headers) == {}


async def test_a_message_with_a_known_id_and_other_content_ends_in_poison(app: App, storage: Storage) -> None:
    name, headers = await buyer(app)
    tracking_id = str(uuid4())
    await ask(app, headers, coins(trackingId=tracking_id))
    await granted(app, headers, tracking_id)
    message = json.dumps(coins(5, version=1, userId=name, trackingId=tracking_id))
    await storage.send(JOBS, message)

    found = await eventually(lambda: poisoned(app, message))

    assert "stands for another request: quantity" in found["reason"]
    assert await balances(app, headers) == {COINS: 3}


async def poisoned(app: App, content: str) -> dict[str, Any] | None:
    answer = await app.http.get("/poison", headers=await app.operator())
    return next((each for each in answer.json()["messages"] if each["content"] == content), None)


async def test_a_worker_that_is_killed_in_the_middle_of_a_consume_is_replaced(
    stack: Servers, storage: Storage, control: Control
) -> None:
    """The Store's answer finds nobody. Another process finds the fulfilment, and grants it."""
    tracking_id = str(uuid4())
    async with started(stack, "killed") as first:
        name, headers = await buyer(first)
        await control.disturb("collections", {"latencyMs": 3_000}, path=CONSUME)
        await ask(first, headers, coins(trackingId=tracking_id))

        async def consuming() -> bool:
            return any(fault["applied"] for fault in await control.faults())

        await eventually(consuming)
        await first.server.kill()
    await control.calm()
    await let_time_pass(storage, name)

    async with started(stack, "replacement") as second:
        answer = await second.http.post(f"{second.server.url}/admin/functions/sweep?wait=true", json={})
        assert answer.status_code == 200, answer.text
        await granted(second, headers, tracking_id)
        assert await balances(second, headers) == {COINS: 3}
    books = (await control.store.books(name))[name]
    assert books["carriedOut"] == {tracking_id_at_store(name, tracking_id): 1}
    assert books["products"]["RETAIL"][COINS]["held"] == 3


async def let_time_pass(storage: Storage, user: str) -> None:
    """Have a player's fulfilments look as if they had been left long ago."""
    async with TableServiceClient.from_connection_string(storage.connection_string) as service:
        table = service.get_table_client("ledger")
        rows = [row async for row in table.query_entities(f"userId eq '{user}'")]
        (job,) = [row for row in rows if row["RowKey"].startswith("job|")]
        (due,) = [row for row in rows if row["RowKey"].startswith("open|")]
        long_ago = "open|2020-01-01T00:00:00Z|" + due["RowKey"].split("|", 2)[2]
        await table.create_entity(dict(due) | {"RowKey": long_ago})
        await table.delete_entity(due["PartitionKey"], due["RowKey"])
        await table.update_entity(dict(job) | {"filedUnder": long_ago, "claimedUntil": "2020-01-01T00:00:00Z"})
