"""``python -m benchmarks.bare_loop FILE``: renews keys with httpx and nothing else, in a process of its own.

FILE is JSON: ``url``, ``token``, ``keys``, ``clients``, ``connections`` (a client), ``calls``. Prints calls a second.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import httpx


async def rate(job: dict[str, Any]) -> float:
    """Calls a second, connections and handshakes included, as an app's are."""
    context = httpx.create_ssl_context()
    limits = httpx.Limits(max_connections=job["connections"])
    clients = [httpx.AsyncClient(verify=context, limits=limits, timeout=60) for _ in range(job["clients"])]
    keys = iter([job["keys"][number % len(job["keys"])] for number in range(job["calls"])])

    async def caller(client: httpx.AsyncClient) -> None:
        for key in keys:
            response = await client.post(job["url"], json={"serviceTicket": job["token"], "key": key})
            response.raise_for_status()
            response.json()["key"]

    started = time.perf_counter()
    await asyncio.gather(*(caller(client) for client in clients for _ in range(job["connections"])))
    elapsed = time.perf_counter() - started
    for client in clients:
        await client.aclose()
    return float(job["calls"] / elapsed)


if __name__ == "__main__":
    print(asyncio.run(rate(json.loads(Path(sys.argv[1]).read_text("utf-8")))))
