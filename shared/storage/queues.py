"""Queues: messages to other instances of the app, and to whoever listens."""

import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from shared.errors import UnavailableError
from shared.storage.account import Account, storage_errors

if TYPE_CHECKING:
    from azure.storage.queue.aio import QueueClient


_LONGEST_DELAY = 7 * 24 * 3600


MOST_AT_ONCE = 32
"""Messages that one call shows or takes (Azure Queue Storage)."""

_TAKEN = 30


@dataclass(frozen=True, slots=True)
class Letter:
    """One message in a queue; ``pop_receipt`` where it was taken."""

    id: str
    content: str
    pop_receipt: str | None = None


class Queue:
    """One queue of the account; made on first use where it does not exist."""

    def __init__(self, account: Account, name: str) -> None:
        self.name = name
        self._account = account
        self._client: QueueClient | None = None

    async def send(self, message: object, *, time_to_live: int | None = None, delay: float = 0) -> None:
        """Put ``message`` as plain JSON.

        ``time_to_live`` in seconds, for ever without it; nobody sees it before ``delay`` seconds, at most 7 days.

        :raises UnavailableError: the account is away; whether the message was put is not known.
        """
        # In ASCII: a queue's messages travel as XML, which has no way to write some of the characters that JSON has.
        text = json.dumps(msgspec.to_builtins(message), separators=(",", ":"))
        await self.send_text(text, time_to_live=time_to_live, delay=delay)

    async def send_text(self, text: str, *, time_to_live: int | None = None, delay: float = 0) -> None:
        """Put a text as it is. Otherwise as :meth:`send`."""
        async with self._connected() as client:
            hidden = min(math.ceil(delay), _LONGEST_DELAY)
            life = -1 if time_to_live is None else time_to_live
            await client.send_message(text, time_to_live=life, visibility_timeout=hidden)

    async def peek(self) -> list[Letter]:
        """The oldest messages that are not being worked on, at most 32, left where they are.

        :raises UnavailableError: the account is away.
        """
        async with self._connected() as client:
            return [Letter(each.id, str(each.content)) for each in await client.peek_messages(MOST_AT_ONCE)]

    async def take(self, message_id: str) -> Letter | None:
        """One of the oldest messages, hidden from others for half a minute; None where it is not among them.

        :raises UnavailableError: the account is away.
        """
        async with self._connected() as client:
            found = None
            page = client.receive_messages(messages_per_page=MOST_AT_ONCE, visibility_timeout=_TAKEN).by_page()
            for each in [each async for each in await anext(page)]:
                if each.id == message_id:
                    found = Letter(each.id, str(each.content), each.pop_receipt)
                else:
                    await client.update_message(each, visibility_timeout=0)
            return found

    async def remove(self, letter: Letter) -> None:
        """Delete a message that was taken.

        :raises UnavailableError: the account is away.
        """
        async with self._connected() as client:
            await client.delete_message(letter.id, letter.pop_receipt)

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
