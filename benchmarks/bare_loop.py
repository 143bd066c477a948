"""``python -m benchmarks.bare_loop FILE``: makes calls with httpx and nothing else, in a process of its own.

FILE is JSON: ``ca`` (a file), ``requests`` (each ``[method, url, body]``, body null for none), ``headers``,
``clients``, ``connections`` (a client), ``calls`` (the requests are gone through again until there were so many).
Prints calls a second.
"""

import asyncio
import json
import ssl
import sys
import time
from dataclasses import dataclass, field, replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Self

import httpx

from local.stack import ROOT

CONFIGURATIONS = ((1, 24), (4, 8), (8, 8), (16, 4), (16, 8), (32, 4), (32, 8))
"""Clients and connections of each that the loop is tried with, to find its best concurrency."""

TRIAL_CALLS = 1_500

type Request = tuple[str, str, Any]


@dataclass(frozen=True, slots=True)
class BareLoop:
    """The loop, as another process starts it; ``folder`` takes its job."""

    folder: Path
    ca: str
    requests: list[Request]
    headers: dict[str, str] = field(default_factory=dict)
    clients: int = 1
    connections: int = 1

    async def at_its_best(self) -> Self:
        """The loop with the configuration that was fastest in a trial."""
        loops = [replace(self, clients=clients, connections=each) for clients, each in CONFIGURATIONS]
        trials = [(await loop.rate(TRIAL_CALLS), number) for number, loop in enumerate(loops)]
        return loops[max(trials)[1]]

    async def rate(self, calls: int) -> float:
        """Calls a second."""
        file = self.folder / "bare.json"
        job = {name: getattr(self, name) for name in ("ca", "requests", "headers", "clients", "connections")}
        file.write_text(json.dumps({**job, "calls": calls}), "utf-8")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "benchmarks.bare_loop",
            str(file),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate()
        return float(output)


async def _rate(job: dict[str, Any]) -> float:
    """Calls a second, connections and handshakes included, as an app's are."""
    context = ssl.create_default_context(cafile=job["ca"])
    limits = httpx.Limits(max_connections=job["connections"])
    clients = [
        httpx.AsyncClient(verify=context, limits=limits, timeout=60, headers=job["headers"])
        for _ in range(job["clients"])
    ]
    requests = islice(cycle(job["requests"]), job["calls"])

    async def caller(client: httpx.AsyncClient) -> None:
        for method, url, body in requests:
            response = await client.request(method, url, json=body)
            response.raise_for_status()
            response.json()

    started = time.perf_counter()
    await asyncio.gather(*(caller(client) for client in clients for _ in range(job["connections"])))
    elapsed = time.perf_counter() - started
    for client in clients:
        await client.aclose()
    return float(job["calls"] / elapsed)


if __name__ == "__main__":
    print(asyncio.run(_rate(json.loads(Path(sys.argv[1]).read_text("utf-8")))))
