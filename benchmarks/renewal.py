"""Renewal: many keys due at once, beside a bare loop of the same HTTP library against the same server.

The app runs in the local host and is told to run its timer; what it did is read from the emulator's request log, from
Azurite's access log and from the kernel.
"""

import asyncio
import json
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import httpx

from benchmarks.report import Finding
from local import processes
from local.control import Kind
from local.stack import ROOT, Servers, servers
from shared.auth.tokens import StoreIdKind
from shared.clock import utc_now
from shared.keys.filing import RECORDS_A_COMMIT, Change
from shared.keys.record import SHARDS, Record, Status, StoredKey, shard_of
from shared.keys.schedule import renewal_time
from shared.settings import Settings
from shared.store.user_store_id import RENEWAL_PATH, UserStoreIdKey, decode
from shared.wiring import Wiring

FEW, MANY = 1_000, 10_000
LATENCY_MS = 100
BASELINE_CALLS = 3_000
CONFIGURATIONS = ((1, 24), (8, 8), (16, 4), (16, 8), (32, 4), (32, 8))
"""Clients and connections of each that the bare loop is tried with; the best counts."""

NEVER = "0 0 0 1 1 *"
_REQUEST = re.compile(r'"(?:GET|PUT|POST|DELETE|MERGE) /devstoreaccount1')


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the app. Seconds, MiB, and requests that Azurite saw."""

    keys: int
    seconds: float
    peak_memory: float
    transactions: int


async def measure(folder: Path) -> list[Finding]:
    """The bare loop runs before and after the app; the better of the two counts."""
    async with servers(folder, access_log=True) as stack:
        values = await stack.control.settings()
        values |= {"AzureWebJobsStorage": stack.azurite.connection_string}
        parts = _wiring(values)
        try:
            keys = await _file(parts, stack, FEW)
            for service in ("collections", "purchase"):
                await stack.control.disturb(service, {"latencyMs": LATENCY_MS})
            before = await _bare(stack, parts, values, keys)
            app = await stack.start_app({"KEY_RENEWAL_SCHEDULE": NEVER}, options=("--log-level", "Warning"))
            try:
                few = await _renew(stack, parts, app, FEW)
                await stack.control.calm()
                await _file(parts, stack, MANY)
                for service in ("collections", "purchase"):
                    await stack.control.disturb(service, {"latencyMs": LATENCY_MS})
                many = await _renew(stack, parts, app, MANY)
            finally:
                await app.terminate()
            after = await _bare(stack, parts, values, keys)
        finally:
            await parts.close()
    return _findings(few, many, max(before, after))


def _findings(few: Run, many: Run, bare: tuple[float, str]) -> list[Finding]:
    rate = many.keys / many.seconds
    per_key = many.transactions / many.keys
    return [
        Finding(
            "renewal: rate / bare loop",
            rate / bare[0],
            0.8,
            "x",
            f"{many.keys} keys at {rate:.0f}/s; bare httpx loop at best {bare[0]:.0f}/s ({bare[1]})",
            at_least=True,
        ),
        Finding(
            "renewal: peak memory, 10,000 / 1,000 keys",
            many.peak_memory / few.peak_memory,
            1.15,
            "x",
            f"{many.peak_memory:.0f} MiB, {few.peak_memory:.0f} MiB",
        ),
        Finding(
            "renewal: storage transactions a key",
            per_key,
            0.15,
            "",
            f"{many.transactions} transactions, queue polls too",
        ),
    ]


def _wiring(values: dict[str, str]) -> Wiring:
    """The app's own parts in this process, to file keys faster than through HTTP."""
    import aiohttp.connector  # noqa: PLC0415

    os.environ |= {name: value for name, value in values.items() if name.startswith(("AZURE_", "SSL_", "REQUESTS_"))}
    # aiohttp made its TLS context when it was imported, before there was an emulator to trust.
    aiohttp.connector._SSL_CONTEXT_VERIFIED.load_verify_locations(values["SSL_CERT_FILE"])  # noqa: SLF001
    return Wiring(Settings.load(values))


async def _file(parts: Wiring, stack: Servers, count: int) -> list[str]:
    """File keys of both kinds, made as if 15 days ago, for half as many players; the collections keys."""
    kinds = {kind: cast("Kind", str(kind)) for kind in StoreIdKind}
    minted = {kind: await stack.control.store_ids(name, count // 2, issuedDaysAgo=15) for kind, name in kinds.items()}
    shards: dict[str, list[Change]] = {}
    files, sealer = parts._files, parts._sealer  # noqa: SLF001 - the same parts that the app uses
    for number, texts in enumerate(zip(*(minted[kind] for kind in StoreIdKind), strict=True)):
        record = Record(f"{count}-player-{number}")
        for kind, text in zip(StoreIdKind, texts, strict=True):
            key = UserStoreIdKey(text)
            claims = decode(key)
            due = renewal_time(claims.issued_on, claims.expires_on, f"{record.user_id}|{kind}")
            stored = StoredKey(
                status=Status.ACTIVE,
                issued_on=claims.issued_on,
                expires_on=claims.expires_on,
                renew_after=due,
                sealed=await sealer.seal(record.user_id, kind, key),
                duty_on=due,
            )
            record = record.with_key(kind, stored)
        shards.setdefault(shard_of(record.user_id), []).append(Change(None, record))
    for changes in shards.values():
        for start in range(0, len(changes), RECORDS_A_COMMIT):
            await files.apply_all(changes[start : start + RECORDS_A_COMMIT])
    return minted[StoreIdKind.COLLECTIONS]


async def _renew(stack: Servers, parts: Wiring, app: processes.Server, count: int) -> Run:
    seen = await stack.control.last_seen()
    before = _transactions(stack)
    started = time.perf_counter()
    async with httpx.AsyncClient(timeout=60) as client:
        (await client.post(f"{app.url}/admin/functions/plan_renewals?wait=true")).raise_for_status()
    while await stack.control.count(path=f"{RENEWAL_PATH}$", since=seen) < count:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.5)
    while await _any_due(parts):  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.05)
    seconds = time.perf_counter() - started
    renewed = await stack.control.count(path=f"{RENEWAL_PATH}$", since=seen)
    if renewed != count:
        raise RuntimeError(f"{renewed} renewals of {count} keys")
    return Run(count, seconds, _peak_memory(app.pid), _transactions(stack) - before)


async def _any_due(parts: Wiring) -> bool:
    files = parts._files  # noqa: SLF001
    return any(await asyncio.gather(*(files.has_due(f"{shard:02x}", utc_now()) for shard in range(SHARDS))))


def _transactions(stack: Servers) -> int:
    return len(_REQUEST.findall(processes.read_log(stack.azurite.server.log)))


def _peak_memory(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


async def _bare(stack: Servers, parts: Wiring, values: dict[str, str], keys: list[str]) -> tuple[float, str]:
    token = await parts.entra.get_service_token(parts.publisher)
    best = (0.0, "")
    for clients, connections in CONFIGURATIONS:
        job = {
            "url": values["STORE_COLLECTIONS_URL"] + RENEWAL_PATH,
            "token": token.reveal(),
            "keys": keys,
            "clients": clients,
            "connections": connections,
            "calls": BASELINE_CALLS,
        }
        file = stack.folder / "bare.json"
        file.write_text(json.dumps(job), "utf-8")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.bare_loop", str(file), cwd=ROOT, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await process.communicate()
        best = max(best, (float(output), f"{clients} clients of {connections}"))
    return best
