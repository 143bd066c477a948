"""The lives of the app as a test leads them: begun, lost, begun anew, on a clock that the test moves."""

import asyncio
import json
import mmap
import os
import signal
import struct
import sys
from asyncio.subprocess import PIPE
from collections import deque
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx

from local import processes
from local.control import Control
from local.stack import ROOT, Servers, servers
from shared.settings import Settings
from shared.wiring import Wiring
from tests.faults.gate import Gate, gate_before
from tests.faults.points import Aim
from tests.support.app import Headers, Storage
from tests.support.trusting import trusted

_NEVER = "0 0 0 1 1 *"
SETTINGS = {
    **dict.fromkeys(
        ("KEY_RENEWAL_SCHEDULE", "REFUND_SCHEDULE", "SWEEP_SCHEDULE", "CATALOG_SYNC_SCHEDULE"),
        _NEVER,
    ),
    **{
        f"AzureWebJobs.{name}.Disabled": "true"
        for name in (
            "renew_store_ids",
            "fetch_products",
            "list_inventory",
            "download_files",
            "take_seat_job",
            "advance_seat_jobs",
            "change_seats",
        )
    },
    "BUSINESS_TENANTS": "",
    "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:00",
    "AzureFunctionsJobHost__extensions__queues__maxPollingInterval": "00:00:00.1",
}
"""The timers run when a test says so, and what is not tried here does not poll."""


class Clock:
    """The clock of all lives: how far it is ahead of the machine's."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.write_bytes(bytes(8))
        with file.open("r+b") as opened:
            self._ahead = mmap.mmap(opened.fileno(), 8)
        self.ahead = timedelta(0)

    def set(self, ahead: timedelta) -> None:
        """Put it."""
        self.ahead = ahead
        self._ahead[:8] = struct.pack("d", ahead.total_seconds())

    def later(self, **time: float) -> None:
        """Time goes by."""
        self.set(self.ahead + timedelta(**time))


@dataclass
class Life:
    """One process of the app, from its start to its end."""

    pid: int
    log: Path
    report: Path
    url: str = ""
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def crossed(self) -> list[str]:
        """The points it crossed, in order; one that was killed died at the last."""
        return self.report.read_text().splitlines() if self.report.exists() else []

    async def end(self) -> None:
        """Kill it."""
        if not self.ended.is_set():
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            await self.ended.wait()


class Lives:
    """Begins lives."""

    def __init__(self, folder: Path, process: asyncio.subprocess.Process) -> None:
        self._folder = folder
        self._process = process
        self._count = 0
        self._ordered: deque[tuple[Path, Path]] = deque()
        self._began: asyncio.Queue[Life] = asyncio.Queue()
        self._listener = asyncio.create_task(self._listen())

    async def begin(self, aim: Aim | None = None) -> Life:
        """Begin one that dies at ``aim``; it may be dead before it serves."""
        self._count += 1
        log, report = self._folder / f"life{self._count}.log", self._folder / f"life{self._count}.points"
        order = {"log": str(log), "report": str(report), "aim": asdict(aim) if aim else None}
        assert self._process.stdin
        self._ordered.append((log, report))
        self._process.stdin.write(f"{json.dumps(order)}\n".encode())
        life = await self._began.get()
        while not life.ended.is_set() and not life.url:
            life.url = await processes.ready_line(processes.read_log(log)) or ""
            await asyncio.sleep(0.01)
        return life

    async def _listen(self) -> None:
        assert self._process.stdout
        lives: dict[int, Life] = {}
        while line := await self._process.stdout.readline():
            match json.loads(line):
                case {"began": pid}:
                    lives[pid] = Life(pid, *self._ordered.popleft())
                    self._began.put_nowait(lives[pid])
                case {"ended": pid}:
                    lives.pop(pid).ended.set()

    async def close(self) -> None:
        """End all."""
        assert self._process.stdin
        self._process.stdin.close()
        await self._process.wait()
        await self._listener


@dataclass
class Bench:
    """Servers, lives of the app that use them, and our own view of its books."""

    servers: Servers
    storage: Storage
    wiring: Wiring
    clock: Clock
    lives: Lives
    http: httpx.AsyncClient
    gate: Gate

    @property
    def control(self) -> Control:
        """The emulator."""
        return self.servers.control

    async def operator(self) -> Headers:
        """Who may ask for everybody."""
        return await self.control.bearer("operator", "operator-1")


@asynccontextmanager
async def bench(folder: Path, *, gated: bool = False) -> AsyncIterator[Bench]:
    """Servers of its own, with nothing in them; where it is ``gated``, the app reaches storage through the gate."""
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(servers(folder))
        values = await running.control.settings() | {"AzureWebJobsStorage": running.azurite.connection_string}
        environment = stack.enter_context(trusted(values["SSL_CERT_FILE"]))
        for name, value in values.items():
            if name.startswith("AZURE_"):
                environment.setenv(name, value)
        wiring = Wiring(Settings.load(values | SETTINGS))
        stack.push_async_callback(wiring.close)
        clock = Clock(folder / "clock")
        gate = await stack.enter_async_context(gate_before(running.azurite))
        way = {"AzureWebJobsStorage": gate.connection_string} if gated else {}
        file = await running.write_settings(SETTINGS | way)
        command = [sys.executable, "-m", "tests.faults.host", "--settings", str(file), "--clock", str(clock.file)]
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, cwd=ROOT)
        lives = Lives(folder, process)
        stack.push_async_callback(lives.close)
        http = await stack.enter_async_context(httpx.AsyncClient(timeout=30))
        storage = Storage(running.azurite.connection_string)
        yield Bench(running, storage, wiring, clock, lives, http, gate)
