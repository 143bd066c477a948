"""Refunds: a storm of clawback events through one host, beside a bare loop that reads and deletes as many messages.

The players' grants are written straight into the books. The emulator puts the events, as many at a time as keep
:data:`DEPTH` of them in the Store's queue: Azurite takes longer for each deletion the more messages it has. The bare
loop does nothing with a message but delete it, and is fed in the same way.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import httpx
from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables.aio import TableServiceClient
from azure.storage.queue.aio import QueueClient, QueueServiceClient

from benchmarks.clawbacks import CONNECTIONS, MIX, QUANTITY, Event, grant, new_job, refund_of, side_by_side, storm
from benchmarks.observing import peak_memory, processor_time, transactions
from benchmarks.renewal import app_parts
from benchmarks.report import Finding
from benchmarks.tenants import NEVER
from local import processes
from local.stack import Servers, servers
from shared.ledger.record import Job
from shared.refunds.address import Addresses
from shared.refunds.drain import VISIBILITY
from shared.store.clawback_queue import ClawbackQueue
from shared.wiring import Wiring

FEW, MANY = 1_000, 10_000
BARE = 4_000
"""Messages of the bare loop."""

DEPTH, FEED = 1_000, 200
"""Messages that the Store's queue has at most, and how many fewer have it filled up."""

CLAWBACK_QUEUE, EVENTS_QUEUE = "clawback", "store-events"


@dataclass(frozen=True, slots=True)
class Storm:
    """Events one after the other. ``late``: their window was too short. ``failed``: with an error. MiB."""

    events: int
    seconds: float
    late: int
    failed: int
    transactions: int
    peak_memory: float
    cores: float


async def measure(folder: Path) -> list[Finding]:
    """A small storm, then a big one; then the bare loop."""
    async with servers(folder, keep=True, access_log=True) as stack:
        settings = await stack.control.settings() | {"AzureWebJobsStorage": stack.azurite.connection_string}
        await stack.control.store.connect_clawback(stack.azurite.connection_string, queue=CLAWBACK_QUEUE)
        parts = app_parts(settings)
        try:
            schedules = ("CATALOG_SYNC_SCHEDULE", "KEY_RENEWAL_SCHEDULE", "SWEEP_SCHEDULE", "REFUND_SCHEDULE")
            app = await stack.start_app(dict.fromkeys(schedules, NEVER))
            try:
                few, many = [await _storm(stack, parts, app, count) for count in (FEW, MANY)]
            finally:
                await app.terminate()
            bare = await _bare(stack, parts)
        finally:
            await parts.close()
    rate = many.events / many.seconds
    mix = ", ".join(f"{share}% {kind}" for kind, share in MIX.items())
    return [
        Finding(
            "refunds: events a second / bare loop",
            rate / bare,
            0.05,
            "x",
            f"{MANY} events ({mix}) at {rate:.0f}/s; reading and deleting alone {bare:.0f}/s, which is one request a"
            f" message; bounded by Azurite's one thread; {many.cores / MANY * 1000:.1f} ms of a core an event",
            at_least=True,
        ),
        Finding(
            "refunds: events that outlived their window",
            many.late / MANY,
            0,
            "",
            f"of {MANY}, each hidden for {VISIBILITY} s; {many.failed} came again after an error",
        ),
        Finding(
            "refunds: storage requests an event",
            many.transactions / MANY,
            8,
            "",
            "all that the app and its host ask of storage, the Store's queue and the polls of the others too",
        ),
        Finding(
            "refunds: peak memory, 10,000 / 1,000 events",
            many.peak_memory / few.peak_memory,
            1.25,
            "x",
            f"{many.peak_memory:.0f} MiB, {few.peak_memory:.0f} MiB",
        ),
    ]


async def _storm(stack: Servers, parts: Wiring, app: processes.Server, count: int) -> Storm:
    events, jobs = storm(count)
    await grant(parts, jobs)
    runs, cores = len(_tallies(app)), processor_time(app.pid)
    async with _queues(stack) as queues, httpx.AsyncClient(timeout=None) as client:  # a run takes minutes
        async with asyncio.TaskGroup() as tasks:
            before = _by_the_app(stack, queues)
            feeding = tasks.create_task(_feed(stack, queues, events))
            started = time.perf_counter()
            while not feeding.done() or await queues.depth():
                (await client.post(f"{app.url}/admin/functions/fetch_refunds?wait=true")).raise_for_status()
            seconds = time.perf_counter() - started
        requests = _by_the_app(stack, queues) - before
    tallies = _tallies(app)[runs:]
    done, held = sum(tally["done"] for tally in tallies), await _held(stack, jobs)
    expected = QUANTITY * (count * MIX["reversal"] // 100)
    if (done, held) != (count, expected):
        raise RuntimeError(f"{done} events of {count} were done, {held} coins of {expected} are held: {tallies}")
    late, failed = (sum(tally[name] for tally in tallies) for name in ("late", "failed"))
    return Storm(count, seconds, late, failed, requests, peak_memory(app.pid), processor_time(app.pid) - cores)


@dataclass
class Queues:
    """The Store's queue and the publisher's as this process uses them, and how often it has."""

    clawback: QueueClient
    events: QueueClient
    requests: int = 0

    async def depth(self) -> int:
        """How many messages the Store's queue has; the publisher takes those that are for it."""
        with suppress(ResourceNotFoundError):  # the app makes it with the first event
            await self.events.clear_messages()
        return (await self.clawback.get_queue_properties()).approximate_message_count or 0


@asynccontextmanager
async def _queues(stack: Servers) -> AsyncIterator[Queues]:
    async with QueueServiceClient.from_connection_string(
        stack.azurite.connection_string, raw_request_hook=lambda _: count()
    ) as service:
        queues = Queues(service.get_queue_client(CLAWBACK_QUEUE), service.get_queue_client(EVENTS_QUEUE))

        def count() -> None:
            queues.requests += 1

        yield queues


async def _feed(stack: Servers, queues: Queues, events: list[Event]) -> None:
    """Put events until all are put, :data:`DEPTH` at a time."""
    waiting = iter(events)
    while batch := list(islice(waiting, DEPTH - await queues.depth())):
        await side_by_side(stack.control.store.put_message, [{"event": event} for event in batch])
        while await queues.depth() > DEPTH - FEED:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.2)


def _by_the_app(stack: Servers, queues: Queues) -> int:
    """Requests that Azurite has had from the app, its host's polls included."""
    puts = len(re.findall(f'"POST /devstoreaccount1/{CLAWBACK_QUEUE}/', processes.read_log(stack.azurite.server.log)))
    return transactions(stack) - puts - queues.requests


async def _held(stack: Servers, jobs: list[Job]) -> int:
    """What these players hold in the app's books."""
    players = {job.user_id for job in jobs}
    async with TableServiceClient.from_connection_string(stack.azurite.connection_string) as service:
        rows = service.get_table_client("ledger").query_entities("RowKey ge 'balance|' and RowKey lt 'balance|~'")
        return sum([int(row["quantity"]) async for row in rows if row["userId"] in players])


def _tallies(app: processes.Server) -> list[dict[str, int]]:
    """What each run came to, as the app logged it."""
    found = re.findall(r"refunds: Tally\((.*?)\)", processes.read_log(app.log))
    return [{name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", each)} for each in found]


async def _bare(stack: Servers, parts: Wiring) -> float:
    """Messages a second that are read, as many at once as a read gives, and deleted."""
    addresses = Addresses(parts.core.publisher, parts.core.entra, parts.store.purchase)
    queue = ClawbackQueue(addresses.find, concurrency=CONNECTIONS)
    async with _queues(stack) as queues, asyncio.TaskGroup() as tasks:
        feeding = tasks.create_task(_feed(stack, queues, [refund_of(new_job()) for _ in range(BARE)]))
        started = time.perf_counter()
        while (page := await queue.receive(VISIBILITY)) or not feeding.done():
            await side_by_side(queue.delete, [{"message": message} for message in page])
        seconds = time.perf_counter() - started
    await queue.close()
    return BARE / seconds
