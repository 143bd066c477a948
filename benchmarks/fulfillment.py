"""Fulfilment: jobs through one host beside a bare loop of consumes, what they cost the storage, and how long they take.

The bare loop consumes as a game's back end without any guarantee would: one call, then the next. Storage transactions
are counted in Azurite's access log, those of this process apart: what is left is the app's, its host's polls included.
"""

import asyncio
import json
import statistics
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from benchmarks.bare_loop import BareLoop, Request
from benchmarks.entra import access_token
from benchmarks.observing import processor_time, transactions
from benchmarks.report import Finding
from benchmarks.tenants import NEVER
from local import processes
from local.stack import Servers, servers

JOBS = 600
HTTP_JOBS = 200
WARM_UP = 40
CALM = 60
CALM_PAUSE = 0.25
"""Seconds between two jobs when one is timed: the queue is then empty, and nothing is waited for but the work."""

ASKERS = 32
SETTLED = 6.0
"""Seconds after the last event in which the app ends what it has begun: its transactions are counted, too."""

MOST_TRANSACTIONS = 8
"""Storage transactions that a job may cost (the issue's limit)."""

LATENCY_MS = 50
PLAIN_CALLS = 100
PRODUCT = "9NCOINS00001"
CONSUME = "/v8.0/collections/consume"
JOBS_QUEUE, EVENTS_QUEUE = "fulfillment-jobs", "store-events"
PATIENCE = 300.0

type Player = tuple[str, str]
"""An id and a collections key."""


@dataclass
class Storage:
    """The account's queues as this process uses them, and how often it has."""

    jobs: QueueClient
    events: QueueClient
    requests: int = 0


@dataclass(frozen=True, slots=True)
class Burst:
    """Jobs a second, from the first consume at the Store to the last event; the app's storage transactions a job."""

    rate: float
    cost: float


async def measure(folder: Path) -> list[Finding]:
    """Bursts of jobs, by message and over HTTP, then one after the other; then the bare loop."""
    async with servers(folder, access_log=True) as stack:
        settings = await stack.control.settings()
        schedules = ("CATALOG_SYNC_SCHEDULE", "KEY_RENEWAL_SCHEDULE", "SWEEP_SCHEDULE", "REFUND_SCHEDULE")
        app = await stack.start_app(dict.fromkeys(schedules, NEVER))
        try:
            players = await _players(stack, app, WARM_UP + JOBS + HTTP_JOBS + CALM)
            everybody = iter(players)
            await stack.control.disturb("collections", {"latencyMs": LATENCY_MS}, path=CONSUME)
            async with _storage(stack) as storage, _http(stack, app) as http:

                async def by_message(player: str) -> None:
                    await storage.jobs.send_message(json.dumps(_job() | {"version": 1, "userId": player}))

                async def over_http(player: str) -> None:
                    (await http.post(f"/users/{player}/fulfillments", json=_job())).raise_for_status()

                await _burst(stack, storage, by_message, list(islice(everybody, WARM_UP)))
                cores = processor_time(app.pid)
                by_queue = await _burst(stack, storage, by_message, list(islice(everybody, JOBS)))
                cores = processor_time(app.pid) - cores
                by_request = await _burst(stack, storage, over_http, list(islice(everybody, HTTP_JOBS)))
                times = await _one_by_one(storage, by_message, list(everybody))
        finally:
            await app.terminate()
        plain = await _bare(stack, settings, players)
    median, slowest = statistics.median(times), sorted(times)[int(len(times) * 0.99)]
    counted = "all that app and host ask of storage in a burst, polls too; each player's first job in this process"
    return [
        Finding(
            "fulfillment: jobs a second / bare loop",
            by_queue.rate / plain,
            0.5,
            "x",
            f"{JOBS} jobs at {by_queue.rate:.0f}/s, consumes one after the other at {LATENCY_MS} ms {plain:.0f}/s;"
            f" bounded by Azurite's one thread; {cores / JOBS * 1000:.1f} ms of a core a job",
            at_least=True,
        ),
        Finding("fulfillment: storage transactions a job", by_queue.cost, MOST_TRANSACTIONS, "", counted),
        Finding("fulfillment: storage transactions, HTTP", by_request.cost, MOST_TRANSACTIONS, "", counted),
        Finding(
            "fulfillment: message to granted, median",
            median * 1000,
            2_000,
            "ms",
            f"p99 {slowest * 1000:.0f} ms; an empty queue is looked at every 0.1 to 2 s",
        ),
    ]


@asynccontextmanager
async def _storage(stack: Servers) -> AsyncIterator[Storage]:
    async with QueueServiceClient.from_connection_string(
        stack.azurite.connection_string, raw_request_hook=lambda _: count()
    ) as service:
        storage = Storage(service.get_queue_client(JOBS_QUEUE), service.get_queue_client(EVENTS_QUEUE))

        def count() -> None:
            storage.requests += 1

        yield storage


@asynccontextmanager
async def _http(stack: Servers, app: processes.Server) -> AsyncIterator[httpx.AsyncClient]:
    operator = await stack.control.bearer("operator", "operator-1", expiresInSeconds=7200)
    async with httpx.AsyncClient(base_url=f"{app.url}/api", headers=operator, timeout=60) as client:
        yield client


async def _players(stack: Servers, app: processes.Server, count: int) -> list[Player]:
    """Players with a key and ten coins each."""
    store = stack.control.store
    await store.set(operations=None)
    await store.product(PRODUCT, "Consumable", price=1)
    ids = [f"player-{number}" for number in range(count)]
    keys = await stack.control.store_ids("collections", count, publisherUserIdFormat="player-{}")
    waiting = iter(list(zip(ids, keys, strict=True)))
    async with _http(stack, app) as client:

        async def hand_in() -> None:
            for player, key in waiting:
                answer = await client.put(f"/users/{player}/store-ids/collections", json={"key": key})
                answer.raise_for_status()

        await asyncio.gather(*(hand_in() for _ in range(8)))
    await store.buy_for_all(ids, PRODUCT, quantity=10)
    return list(zip(ids, keys, strict=True))


async def _burst(
    stack: Servers, storage: Storage, ask: Callable[[str], Awaitable[None]], players: list[Player]
) -> Burst:
    """Have a job done for each player, as many at once as the app takes."""
    seen = await stack.control.last_seen()
    have = await _count(storage.events)
    before = transactions(stack) - storage.requests
    waiting = iter(players)

    async def asker() -> None:
        for player, _ in waiting:
            await ask(player)

    await asyncio.gather(*(asker() for _ in range(ASKERS)))
    deadline = time.monotonic() + PATIENCE
    while await _count(storage.events) < have + len(players):
        if time.monotonic() > deadline:
            raise RuntimeError("the jobs were not all granted")
        await asyncio.sleep(0.2)
    ended = time.time()
    await asyncio.sleep(SETTLED)
    cost = (transactions(stack) - storage.requests - before) / len(players)
    first = (await stack.control.requests(path=f"{CONSUME}$", since=seen, limit=1))[0]["time"]
    return Burst(len(players) / (ended - datetime.fromisoformat(first).timestamp()), cost)


async def _one_by_one(storage: Storage, ask: Callable[[str], Awaitable[None]], players: list[Player]) -> list[float]:
    """Seconds from each message to its event, one job at a time."""
    times = []
    for player, _ in players:
        have = await _count(storage.events)
        started = time.perf_counter()
        await ask(player)
        while await _count(storage.events) == have:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
        times.append(time.perf_counter() - started)
        await asyncio.sleep(CALM_PAUSE)
    return times


def _job() -> dict[str, Any]:
    return {"trackingId": str(uuid.uuid4()), "productId": PRODUCT, "quantity": 3, "consumableType": "Consumable"}


async def _count(queue: QueueClient) -> int:
    try:
        return (await queue.get_queue_properties()).approximate_message_count or 0
    except ResourceNotFoundError:
        return 0  # the app makes it with the first event


async def _bare(stack: Servers, settings: dict[str, str], players: list[Player]) -> float:
    """Consumes a second, one after the other, by httpx and nothing else."""
    url = settings["STORE_COLLECTIONS_URL"] + CONSUME
    requests: list[Request] = [("POST", url, _consume(key)) for _, key in players[:PLAIN_CALLS]]
    publisher = settings["PUBLISHER_TENANT_ID"], settings["PUBLISHER_CLIENT_ID"]
    headers = {"Authorization": f"Bearer {await access_token(stack.control, *publisher)}"}
    return await BareLoop(stack.folder, settings["SSL_CERT_FILE"], requests, headers).rate(PLAIN_CALLS)


def _consume(key: str) -> dict[str, Any]:
    beneficiary = {"identityType": "b2b", "identityValue": key, "localTicketReference": ""}
    return {
        "beneficiary": beneficiary,
        "productId": PRODUCT,
        "trackingId": str(uuid.uuid4()),
        "removeQuantity": 1,
        "includeOrderIds": True,
    }
