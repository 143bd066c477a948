"""Tokens: a warm ``POST /tokens/collections`` beside a hello-world function, and a cold cache under 1,000 requests."""

import asyncio
import statistics
import time
from pathlib import Path

import aiohttp

from benchmarks.report import Finding
from benchmarks.start import HELLO
from local import processes
from local.stack import Servers, servers

ROUNDS = 10
REQUESTS = 300
WARM_UP = 200
CONCURRENT = 1000
LIMIT = 1.5


async def measure(folder: Path) -> list[Finding]:
    """Both apps run in hosts of their own, side by side, and are asked in turn."""
    async with servers(folder) as stack:
        app = await stack.start_app(options=("--log-level", "Warning"))
        hello = await stack.start_app(name="hello", options=("--app", str(HELLO), "--log-level", "Warning"))
        try:
            return [await _warm(stack, app, hello), *await _cold(stack)]
        finally:
            await asyncio.gather(app.terminate(), hello.terminate())


async def _warm(stack: Servers, app: processes.Server, hello: processes.Server) -> Finding:
    bearer = await stack.control.bearer("player", "player-1")
    ours: list[float] = []
    baseline: list[float] = []
    async with aiohttp.ClientSession(headers=bearer) as session:
        for url in (_token(app), f"{hello.url}/api/hello"):
            await _times(session, url, WARM_UP)
        for _ in range(ROUNDS):
            ours.append(statistics.median(await _times(session, _token(app), REQUESTS)))
            baseline.append(statistics.median(await _times(session, f"{hello.url}/api/hello", REQUESTS)))
    # Round by round: what else the machine does for some seconds falls on both of a round.
    ratio = statistics.median(token / world for token, world in zip(ours, baseline, strict=True))
    token, world = statistics.median(ours), statistics.median(baseline)
    detail = f"{ROUNDS} rounds of {REQUESTS}: {token * 1e6:.0f} us, hello-world {world * 1e6:.0f} us"
    return Finding("tokens: warm request / hello-world", ratio, LIMIT, "x", detail)


async def _cold(stack: Servers) -> list[Finding]:
    """A thousand at once for each audience, at an app that has just started."""
    app = await stack.start_app(name="cold", options=("--log-level", "Warning"))
    seen = await stack.control.last_seen()
    bearer = await stack.control.bearer("player", "player-1")
    connector = aiohttp.TCPConnector(limit=CONCURRENT)
    try:
        async with aiohttp.ClientSession(headers=bearer, connector=connector) as session:
            urls = [_token(app), _token(app, "purchase")] * CONCURRENT
            statuses = await asyncio.gather(*(_status(session, url) for url in urls))
    finally:
        await app.terminate()
    asked = await stack.control.count(service="entra", method="POST", path="/token$", since=seen)
    # One more, for the vault: the app reads its client secret there with a token of its own.
    own = 1
    right = sum(status == 200 for status in statuses)
    return [
        Finding(
            "tokens: Entra calls an audience, cold", (asked - own) / 2, 1, "calls", f"{len(urls)} requests at once"
        ),
        Finding("tokens: answered 200, cold", right / len(urls), 1, "share", f"{right} requests", at_least=True),
    ]


def _token(app: processes.Server, kind: str = "collections") -> str:
    return f"{app.url}/api/tokens/{kind}"


async def _times(session: aiohttp.ClientSession, url: str, count: int) -> list[float]:
    times = []
    for _ in range(count):
        started = time.perf_counter()
        status = await _status(session, url)
        times.append(time.perf_counter() - started)
        if status != 200:
            raise RuntimeError(f"{url} answered {status}")
    return times


async def _status(session: aiohttp.ClientSession, url: str) -> int:
    async with session.post(url) as response:
        await response.read()
        return response.status
