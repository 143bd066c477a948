"""Queues: messages to other instances of the app, and to whoever listens."""

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

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
        client = await self._connected()
        text = msgspec.json.encode(message).decode()
        with storage_errors("storage-queues"):
            await client.send_message(text, time_to_live=-1 if time_to_live is None else time_to_live)

    async def check(self) -> None:
        """Make sure that the queue answers.

        :raises UnavailableError: it does not.
        """
        client = await self._connected()
        with storage_errors("storage-queues"):
            await client.get_queue_properties()

    async def _connected(self) -> "QueueClient":
        if self._client is None:
            from azure.core.exceptions import ResourceExistsError  # noqa: PLC0415 - loaded with the client

            client = self._account.queues().get_queue_client(self.name)
            with storage_errors("storage-queues"), suppress(ResourceExistsError):
                await client.create_queue()
            self._client = client
        return self._client
