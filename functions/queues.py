"""Makes a queue function of a handler: the message read, its id in every log line, what can never succeed given up."""

from collections.abc import Awaitable, Callable
from typing import Any

from azure.functions import Blueprint, QueueMessage

from functions.parts import parts
from shared.correlation import correlated, get_logger
from shared.errors import StorekeeperError
from shared.messages import MAX_DEQUEUE_COUNT, GivenUpError, MessageError, decode_message

CONNECTION = "AzureWebJobsStorage"

_log = get_logger(__name__)


def queue_function[T](
    blueprint: Blueprint, queue: str, shape: type[T]
) -> Callable[[Callable[[T], Awaitable[None]]], Callable[[T], Awaitable[None]]]:
    """Register a handler of messages of one shape as the queue function of its own name.

    A message that cannot be read, or of which the handler says so by :class:`GivenUpError`, goes to the poison at once
    with its reason. Any other error is the host's to repeat; the last one's reason is put on file.
    """

    def register(handler: Callable[[T], Awaitable[None]]) -> Callable[[T], Awaitable[None]]:
        name = handler.__name__

        async def serve(message: QueueMessage) -> None:
            with correlated(message.id):
                await _serve(handler, name, queue, shape, message)

        serve.__name__ = name
        decorated: Any = blueprint.queue_trigger(arg_name="message", queue_name=queue, connection=CONNECTION)(serve)
        blueprint.function_name(name)(decorated)
        return handler

    return register


async def _serve[T](
    handler: Callable[[T], Awaitable[None]], name: str, queue: str, shape: type[T], message: QueueMessage
) -> None:
    body = message.get_body()
    try:
        await handler(decode_message(body, shape))
    except (MessageError, GivenUpError) as error:
        _log.error("%s gives a message up: %s", name, error)
        await parts().poison.give_up(queue, body, str(error))
    except Exception as error:
        if (message.dequeue_count or 0) >= MAX_DEQUEUE_COUNT:
            reason = str(error) if isinstance(error, StorekeeperError) else f"unforeseen: {type(error).__name__}"
            await parts().poison.record(queue, body, reason)
        raise
