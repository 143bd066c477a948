"""The catalogue: a full pass over 10,000 products, and one after a hundredth of them changed.

The floor of a full pass is what the calls cost that it makes, and nothing else: their latency at the concurrency that
is allowed, or a bare loop of the same calls at its best, whichever takes longer. A plain client asks for one thing
after the other; it is measured over a part of the products, and its time for all is worked out.
"""

import statistics
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.bare_loop import BareLoop, Request
from benchmarks.observing import peak_memory, processor_time
from benchmarks.report import Finding
from benchmarks.tenants import LATENCY_MS, Bench, bench

PRODUCTS = 10_000
CHANGED = PRODUCTS // 100
CONCURRENCY = 64
PLAIN_CALLS = 200
ROUNDS = 2


async def measure(folder: Path) -> list[Finding]:
    """Full passes and bare loops in turn, then a pass after changes."""
    async with bench(folder, CATALOG_DOWNLOAD_PACKAGES="false", STORE_CONCURRENCY=str(CONCURRENCY)) as stage:
        control = stage.stack.control
        await control.add_business_products(stage.tenant, PRODUCTS, sharedArtwork=True, modifiedDaysAgo=30)
        await _pass(stage, full=True)  # the artwork, which is fetched once, and all imports
        await control.disturb("business", {"latencyMs": LATENCY_MS})
        passes: list[float] = []
        floors: list[float] = []
        calls, cores = 0, 0.0
        loop: BareLoop | None = None
        for _ in range(ROUNDS):
            since = await control.last_seen()
            cores = processor_time(stage.app.pid)
            passes.append(await _pass(stage, full=True))
            cores = processor_time(stage.app.pid) - cores
            calls = await stage.calls(since)
            if loop is None:
                plain = await stage.loop(await _requests(stage, since))
                loop = await plain.at_its_best()
            floors.append(max(calls / await loop.rate(calls), calls * LATENCY_MS / 1000 / CONCURRENCY))
        in_turn = calls / await plain.rate(PLAIN_CALLS)
        memory = peak_memory(stage.app.pid)
        changed = await _changed(stage)
    took, floor = statistics.median(passes), statistics.median(floors)
    ratios = ", ".join(f"{ours / least:.2f}" for ours, least in zip(passes, floors, strict=True))
    detail = (
        f"{calls} calls at {LATENCY_MS} ms: {took:.0f} s, floor {floor:.0f} s; by round: {ratios};"
        f" one after the other: {in_turn:.0f} s; peak {memory:.0f} MiB;"
        f" {cores / calls * 1000:.1f} ms of a core a call"
    )
    return [Finding("catalog: full pass / floor", took / floor, 1.5, "x", detail), *changed]


async def _pass(stage: Bench, *, full: bool) -> float:
    """Seconds from the start of a pass to its end, as the app says."""
    answer = await stage.client.post("/api/catalog/syncs", json={"tenantId": stage.tenant, "full": full})
    state = await stage.ended(answer.raise_for_status().headers["Location"])
    if state["status"] != "completed":
        raise RuntimeError(f"the pass ended {state}")
    return (_time(state["endedOn"]) - _time(state["startedOn"])).total_seconds()


async def _changed(stage: Bench) -> list[Finding]:
    """The pass after a hundredth has changed makes only the calls that those need."""
    control = stage.stack.control
    await _pass(stage, full=False)
    await control.change_business_products(stage.tenant, count=CHANGED, seed=1, renew=["details"])
    since = await control.last_seen()
    took = await _pass(stage, full=False)
    details = await stage.calls(since, path=r"/Products/[^/]+/[^/]+$")
    calls = await stage.calls(since)
    listing = await stage.calls(since, path="/Inventory$")
    again = await control.last_seen()
    await _pass(stage, full=False)
    idle = await stage.calls(again)
    return [
        Finding(
            "catalog: products fetched after 1% changed",
            details,
            CHANGED,
            "",
            f"{calls} calls, {listing} of them pages of the listing; {took:.1f} s",
        ),
        Finding("catalog: calls of a pass without changes", idle, listing, "", "pages of the listing alone"),
    ]


async def _requests(stage: Bench, since: int) -> list[Request]:
    """The calls of a pass, to be made again by the loop; those of the listing in proportion."""
    seen: list[dict[str, Any]] = await stage.stack.control.requests(service="business", since=since, limit=5_000)
    return [
        (each["method"], stage.settings["STORE_BUSINESS_URL"].rpartition("/business")[0] + each["path"], None)
        for each in seen
    ]


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
