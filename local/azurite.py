"""Azurite, Microsoft's storage emulator, as a child process: blobs, queues and tables on loopback."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp

from local import processes

ACCOUNT = "devstoreaccount1"
KEY = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # published by Microsoft
)
ANY_PORTS = (0, 0, 0)

_ROOT = Path(__file__).resolve().parent.parent
_LISTENING = re.compile(r"Azurite (Blob|Queue|Table) service is successfully listening at (http://\S+)")
# Longer than any client here keeps an idle connection, so that none meets one that the server is just closing.
_KEEP_ALIVE_SECONDS = "120"


class AzuriteMissing(RuntimeError):  # noqa: N818 - says what to do, not only that it failed
    """Azurite cannot be started: Node.js or the package is not installed."""


@dataclass(frozen=True, slots=True)
class Azurite:
    """A running Azurite. ``blob``, ``queue`` and ``table`` are the endpoints, account included."""

    server: processes.Server
    blob: str
    queue: str
    table: str

    @property
    def connection_string(self) -> str:
        """For every Azure Storage client, with explicit endpoints."""
        return (
            f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
            f"BlobEndpoint={self.blob};QueueEndpoint={self.queue};TableEndpoint={self.table};"
        )

    @property
    def ports(self) -> tuple[int, int, int]:
        """Blob, queue, table: give them to ``start`` for the same Azurite again."""
        blob, queue, table = (urlsplit(endpoint).port or 0 for endpoint in (self.blob, self.queue, self.table))
        return blob, queue, table

    async def terminate(self) -> None:
        await self.server.terminate(grace=10.0)

    async def kill(self) -> None:
        await self.server.kill()


async def start(
    *,
    log: Path,
    location: Path | None = None,
    ports: tuple[int, int, int] = ANY_PORTS,
    debug_log: Path | None = None,
    access_log: bool = False,
    deadline: float = 60.0,
) -> Azurite:
    """Starts Azurite and waits until all three services answer (about 3 seconds).

    :param location: directory that keeps the state; None keeps it in memory alone.
    :param ports: of blobs, queues and tables; 0 for any free one.
    :param debug_log: file for Azurite's own, very detailed log.
    :param access_log: whether ``log`` gets a line for each request.
    :raises AzuriteMissing: Node.js or ``node_modules/azurite`` is not there.
    :raises processes.ServerError: it did not start, with the end of its log (a port in use is said there).
    """
    server = await processes.start(
        "azurite", _command(location, ports, debug_log, access_log=access_log), log=log, check=_check, deadline=deadline
    )
    endpoints = _endpoints(processes.read_log(log))
    return Azurite(server, endpoints["Blob"], endpoints["Queue"], endpoints["Table"])


running = processes.as_context(start)


def _command(
    location: Path | None, ports: tuple[int, int, int], debug_log: Path | None, *, access_log: bool
) -> list[str]:
    node = shutil.which("node")
    if node is None:
        raise AzuriteMissing(
            "node is not on the PATH; install Node.js 20 or later (Azurite, the storage emulator, needs it)"
        )
    script = _ROOT / "node_modules" / "azurite" / "dist" / "src" / "azurite.js"
    if not script.is_file():
        raise AzuriteMissing(f"{script} is not there; run `npm install` in {_ROOT}")
    command = [node, str(script), "--skipApiVersionCheck", "--disableTelemetry"]
    if not access_log:
        command += ["--silent"]
    for service, port in zip(("blob", "queue", "table"), ports, strict=True):
        command += [f"--{service}Host", "127.0.0.1", f"--{service}Port", str(port)]
        command += [f"--{service}KeepAliveTimeout", _KEEP_ALIVE_SECONDS]
    if location is None:
        command += ["--inMemoryPersistence"]
    else:
        location.mkdir(parents=True, exist_ok=True)
        command += ["--location", str(location)]
    if debug_log is not None:
        command += ["--debug", str(debug_log)]
    return command


def _endpoints(log: str) -> dict[str, str]:
    return {service: f"{address}/{ACCOUNT}" for service, address in _LISTENING.findall(log)}


async def _check(log: str) -> str | None:
    """Every service listens, and answers (403 without a signature is an answer)."""
    endpoints = _endpoints(log)
    if len(endpoints) < 3:
        return None
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as session:
        try:
            for endpoint in endpoints.values():
                async with session.get(f"{endpoint}?comp=list"):
                    pass
        except (aiohttp.ClientError, TimeoutError):
            return None
    return endpoints["Blob"]
