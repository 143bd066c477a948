"""Seats: one job of 100,000 users."""

import time
from pathlib import Path
from typing import Any

from benchmarks.bare_loop import Request
from benchmarks.observing import peak_memory, processor_time, transactions
from benchmarks.report import Finding
from benchmarks.tenants import LATENCY_MS, Bench, bench

FEW, MANY = 10_000, 100_000
CHUNK = 25
PLAIN_CALLS = 100


async def measure(folder: Path) -> list[Finding]:
    """A small job, then a big one, then a part of it by a plain client: one bulk call after the other."""
    async with bench(folder, SEAT_CHUNK_SIZE=str(CHUNK)) as stage:
        control = stage.stack.control
        (small, big, by_hand) = await control.add_business_products(stage.tenant, 3, licenseType="online")
        await control.disturb("business", {"latencyMs": LATENCY_MS})
        await _job(stage, small, FEW)
        before = peak_memory(stage.app.pid)
        since, requests = await control.last_seen(), transactions(stage.stack)
        cores = processor_time(stage.app.pid)
        started = time.perf_counter()
        state = await _job(stage, big, MANY)
        took = time.perf_counter() - started
        calls, requests = await stage.calls(since), transactions(stage.stack) - requests
        memory, cores = peak_memory(stage.app.pid), processor_time(stage.app.pid) - cores
        plain = MANY / CHUNK / await _plain(stage, by_hand)
    assert state["succeeded"] == MANY, state
    detail = f"{MANY} users at {LATENCY_MS} ms a call: {took:.0f} s; one call after the other: {plain:.0f} s;"
    detail += f" {cores / calls * 1000:.1f} ms of a core a call"
    return [
        Finding("seats: Store calls / (users / chunk)", calls / (MANY / CHUNK), 1.02, "x", f"{calls} calls; {detail}"),
        Finding("seats: storage transactions a user", requests / MANY, 0.2, "", f"{requests} transactions, polls too"),
        Finding(
            "seats: peak memory, 100,000 / 10,000 users",
            memory / before,
            1.5,
            "x",
            f"{memory:.0f} MiB, {before:.0f} MiB",
        ),
        Finding("seats: time beside a plain client", took / plain, 1, "x", "the same calls, one after the other"),
    ]


async def _job(stage: Bench, product: dict[str, str], count: int) -> dict[str, Any]:
    query = {"tenantId": stage.tenant, **product, "action": "assign"}
    answer = await stage.client.post(
        "/api/seat-jobs",
        params=query,
        content="userName\n" + "\n".join(await _users(stage, count)),
        headers={"Content-Type": "text/csv"},
    )
    return await stage.ended(answer.raise_for_status().headers["Location"])


async def _users(stage: Bench, count: int) -> list[str]:
    tenants = await stage.stack.control.business_tenants()
    domain = next(each["domain"] for each in tenants if each["tenantId"] == stage.tenant)
    return [f"user-{number:06}@{domain}" for number in range(count)]


async def _plain(stage: Bench, product: dict[str, str]) -> float:
    """Bulk calls a second of a client that makes one after the other."""
    users = await _users(stage, CHUNK * PLAIN_CALLS)
    url = f"{stage.settings['STORE_BUSINESS_URL']}/V1/Inventory/{product['productId']}/{product['skuId']}/Seats"
    bodies = [users[start : start + CHUNK] for start in range(0, len(users), CHUNK)]
    requests: list[Request] = [("POST", url, {"userNames": body, "seatAction": "Assign"}) for body in bodies]
    return await (await stage.loop(requests)).rate(PLAIN_CALLS)
