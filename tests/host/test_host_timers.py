"""Timers of the app ``timer``."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import aiohttp
import pytest_asyncio

from local.processes import Server
from tests.host.hosts import Hosts, eventually_async


@pytest_asyncio.fixture(scope="module")
async def server(hosts: Hosts) -> AsyncIterator[Server]:
    settings = {"TICK_SCHEDULE": "*/1 * * * * *", "AzureWebJobs.off.Disabled": "true"}
    async with hosts.running("timer", **settings) as server:
        yield server


async def _told(http: aiohttp.ClientSession, server: Server) -> dict[str, Any]:
    async with http.get(f"{server.url}/api/told") as response:
        content: dict[str, Any] = json.loads(await response.read())
        return content


async def test_schedules(http: aiohttp.ClientSession, server: Server) -> None:
    async def ticked() -> dict[str, Any] | None:
        told = await _told(http, server)
        return told if len(told["ticks"]) >= 3 else None

    told = await eventually_async(ticked)
    ticks = [tick.split() for tick in told["ticks"]]
    moments = [datetime.fromisoformat(moment) for moment, _ in ticks]
    # Each at its second, once, and none past due
    assert len({moment.replace(microsecond=0) for moment in moments}) == len(moments)
    assert all(moment.microsecond < 900_000 for moment in moments)
    assert {past_due for _, past_due in ticks} == {"False"}
    assert told["startup"] == 1
    # One that takes longer than its interval does not overlap itself
    assert told["long"] > 1
    assert told["overlaps"] == 0
    # One that is disabled by its setting does not run
    assert told["off"] == 0


async def test_run_by_hand(http: aiohttp.ClientSession, server: Server) -> None:
    url = f"{server.url}/admin/functions/never"
    async with http.post(url, params={"wait": "true"}) as response:
        assert response.status == 200
    assert (await _told(http, server))["never"] == 1
    async with http.post(url, params={"wait": "true"}) as response:
        assert response.status == 500  # it raises the second time
    async with http.post(url) as response:
        assert response.status == 202

    async def ran() -> bool:
        return bool((await _told(http, server))["never"] == 3)

    await eventually_async(ran)
