"""A running app as its callers see it, and the account behind it as nobody but a test does."""

import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
from azure.core.exceptions import ResourceExistsError
from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient
from azure.storage.queue.aio import QueueServiceClient

from local import processes
from local.control import Control, Kind
from local.stack import Servers
from tests.support.polling import eventually

_NEVER = "0 0 0 1 1 *"
QUIET = {
    "KEY_RENEWAL_SCHEDULE": _NEVER,
    "CATALOG_SYNC_SCHEDULE": _NEVER,
    "REFUND_SCHEDULE": _NEVER,
    "SWEEP_SCHEDULE": _NEVER,
    "AzureFunctionsJobHost__extensions__queues__visibilityTimeout": "00:00:00",
    "AzureFunctionsJobHost__extensions__queues__maxPollingInterval": "00:00:00.5",
}
"""Timers are run by hand, when a test says so, and a message that failed comes back at once."""

type Headers = dict[str, str]


@dataclass
class App:
    """The app in a host of its own, and callers with their headers."""

    server: processes.Server
    http: httpx.AsyncClient
    control: Control

    async def player(self, name: str | None = None, **options: Any) -> Headers:
        """The header of a player; without a name, of one who has never been seen."""
        return await self.control.bearer("player", name or unique(), **options)

    async def operator(self, **options: Any) -> Headers:
        """The header of an operator."""
        return await self.control.bearer("operator", "operator-1", **options)

    async def put(self, headers: Headers, kind: Kind, key: str, user: str = "me") -> httpx.Response:
        """Hand in a key."""
        return await self.http.put(f"/users/{user}/store-ids/{kind}", headers=headers, json={"key": key})

    async def keep(self, headers: Headers, kind: Kind, key: str) -> dict[str, Any]:
        """Hand in a key that is to be taken."""
        answer = await self.put(headers, kind, key)
        assert answer.status_code in {200, 201}, answer.text
        kept: dict[str, Any] = answer.json()
        return kept

    async def kept(self, headers: Headers, user: str = "me") -> dict[str, dict[str, Any]]:
        """What is known of a player's keys, by kind."""
        answer = await self.http.get(f"/users/{user}/store-ids", headers=headers)
        assert answer.status_code == 200, answer.text
        return {each["kind"]: each for each in answer.json()["storeIds"]}

    async def run_timer(self) -> None:
        """Have the app look for what is due, now."""
        answer = await self.http.post(f"{self.server.url}/admin/functions/plan_renewals?wait=true", json={})
        assert answer.status_code == 200, answer.text


def unique(prefix: str = "player") -> str:
    """A name that was never used before."""
    return f"{prefix}-{uuid4().hex[:12]}"


@asynccontextmanager
async def started(
    servers: Servers,
    name: str,
    changes: Mapping[str, str] | None = None,
    *,
    options: tuple[str, ...] = (),
    env: Mapping[str, str] | None = None,
) -> AsyncIterator[App]:
    """The app, stopped in the end."""
    server = await servers.start_app(QUIET | dict(changes or {}), name=name, options=options, env=env)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    try:
        async with httpx.AsyncClient(base_url=f"{server.url}/api", timeout=60, limits=limits) as http:
            yield App(server, http, servers.control)
    finally:
        await server.terminate()


def problem(answer: httpx.Response, status: int, *pointers: str) -> dict[str, Any]:
    """The problem document of an answer, complete, with faults at ``pointers`` and at no other place."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].partition(";")[0] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document.keys() - {"errors"} == {"type", "title", "status", "detail", "correlationId"}
    assert document["status"] == status
    assert document["correlationId"] == answer.headers["x-correlation-id"]
    assert all(document[name] for name in ("type", "title", "detail", "correlationId"))
    faults = document.get("errors", [])
    assert [fault["pointer"] for fault in faults] == list(pointers)
    assert all(fault["detail"] for fault in faults)
    return document


@dataclass
class Storage:
    """The storage account, read and written past the app."""

    connection_string: str
    _told: dict[str, list[str]] = field(default_factory=dict, init=False)

    async def rows(self, table: str = "storeids", query: str = "PartitionKey ne ''") -> list[dict[str, Any]]:
        """The rows of a table, leases left out; none where there is no table."""
        async with TableServiceClient.from_connection_string(self.connection_string) as service:
            if table not in [each.name async for each in service.list_tables()]:
                return []
            entities = service.get_table_client(table).query_entities(query)
            return [dict(entity) async for entity in entities if entity["RowKey"] != "lease"]

    async def rows_of(self, user: str, table: str = "storeids") -> list[dict[str, Any]]:
        """The rows of one player, the own one last."""
        return await self.rows(table, f"userId eq '{user}'")

    async def free_leases(self, table: str = "storeids") -> None:
        """Forget who works on what, as time would."""
        async with TableServiceClient.from_connection_string(self.connection_string) as service:
            client = service.get_table_client(table)
            async for entity in client.query_entities("RowKey eq 'lease'"):
                await client.delete_entity(entity["PartitionKey"], entity["RowKey"])

    async def messages(self, queue: str) -> list[str]:
        """What a queue holds, at most 32, left where it is."""
        async with QueueServiceClient.from_connection_string(self.connection_string) as service:
            if queue not in [each.name async for each in service.list_queues()]:
                return []
            return [message.content for message in await service.get_queue_client(queue).peek_messages(max_messages=32)]

    async def told(self, queue: str = "store-events") -> list[dict[str, Any]]:
        """All events so far, in the order in which they were told.

        They are taken and remembered: a peek sees no more than the 32 oldest of what all tests together caused.
        """
        told = self._told.setdefault(queue, [])
        while taken := await self.take(queue):
            told += taken
        return [json.loads(message) for message in told]

    async def events(self, user: str, queue: str = "store-events") -> list[dict[str, Any]]:
        """The events about one player."""
        return [event for event in await self.told(queue) if event["data"].get("userId") == user]

    async def take(self, queue: str) -> list[str]:
        """Take the messages that a queue shows, at most 32."""
        async with QueueServiceClient.from_connection_string(self.connection_string) as service:
            if queue not in [each.name async for each in service.list_queues()]:
                return []
            client = service.get_queue_client(queue)
            taken = [message async for message in client.receive_messages(max_messages=32)]
            for message in taken:
                await client.delete_message(message)
            return [str(message.content) for message in taken]

    async def count(self, queue: str) -> int:
        """How many messages a queue holds, hidden ones too."""
        async with QueueServiceClient.from_connection_string(self.connection_string) as service:
            properties = await service.get_queue_client(queue).get_queue_properties()
            return int(properties.approximate_message_count or 0)

    async def send(self, queue: str, content: str) -> None:
        """Put a message."""
        async with QueueServiceClient.from_connection_string(self.connection_string) as service:
            client = service.get_queue_client(queue)
            with contextlib.suppress(ResourceExistsError):
                await client.create_queue()
            await client.send_message(content)

    async def delete_container(self, container: str) -> None:
        """Delete a container of blobs with all that it holds."""
        async with BlobServiceClient.from_connection_string(self.connection_string) as service:
            await service.delete_container(container)

    async def drained(self, queue: str = "store-id-renewals") -> None:
        """Wait until a queue holds nothing, hidden messages included."""
        async with QueueServiceClient.from_connection_string(self.connection_string) as service:
            client = service.get_queue_client(queue)

            async def empty() -> bool:
                return (await client.get_queue_properties()).approximate_message_count == 0

            await eventually(empty)

    async def everything(self) -> dict[str, bytes]:
        """All that the account holds: every row and message, as bytes by place."""
        places: dict[str, bytes] = {}
        async with TableServiceClient.from_connection_string(self.connection_string) as tables:
            async for table in tables.list_tables():
                async for entity in tables.get_table_client(table.name).list_entities():
                    values = [value if isinstance(value, bytes) else str(value).encode() for value in entity.values()]
                    places[f"table {table.name} {entity['RowKey']}"] = b"\n".join(values)
        async with QueueServiceClient.from_connection_string(self.connection_string) as queues:
            async for queue in queues.list_queues():
                for message in await queues.get_queue_client(queue.name).peek_messages(max_messages=32):
                    places[f"queue {queue.name} {message.id}"] = str(message.content).encode()
        for name, told in self._told.items():
            places[f"queue {name}, taken"] = "\n".join(told).encode()
        return places
