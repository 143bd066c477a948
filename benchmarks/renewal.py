"""Renewal: many keys due at once, beside a bare loop of the same HTTP library against the same server.

The app runs in the local host and is told to run its timer; what it did is read from the emulator's request log, from
Azurite's access log and from the kernel.
"""

import asyncio
import os
import re
import statistics
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import cast

import httpx

from benchmarks.bare_loop import BareLoop
from benchmarks.observing import peak_memory, processor_time, transactions
from benchmarks.report import Finding
from local import processes
from local.control import Kind
from local.stack import Servers, servers
from shared.auth.tokens import StoreIdKind
from shared.clock import utc_now
from shared.keys.active import sealed_away
from shared.keys.filing import RECORDS_A_COMMIT, Change
from shared.keys.record import SHARDS, Record, shard_of
from shared.settings import Settings
from shared.store.user_store_id import RENEWAL_PATH, UserStoreIdKey, decode
from shared.wiring import Wiring

FEW, MANY = 1_000, 10_000
ROUNDS = 3
LATENCY_MS = 100
APP_CONCURRENCY = 96
"""``STORE_CONCURRENCY`` of the app: its best here, as the loop has its best."""

NEVER = "0 0 0 1 1 *"


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the app. Seconds, MiB, requests that Azurite saw, seconds of a core."""

    keys: int
    seconds: float
    peak_memory: float
    transactions: int
    cores: float


async def measure(folder: Path) -> list[Finding]:
    """The bare loop and the app renew as many keys in turn, several times; the medians count."""
    async with servers(folder, access_log=True) as stack:
        values = await stack.control.settings()
        values |= {"AzureWebJobsStorage": stack.azurite.connection_string}
        parts = app_parts(values)
        try:
            keys = await _file(parts, stack, FEW, "few")
            await _slow_down(stack)
            url, token = values["STORE_COLLECTIONS_URL"] + RENEWAL_PATH, await _token(parts)
            renewals = [("POST", url, {"serviceTicket": token, "key": key}) for key in keys]
            bare = await BareLoop(stack.folder, values["SSL_CERT_FILE"], renewals).at_its_best()
            app = await stack.start_app({"KEY_RENEWAL_SCHEDULE": NEVER, "STORE_CONCURRENCY": str(APP_CONCURRENCY)})
            try:
                few = await _renew(stack, parts, app, FEW)
                many: list[Run] = []
                loops: list[float] = []
                for number in range(ROUNDS):
                    await _file(parts, stack, MANY, f"round-{number}")
                    loops.append(await bare.rate(MANY))
                    many.append(await _renew(stack, parts, app, MANY))
            finally:
                await app.terminate()
        finally:
            await parts.close()
    return _findings(few, many, loops, bare)


async def _token(parts: Wiring) -> str:
    return (await parts.core.entra.get_service_token(parts.core.publisher)).reveal()


async def _slow_down(stack: Servers) -> None:
    for service in ("collections", "purchase"):
        await stack.control.disturb(service, {"latencyMs": LATENCY_MS})


def _findings(few: Run, many: list[Run], loops: list[float], bare: BareLoop) -> list[Finding]:
    rates = [run.keys / run.seconds for run in many]
    rate, loop = statistics.median(rates), statistics.median(loops)
    ratios = ", ".join(f"{ours / theirs:.2f}" for ours, theirs in zip(rates, loops, strict=True))
    memory = many[0].peak_memory
    requests = max(run.transactions for run in many)
    cores = statistics.median(run.cores for run in many)
    return [
        Finding(
            "renewal: rate / bare loop",
            rate / loop,
            0.8,
            "x",
            f"{MANY} keys at {rate:.0f}/s with {APP_CONCURRENCY} calls in flight to each service,"
            f" bare loop {loop:.0f}/s ({bare.clients} clients of {bare.connections}); by round: {ratios};"
            f" {cores / MANY * 1000:.1f} ms of a core a key",
            at_least=True,
        ),
        Finding(
            "renewal: peak memory, 10,000 / 1,000 keys",
            memory / few.peak_memory,
            1.25,
            "x",
            f"{memory:.0f} MiB, {few.peak_memory:.0f} MiB",
        ),
        Finding(
            "renewal: storage transactions a key",
            requests / MANY,
            0.15,
            "",
            f"{requests} transactions, queue polls too",
        ),
    ]


def app_parts(values: dict[str, str]) -> Wiring:
    """The app's own parts in this process, to file keys faster than through HTTP."""
    import aiohttp.connector  # noqa: PLC0415 - for its TLS context alone

    os.environ |= {name: value for name, value in values.items() if name.startswith(("AZURE_", "SSL_", "REQUESTS_"))}
    # aiohttp made its TLS context when it was imported, before there was an emulator to trust.
    aiohttp.connector._SSL_CONTEXT_VERIFIED.load_verify_locations(values["SSL_CERT_FILE"])  # noqa: SLF001 - no public way
    return Wiring(Settings.load(values))


async def _file(parts: Wiring, stack: Servers, count: int, name: str) -> list[str]:
    """File keys of both kinds, made as if 15 days ago, for half as many players; the collections keys."""
    kinds = {kind: cast("Kind", str(kind)) for kind in StoreIdKind}
    minted = {kind: await stack.control.store_ids(name, count // 2, issuedDaysAgo=15) for kind, name in kinds.items()}
    shards: dict[str, list[Change]] = {}
    files, sealer = parts.keys.files, parts.keys.sealer  # the same parts that the app uses
    for number, texts in enumerate(zip(*(minted[kind] for kind in StoreIdKind), strict=True)):
        record = Record(f"{name}-player-{number}")
        for kind, text in zip(StoreIdKind, texts, strict=True):
            key = UserStoreIdKey(text)
            record = record.with_key(kind, await sealed_away(sealer, record.user_id, kind, key, decode(key)))
        shards.setdefault(shard_of(record.user_id), []).append(Change(None, record))
    for changes in shards.values():
        for start in range(0, len(changes), RECORDS_A_COMMIT):
            await files.apply_all(changes[start : start + RECORDS_A_COMMIT])
    return minted[StoreIdKind.COLLECTIONS]


async def _renew(stack: Servers, parts: Wiring, app: processes.Server, count: int) -> Run:
    seen = await stack.control.last_seen()
    before, cores = transactions(stack), processor_time(app.pid)
    async with httpx.AsyncClient(timeout=60) as client:
        (await client.post(f"{app.url}/admin/functions/plan_renewals?wait=true")).raise_for_status()
    while await stack.control.count(path=f"{RENEWAL_PATH}$", since=seen) < count:  # noqa: ASYNC110 - another process
        await asyncio.sleep(1)
    while await _any_due(parts):  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.05)
    # From the first call, as the loop is measured: how soon a queue is looked at is the host's affair.
    first = (await stack.control.requests(path=f"{RENEWAL_PATH}$", since=seen, limit=1))[0]["time"]
    seconds = _last_shard_done(app) - datetime.fromisoformat(first).timestamp()
    renewed = await stack.control.count(path=f"{RENEWAL_PATH}$", since=seen)
    if renewed != count:
        raise RuntimeError(f"{renewed} renewals of {count} keys")
    return Run(count, seconds, peak_memory(app.pid), transactions(stack) - before, processor_time(app.pid) - cores)


def _last_shard_done(app: processes.Server) -> float:
    """When the app logged that it was done with the last shard, in seconds since 1970."""
    moments = re.findall(
        r"^(\S+) INFO functions\.keys .* records worked on$", processes.read_log(app.log), re.MULTILINE
    )
    return max(datetime.fromisoformat(moment) for moment in moments).timestamp()


async def _any_due(parts: Wiring) -> bool:
    files = parts.keys.files  # the same part that the app uses
    return any(await asyncio.gather(*(files.has_due(f"{shard:02x}", utc_now()) for shard in range(SHARDS))))
