"""Queues: messages to other instances of the app, and to whoever listens."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import msgspec

from shared.errors import UnavailableError
from shared.storage.account import Account, storage_errors

if TYPE_CHECKING:
    from azure.storage.queue.aio import QueueClient


class Queue:
    """One queue of the account; made on first use where it does not exist."""

    def __init__(self, account: Account, name: str) -> None:
        self.name = name
        self._account = account
        self._client: QueueClient | None = None

    async def send(self, message: object, *, time_to_live: int | None = None) -> None:
        """Put ``message`` as plain JSON; ``time_to_live`` in seconds, for ever without it.

        :raises UnavailableError: the account is away; whether the message was put is not known.
        """
        # In ASCII: a queue's messages travel as XML, which has no way to write some of the characters that JSON has.
        text = json.dumps(msgspec.to_builtins(message), separators=(",", ":"))
        async with self._connected() as client:
            await client.send_message(text, time_to_live=-1 if time_to_live is None else time_to_live)

    async def check(self) -> None:
        """Make sure that the queue answers.

        :raises UnavailableError: it does not.
        """
        async with self._connected() as client:
            await client.get_queue_properties()

    @asynccontextmanager
    async def _connected(self) -> "AsyncIterator[QueueClient]":
        from azure.core.exceptions import (  # noqa: PLC0415 - loaded with the client
            ResourceExistsError,
            ResourceNotFoundError,
        )

        with storage_errors("storage-queues"):
            if self._client is None:
                client = self._account.queues().get_queue_client(self.name)
                with suppress(ResourceExistsError):
                    await client.create_queue()
                self._client = client
            try:
                yield self._client
            except ResourceNotFoundError as error:
                self._client = None
                raise UnavailableError("storage-queues", f"the queue {self.name} was gone; it is made anew") from error
