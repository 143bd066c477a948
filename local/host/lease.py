"""The hold on a message that is being worked on: hidden from others, renewed, at last deleted or returned."""

import asyncio
import logging
import math
from typing import TYPE_CHECKING

from azure.core.exceptions import AzureError, ResourceNotFoundError

if TYPE_CHECKING:
    from azure.storage.queue import QueueMessage
    from azure.storage.queue.aio import QueueClient

log = logging.getLogger("local.host.queues")

RENEWED_AFTER = 0.45
"""Of the time a message is hidden; Azure renews at half."""
_AGAIN_AFTER = 0.1


class Lease:
    """Hides ``message`` for ``seconds`` at a time until told what became of it.

    A storage that cannot be reached is logged and not raised: the message then comes back after its lease, which is
    what at-least-once means.
    """

    def __init__(self, queue: "QueueClient", message: "QueueMessage", seconds: int) -> None:
        self._queue = queue
        self._id = message.id
        self._receipt = message.pop_receipt
        self._seconds = seconds
        self._busy = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None

    def keep(self) -> None:
        """Renews from now on."""
        self._renewal = asyncio.create_task(self._renew(), name=f"lease {self._id}")

    async def delete(self) -> None:
        """The message is done with."""
        await self._stop()
        try:
            await self._queue.delete_message(self._id, self._receipt)
        except ResourceNotFoundError:
            log.warning("message %s of %s was already taken by another", self._id, self._queue.queue_name)
        except AzureError as error:
            self._lost("deleted", error)

    async def release(self, seconds: float) -> None:
        """The message is to come back in ``seconds``."""
        await self._stop()
        try:
            await self._hide(math.ceil(seconds))
        except AzureError as error:
            self._lost("released", error)

    async def _stop(self) -> None:
        async with self._busy:  # never in the midst of a renewal, whose new receipt is needed
            if self._renewal is not None:
                self._renewal.cancel()
        if self._renewal is not None:
            await asyncio.gather(self._renewal, return_exceptions=True)

    async def _renew(self) -> None:
        wait = self._seconds * RENEWED_AFTER
        while True:
            await asyncio.sleep(wait)
            async with self._busy:
                try:
                    await self._hide(self._seconds)
                    wait = self._seconds * RENEWED_AFTER
                except ResourceNotFoundError:
                    log.warning("message %s of %s was lost to another", self._id, self._queue.queue_name)
                    return
                except AzureError as error:
                    log.warning("the lease of message %s was not renewed: %s", self._id, type(error).__name__)
                    wait = self._seconds * _AGAIN_AFTER

    async def _hide(self, seconds: int) -> None:
        # Without content: it stays as it is.
        renewed = await self._queue.update_message(self._id, self._receipt, visibility_timeout=seconds)
        self._receipt = renewed.pop_receipt

    def _lost(self, deed: str, error: AzureError) -> None:
        log.error(
            "message %s of %s was not %s and comes back after its lease: %s",
            self._id,
            self._queue.queue_name,
            deed,
            type(error).__name__,
        )
