"""What the benchmarks of Store for Business share: one tenant, a slow Store, a client of the app."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from benchmarks.bare_loop import BareLoop, Request
from benchmarks.entra import access_token
from local import processes
from local.stack import Servers, servers

LATENCY_MS = 50
NEVER = "0 0 0 1 1 *"
PATIENCE = 600.0
"""Seconds that a job or a pass is waited for."""


@dataclass(frozen=True, slots=True)
class Bench:
    """The servers, an app of its own settings, an operator's client of it."""

    stack: Servers
    app: processes.Server
    client: httpx.AsyncClient
    tenant: str
    settings: dict[str, str]

    async def ended(self, location: str) -> dict[str, Any]:
        """The state of a job or pass once it has ended."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            state: dict[str, Any] = (await self.client.get(location)).raise_for_status().json()
            if state["status"] not in {"preparing", "queued", "running"}:
                return state
            await asyncio.sleep(0.5)
        raise RuntimeError(f"{location} did not end within {PATIENCE:.0f} seconds")

    async def calls(self, since: int, path: str = "", method: str = "") -> int:
        """Calls that the Store saw."""
        query = {name: value for name, value in (("path", path), ("method", method)) if value}
        return await self.stack.control.count(service="business", since=since, **query)

    async def loop(self, requests: list[Request]) -> BareLoop:
        """A bare loop of calls that the tenant's app makes."""
        tenants = await self.stack.control.business_tenants()
        client_id = next(each["clientId"] for each in tenants if each["tenantId"] == self.tenant)
        headers = {"Authorization": f"Bearer {await access_token(self.stack.control, self.tenant, client_id)}"}
        return BareLoop(self.stack.folder, self.settings["SSL_CERT_FILE"], requests, headers)


@asynccontextmanager
async def bench(folder: Path, **changes: str) -> AsyncIterator[Bench]:
    """Everything up, the timers never, one tenant."""
    async with servers(folder, access_log=True) as stack:
        settings = await stack.control.settings()
        tenant = (await stack.control.business_tenants())[0]["tenantId"]
        quiet = dict.fromkeys(("CATALOG_SYNC_SCHEDULE", "KEY_RENEWAL_SCHEDULE", "SWEEP_SCHEDULE"), NEVER)
        app = await stack.start_app({**quiet, **changes})
        try:
            bearer = await stack.control.bearer("operator", "operator-1", expiresInSeconds=7200)
            async with httpx.AsyncClient(base_url=app.url, headers=bearer, timeout=120) as client:
                yield Bench(stack, app, client, tenant, settings)
        finally:
            await app.terminate()
