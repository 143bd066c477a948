"""The servers of the guided run, and the hands with which it uses them: as a game, an operator, an administrator."""

import asyncio
import json
import ssl
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx
from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.queue.aio import QueueServiceClient

from local import processes
from local.control import Kind
from local.stack import Servers

type Bearer = Mapping[str, str]

CREATE_PATH: dict[Kind, str] = {
    "collections": "/v7.0/beneficiaries/me/keys",
    "purchase": "/v7.0/users/me/keys",
}
"""Where a game, through the Store's client library, has a key made."""

NEW_YEAR = "0 0 0 1 1 *"
EVENTS = "store-events"


class StuckError(RuntimeError):
    """Something that was waited for did not come."""


@dataclass(slots=True)
class Running:
    """The app process of the moment, and a client of it."""

    process: processes.Server
    client: httpx.AsyncClient


class World:
    """As a context: clients open, the app stopped on the way out."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers
        self.control = servers.control
        self.settings: dict[str, str] = {}
        self.handed_out: list[str] = []
        """Tokens that this run was given for callers and games: they too must be seen in no log."""
        self._stack = AsyncExitStack()
        self._running: Running | None = None
        self._starts = 0

    async def __aenter__(self) -> Self:
        self.settings = await self.control.settings()
        context = ssl.create_default_context(cafile=self.settings["SSL_CERT_FILE"])
        self._store = await self._stack.enter_async_context(httpx.AsyncClient(verify=context, timeout=30))
        account = self.servers.azurite.connection_string
        self._queues = await self._stack.enter_async_context(QueueServiceClient.from_connection_string(account))
        self._blobs = await self._stack.enter_async_context(BlobServiceClient.from_connection_string(account))
        self._tables = await self._stack.enter_async_context(TableServiceClient.from_connection_string(account))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._running is not None:
            await self._running.client.aclose()
            await self._running.process.terminate()
        await self._stack.aclose()

    # The app

    @property
    def app(self) -> processes.Server:
        """The app's process."""
        return self._app().process

    async def start_app(self) -> None:
        """Start the app, anew after it was killed."""
        self._starts += 1
        name = "app" if self._starts == 1 else f"app-{self._starts}"
        # Timers are fired by hand, at moments of this run's choosing; their own schedules must not come in between.
        timers = ("KEY_RENEWAL_SCHEDULE", "CATALOG_SYNC_SCHEDULE", "REFUND_SCHEDULE", "SWEEP_SCHEDULE")
        never = dict.fromkeys(timers, NEW_YEAR)
        process = await self.servers.start_app(never, name=name)
        self._running = Running(process, httpx.AsyncClient(base_url=f"{process.url}/api", timeout=60))

    async def kill_app(self) -> int:
        """End the app as a crash would; its exit code."""
        running = self._app()
        await running.client.aclose()
        self._running = None
        return await running.process.kill()

    async def call(
        self,
        method: str,
        path: str,
        bearer: Bearer | None = None,
        body: object = None,
        *,
        query: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Call the app over HTTP."""
        return await self._app().client.request(method, path, headers=bearer, json=body, params=query or None)

    async def send_csv(self, path: str, bearer: Bearer, content: str) -> httpx.Response:
        """Post a CSV file to the app."""
        headers = {**bearer, "Content-Type": "text/csv"}
        return await self._app().client.post(path, headers=headers, content=content)

    async def download(self, address: str) -> bytes:
        """What the app leads to, fetched without any token."""
        async with httpx.AsyncClient(timeout=60) as client:
            return (await client.get(address)).raise_for_status().content

    async def store_ids(self, bearer: Bearer, user: str = "me") -> dict[str, dict[str, str]]:
        """What the app says of a player's keys, by kind."""
        answer = await self.call("GET", f"/users/{user}/store-ids", bearer)
        return {each["kind"]: each for each in answer.raise_for_status().json()["storeIds"]}

    async def fire_timer(self, function: str) -> None:
        """Run a timer now, by the local host's admin endpoint, and wait for its end."""
        url = f"{self.app.url}/admin/functions/{function}?wait=true"
        (await self._app().client.post(url)).raise_for_status()

    # The callers and the game

    async def bearer(self, kind: Any, subject: str) -> Bearer:
        """A caller's token, of the emulated issuers."""
        header = await self.control.bearer(kind, subject)
        self.handed_out.append(header["Authorization"].removeprefix("Bearer "))
        return header

    async def make_key(self, kind: Kind, player: str, creation_token: str) -> str:
        """Make a key at the Store as a player's game does: the access token, the player's X-token, over TLS."""
        answer = await self._store.post(
            self.settings[f"STORE_{kind.upper()}_URL"] + CREATE_PATH[kind],
            headers={"Authorization": await self.control.x_token(player, kind)},
            json={"serviceTicket": creation_token, "publisherUserId": player},
        )
        return str(answer.raise_for_status().json()["key"])

    # The storage, as the publisher's own systems and an administrator see it

    async def put_message(self, queue: str, content: str) -> None:
        """Put a message, as another back end of the publisher's does."""
        await self._queues.get_queue_client(queue).send_message(content)

    async def take_events(self) -> list[dict[str, Any]]:
        """The events that wait in the queue, taken out as the publisher's consumer would."""
        queue = self._queues.get_queue_client(EVENTS)
        if not any([each.name == EVENTS async for each in self._queues.list_queues()]):
            return []
        events = []
        async for message in queue.receive_messages(messages_per_page=32):
            events.append(json.loads(message.content))
            await queue.delete_message(message)
        return events

    async def stored(self) -> dict[str, bytes]:
        """Every table, queue and blob of the account, as bytes to search in."""
        found: dict[str, bytes] = {}
        async for each in self._tables.list_tables():
            rows = [dict(row) async for row in self._tables.get_table_client(each.name).list_entities()]
            found[f"table {each.name}"] = b"\n".join(_flat(row) for row in rows)
        async for queue in self._queues.list_queues():
            messages = await self._queues.get_queue_client(queue.name).peek_messages(32)
            found[f"queue {queue.name}"] = b"\n".join(str(message.content).encode() for message in messages)
        async for container in self._blobs.list_containers():
            client = self._blobs.get_container_client(container.name)
            async for blob in client.list_blobs():
                found[f"blob {container.name}/{blob.name}"] = await (await client.download_blob(blob.name)).readall()
        return found

    def _app(self) -> Running:
        if self._running is None:
            raise StuckError("the app is not running")
        return self._running


def _flat(row: Mapping[str, object]) -> bytes:
    return b" ".join(value if isinstance(value, bytes) else str(value).encode() for value in row.values())


async def until(what: str, holds: Callable[[], Awaitable[bool]], seconds: float = 20.0, pause: float = 0.1) -> None:
    """Wait for something to come true.

    :raises StuckError: it did not within ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while not await holds():
        if time.monotonic() > deadline:
            raise StuckError(f"waited {seconds:g} s for this: {what}")
        await asyncio.sleep(pause)
