"""Fulfilment: jobs through one host beside a bare loop of consumes, what they cost the storage, and how long they take.

The bare loop consumes as a game's back end without any guarantee would: one call, then the next.
"""

import asyncio
import json
import statistics
import time
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from benchmarks.bare_loop import BareLoop, Request
from benchmarks.entra import access_token
from benchmarks.observing import transactions
from benchmarks.report import Finding
from benchmarks.tenants import NEVER
from local import processes
from local.stack import Servers, servers

JOBS = 600
WARM_UP = 40
CALM = 60
CALM_PAUSE = 0.25
"""Seconds between two jobs when one is timed: the queue is then empty, and nothing is waited for but the work."""

LATENCY_MS = 50
PLAIN_CALLS = 100
PRODUCT = "9NCOINS00001"
CONSUME = "/v8.0/collections/consume"
JOBS_QUEUE, EVENTS_QUEUE = "fulfillment-jobs", "store-events"
PATIENCE = 300.0

type Player = tuple[str, str]
"""An id and a collections key."""


async def measure(folder: Path) -> list[Finding]:
    """A burst of jobs, then one after the other; then the bare loop."""
    async with servers(folder, access_log=True) as stack:
        settings = await stack.control.settings()
        schedules = ("CATALOG_SYNC_SCHEDULE", "KEY_RENEWAL_SCHEDULE", "SWEEP_SCHEDULE", "REFUND_SCHEDULE")
        app = await stack.start_app(dict.fromkeys(schedules, NEVER))
        try:
            players = await _players(stack, app, WARM_UP + JOBS + CALM)
            await stack.control.disturb("collections", {"latencyMs": LATENCY_MS}, path=CONSUME)
            await _burst(stack, players[:WARM_UP])
            before = transactions(stack)
            rate = await _burst(stack, players[WARM_UP : WARM_UP + JOBS])
            cost = (transactions(stack) - before) / JOBS
            times = await _one_by_one(stack, players[WARM_UP + JOBS :])
        finally:
            await app.terminate()
        plain = await _bare(stack, settings, players)
    median, slowest = statistics.median(times), sorted(times)[int(len(times) * 0.99)]
    return [
        Finding(
            "fulfillment: jobs a second / bare loop",
            rate / plain,
            0.5,
            "x",
            f"{JOBS} jobs at {rate:.0f}/s, consumes one after the other at {LATENCY_MS} ms {plain:.0f}/s;"
            " bounded by Azurite's one thread",
            at_least=True,
        ),
        Finding("fulfillment: storage transactions a job", cost, 8, "", "from the queue, polls and events too"),
        Finding(
            "fulfillment: message to granted, median",
            median * 1000,
            2_000,
            "ms",
            f"p99 {slowest * 1000:.0f} ms; an empty queue is looked at every 0.1 to 2 s",
        ),
    ]


async def _players(stack: Servers, app: processes.Server, count: int) -> list[Player]:
    """Players with a key and ten coins each."""
    store = stack.control.store
    await store.set(operations=None)
    await store.product(PRODUCT, "Consumable", price=1)
    ids = [f"player-{number}" for number in range(count)]
    keys = await stack.control.store_ids("collections", count, publisherUserIdFormat="player-{}")
    operator = await stack.control.bearer("operator", "operator-1", expiresInSeconds=7200)
    waiting = iter(list(zip(ids, keys, strict=True)))
    async with httpx.AsyncClient(base_url=f"{app.url}/api", headers=operator, timeout=60) as client:

        async def hand_in() -> None:
            for player, key in waiting:
                answer = await client.put(f"/users/{player}/store-ids/collections", json={"key": key})
                answer.raise_for_status()

        await asyncio.gather(*(hand_in() for _ in range(8)))
    await store.buy_for_all(ids, PRODUCT, quantity=10)
    return list(zip(ids, keys, strict=True))


async def _burst(stack: Servers, players: list[Player]) -> float:
    """Jobs a second, from the first consume at the Store to the last event."""
    seen = await stack.control.last_seen()
    async with QueueServiceClient.from_connection_string(stack.azurite.connection_string) as service:
        jobs, events = service.get_queue_client(JOBS_QUEUE), service.get_queue_client(EVENTS_QUEUE)
        have = await _count(events)
        await asyncio.gather(*(_put(jobs, player) for player, _ in players))
        deadline = time.monotonic() + PATIENCE
        while await _count(events) < have + len(players):
            if time.monotonic() > deadline:
                raise RuntimeError("the jobs were not all granted")
            await asyncio.sleep(0.2)
        ended = time.time()
    first = (await stack.control.requests(path=f"{CONSUME}$", since=seen, limit=1))[0]["time"]
    return len(players) / (ended - datetime.fromisoformat(first).timestamp())


async def _one_by_one(stack: Servers, players: list[Player]) -> list[float]:
    """Seconds from each message to its event, one job at a time."""
    times = []
    async with QueueServiceClient.from_connection_string(stack.azurite.connection_string) as service:
        jobs, events = service.get_queue_client(JOBS_QUEUE), service.get_queue_client(EVENTS_QUEUE)
        for player, _ in players:
            have = await _count(events)
            started = time.perf_counter()
            await _put(jobs, player)
            while await _count(events) == have:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.01)
            times.append(time.perf_counter() - started)
            await asyncio.sleep(CALM_PAUSE)
    return times


async def _put(queue: QueueClient, player: str) -> None:
    job: dict[str, Any] = {
        "version": 1,
        "userId": player,
        "trackingId": str(uuid.uuid4()),
        "productId": PRODUCT,
        "quantity": 3,
        "consumableType": "Consumable",
    }
    await queue.send_message(json.dumps(job))


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
