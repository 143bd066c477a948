"""Queue outputs: what a function set or returned becomes messages, after it succeeded."""

import json
import logging
from collections.abc import Iterator

from azure.core.exceptions import AzureError

from local.host.functions import RETURN, Binding, Function
from local.host.invocations import Outcome
from local.host.library import Datum
from local.host.storage import Queues

log = logging.getLogger("local.host")


class Outputs:
    def __init__(self, queues: Queues) -> None:
        self._queues = queues

    async def write(self, function: Function, outcome: Outcome) -> bool:
        """Sends the messages of a successful invocation; False (logged) when that failed, which fails it too."""
        bindings = function.queue_outputs
        if not bindings:
            return True
        values = dict(outcome.outputs)
        if outcome.returned is not None:
            values[RETURN] = outcome.returned
        try:
            for binding in bindings:
                if binding.name in values:
                    await self._send(function, binding, values[binding.name])
        except (AzureError, ValueError) as error:
            about = {"invocation": outcome.invocation_id, "function": function.name}
            cause = type(error).__name__  # the error itself may quote the message
            log.error("an output was not written: %s", cause, extra=about)  # noqa: TRY400 - the cause says it
            return False
        return True

    async def _send(self, function: Function, binding: Binding, value: Datum) -> None:
        queue = self._queues.get(binding, f"function {function.name}")
        for message in messages(value):
            await self._queues.send(queue, message)


def messages(value: Datum) -> Iterator[str | bytes]:
    """The messages in a value of a queue output.

    A ``str`` or ``bytes`` is one; JSON (which the library makes of ``QueueMessage`` and of lists) is one, or one an
    item.

    :raises ValueError: a value that Azure would not take either.
    """
    match value.type:
        case None:
            return
        case "string" | "bytes":
            yield value.value
        case "json":
            yield from _items(json.loads(value.value))
        case "dict" | "list":
            yield from _items(value.value)
        case kind:
            raise ValueError(f"a queue output cannot be a {kind}")


def _items(content: object) -> Iterator[str]:
    for item in content if isinstance(content, list) else [content]:
        match item:
            case str():
                yield item
            case {"body": str(body), "id": _}:  # how the library writes a QueueMessage
                yield body
            case _:
                yield json.dumps(item)
