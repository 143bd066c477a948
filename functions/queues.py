"""Makes a queue function of a handler: the message read, its id in every log line, what can never succeed given up."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from azure.functions import QueueMessage

from functions.parts import parts
from shared.correlation import correlated, get_logger
from shared.errors import StorekeeperError
from shared.messages import MAX_DEQUEUE_COUNT, GivenUpError, MessageError, decode_message

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class QueueFunction[T]:
    """A handler of a queue's messages, all of one shape.

    A message that cannot be read, or of which the handler says so by :class:`GivenUpError`, goes to the poison at once
    with its reason. Any other error is the host's to repeat; the last one's reason is put on file.
    """

    queue: str
    shape: type[T]
    handler: Callable[[T], Awaitable[None]]

    async def serve(self, message: QueueMessage) -> None:
        """One message."""
        with correlated(message.id):
            await self._serve(message)

    async def _serve(self, message: QueueMessage) -> None:
        body = message.get_body()
        try:
            await self.handler(decode_message(body, self.shape))
        except (MessageError, GivenUpError) as error:
            _log.error("%s gives a message up: %s", self.handler.__name__, error)
            await parts().poison.give_up(self.queue, body, str(error))
        except Exception as error:
            if (message.dequeue_count or 0) >= MAX_DEQUEUE_COUNT:
                reason = str(error) if isinstance(error, StorekeeperError) else f"unforeseen: {type(error).__name__}"
                await parts().poison.record(self.queue, body, reason)
            raise


def queue_function[T](queue: str, shape: type[T]) -> Callable[[Callable[[T], Awaitable[None]]], QueueFunction[T]]:
    """The queue function of a handler of messages of one shape."""

    def made_of(handler: Callable[[T], Awaitable[None]]) -> QueueFunction[T]:
        return QueueFunction(queue, shape, handler)

    return made_of
