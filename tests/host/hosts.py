"""Sample apps run by the local host, as the tests need them."""

import asyncio
import contextlib
import itertools
import json
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueMessage
from azure.storage.queue.aio import QueueClient

from local import processes

APPS = Path(__file__).parent / "apps"
_numbers = itertools.count()


@dataclass(frozen=True, slots=True)
class Hosts:
    """Starts hosts; logs and settings files are kept in ``directory``."""

    directory: Path
    storage: str

    def command(self, app: str, *options: str, **settings: str) -> tuple[list[str], Path]:
        """The command that runs a sample app, and where it is to log."""
        name = f"{app}-{next(_numbers)}"
        file = self.directory / f"{name}.json"
        values = {"AzureWebJobsStorage": self.storage, "FUNCTIONS_WORKER_RUNTIME": "python", **settings}
        file.write_text(json.dumps({"IsEncrypted": False, "Values": values}), "utf-8")
        command = [sys.executable, "-W", "always", "-m", "local.host", "--settings", str(file)]
        return [*command, "--app", str(APPS / app), *options], self.directory / f"{name}.log"

    @asynccontextmanager
    async def running(self, app: str, *options: str, **settings: str) -> AsyncIterator[processes.Server]:
        command, log = self.command(app, *options, **settings)
        async with processes.running(app, command, log=log) as server:
            yield server

    async def refused(self, app: str, *options: str, **settings: str) -> str:
        """What the host says about an app that it is expected not to start."""
        command, log = self.command(app, *options, **settings)
        assert await processes.finish(command, log=log) == 1
        return processes.read_log(log)

    @asynccontextmanager
    async def queue(self, name: str = "") -> AsyncIterator[QueueClient]:
        """A queue that is there; without ``name`` one of its own."""
        async with QueueClient.from_connection_string(self.storage, name or unique()) as queue:
            with contextlib.suppress(ResourceExistsError):
                await queue.create_queue()
            yield queue


def unique(prefix: str = "q") -> str:
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


async def eventually[T](ask: Callable[[], T | None], seconds: float = 10.0) -> T:
    """The first true answer; fails after ``seconds``."""

    async def asked() -> T | None:
        return ask()

    return await eventually_async(asked, seconds)


async def eventually_async[T](ask: Callable[[], Awaitable[T | None]], seconds: float = 10.0) -> T:
    """``eventually`` for a question that has to be awaited."""
    deadline = time.monotonic() + seconds
    while not (answer := await ask()):
        assert time.monotonic() < deadline, f"nothing within {seconds} seconds"
        await asyncio.sleep(0.02)
    return answer


async def received(queue: QueueClient, number: int, seconds: float = 10.0) -> list[QueueMessage]:
    """Takes ``number`` messages out of a queue, waiting for them (and for the queue)."""
    found: list[QueueMessage] = []

    async def enough() -> bool:
        with contextlib.suppress(ResourceNotFoundError):
            async for message in queue.receive_messages(max_messages=number - len(found)):
                found.append(message)
                await queue.delete_message(message)
        return len(found) == number

    await eventually_async(enough, seconds)
    return found


async def emptied(queue: QueueClient, seconds: float = 10.0) -> None:
    """Waits until no message is left, hidden ones included."""

    async def empty() -> bool:
        return (await queue.get_queue_properties()).approximate_message_count == 0

    await eventually_async(empty, seconds)
