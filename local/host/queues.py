"""Queue triggers with the rules of Azure's queue listener.

A batch is asked for while no more than ``newBatchThreshold`` messages are being worked on, so at most ``batchSize`` +
``newBatchThreshold`` run at once. An empty queue is asked again after a random time that doubles, from 0.1 seconds up
to ``maxPollingInterval``. A message is hidden for ten minutes at a time while it runs; success deletes it, an exception
hides it for ``visibilityTimeout``; at ``maxDequeueCount`` it is copied to ``<queue>-poison`` and deleted.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from azure.core.exceptions import AzureError, ResourceNotFoundError

from local.host import logs
from local.host.config import QueueSettings
from local.host.functions import Function
from local.host.lease import Lease
from local.host.library import Datum, datum
from local.host.storage import Queues, Undecodable, create

if TYPE_CHECKING:
    from azure.storage.queue import QueueMessage

log = logging.getLogger("local.host.queues")

_SHORTEST_PAUSE = 0.1

type Invoke = Callable[[Function, Datum, Mapping[str, Datum]], Awaitable[bool]]
"""Runs a function on a message and its metadata; whether it and its outputs succeeded."""


@dataclass(slots=True)
class Backoff:
    """Pauses between questions to an empty queue, in seconds."""

    longest: float
    _exponent: int = 0

    def reset(self) -> None:
        self._exponent = 0

    def next(self) -> float:
        pause = _SHORTEST_PAUSE
        if self._exponent:
            pause += random.uniform(0.8, 1.2) * 2.0 ** (self._exponent - 1) * _SHORTEST_PAUSE
        if pause >= self.longest:
            return self.longest
        self._exponent += 1
        return pause


class Poller:
    """Feeds one function with the messages of its queue.

    :param lease_seconds: how long a message is hidden at a time.
    :raises StartError: its connection is no setting.
    """

    def __init__(
        self, function: Function, queues: Queues, settings: QueueSettings, lease_seconds: int, invoke: Invoke
    ) -> None:
        where = f"function {function.name}"
        self._function = function
        self._queues = queues
        self._queue = queues.get(function.trigger, where)
        self._poison = queues.get(function.trigger, where, "-poison")
        self._settings = settings
        self._lease_seconds = lease_seconds
        self._invoke = invoke
        self._running: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        self._stopping = asyncio.Event()
        self._away = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._poll(), name=f"queue {self._queue.queue_name}")
        self._task.add_done_callback(logs.told)

    async def stop(self, grace: float) -> None:
        """Asks for no more, lets what runs end; after ``grace`` seconds it is cancelled and its messages returned."""
        self._stopping.set()
        self._ended.set()
        if self._task is None:
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace
        await asyncio.wait([self._task], timeout=grace)
        self._task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=max(0.0, deadline - loop.time()))
        for task in self._running:
            task.cancel()
        await asyncio.gather(self._task, *self._running, return_exceptions=True)

    async def _poll(self) -> None:
        backoff = Backoff(self._settings.max_polling_interval)
        while not self._stopping.is_set():
            messages = await self._receive()
            if self._stopping.is_set():
                await asyncio.gather(*(self._lease(message).release(0) for message in messages))
                return
            for message in messages:
                task = asyncio.create_task(self._process(message), name=f"message {message.id}")
                self._running.add(task)
                task.add_done_callback(self._done)
            if messages:
                backoff.reset()
                await self._room()
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(backoff.next()):
                        await self._stopping.wait()

    async def _room(self) -> None:
        """Waits until few enough messages run for another batch."""
        while len(self._running) > self._settings.new_batch_threshold and not self._stopping.is_set():
            self._ended.clear()
            await self._ended.wait()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._ended.set()
        logs.told(task)

    async def _receive(self) -> "Sequence[QueueMessage]":
        """The next batch. A storage that is away is said once, and once more when it is back."""
        try:
            pages = self._queue.receive_messages(
                messages_per_page=self._settings.batch_size, visibility_timeout=self._lease_seconds, retry_total=0
            ).by_page()
            page = await anext(pages, None)  # an empty one is none at all
            messages = [message async for message in page] if page is not None else []
        except ResourceNotFoundError:
            return await self._create()
        except AzureError as error:
            self._unreachable(error)
            return []
        if self._away:
            log.info("queue %s is back", self._queue.queue_name)
            self._away = False
        return messages

    async def _create(self) -> "Sequence[QueueMessage]":
        try:
            await create(self._queue)
        except AzureError as error:
            self._unreachable(error)
        return []

    def _unreachable(self, error: AzureError) -> None:
        if not self._away:
            log.warning("queue %s cannot be reached: %s; trying on", self._queue.queue_name, type(error).__name__)
        self._away = True

    def _lease(self, message: "QueueMessage") -> Lease:
        return Lease(self._queue, message, self._lease_seconds)

    async def _process(self, message: "QueueMessage") -> None:
        lease = self._lease(message)
        try:
            body = self._queues.decode(message.content)
        except Undecodable:
            log.error("message %s of %s is not base64, as messageEncoding says", message.id, self._queue.queue_name)  # noqa: TRY400
            await self._give_up(message, lease)
            return
        if (message.dequeue_count or 0) > self._settings.max_dequeue_count:
            await self._give_up(message, lease)
            return
        lease.keep()
        try:
            succeeded = await self._invoke(self._function, content(body, self._function), metadata(message))
        except asyncio.CancelledError:
            await lease.release(0)
            raise
        if succeeded:
            await lease.delete()
        elif (message.dequeue_count or 0) >= self._settings.max_dequeue_count:
            await self._give_up(message, lease)
        else:
            await lease.release(self._settings.visibility_timeout)

    async def _give_up(self, message: "QueueMessage", lease: Lease) -> None:
        poison = self._poison.queue_name
        try:
            await self._queues.send_text(self._poison, message.content)
        except AzureError as error:
            log.error("message %s was not moved to %s: %s", message.id, poison, type(error).__name__)  # noqa: TRY400
            await lease.release(self._settings.visibility_timeout)
            return
        log.error("message %s was moved to %s, received %s times", message.id, poison, message.dequeue_count)
        await lease.delete()


def content(body: str | bytes, function: Function) -> Datum:
    """A message's body as the function wants it: bytes when its binding says ``dataType: binary``."""
    if isinstance(body, str) and function.trigger.text("dataType").upper() == "BINARY":
        body = body.encode()
    return datum(body, "string" if isinstance(body, str) else "bytes")


def metadata(message: "QueueMessage") -> dict[str, Datum]:
    """What ``azure.functions.QueueMessage`` is told about a message."""
    return {
        "Id": datum(message.id, "string"),
        "DequeueCount": datum(str(message.dequeue_count or 1), "string"),
        "PopReceipt": datum(message.pop_receipt or "", "string"),
        "InsertionTime": _time(message.inserted_on),
        "ExpirationTime": _time(message.expires_on),
        "NextVisibleTime": _time(message.next_visible_on),
    }


def _time(moment: datetime | None) -> Datum:
    text = (moment or datetime.now(UTC)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")
    return datum(text, "string")
