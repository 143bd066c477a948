"""Storage queues: clients by connection and name, made once; how texts are encoded."""

import base64
import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError

from local.host.config import Encoding
from local.host.functions import Binding
from local.host.settings import connection_string

if TYPE_CHECKING:  # the SDK takes a second to import, which an app without queues need not wait for
    from azure.storage.queue.aio import QueueClient, QueueServiceClient

# Some seconds of patience with a storage that restarts, in place of the SDK's minute.
_RETRIES: Mapping[str, Any] = {
    "retry_total": 4,
    "initial_backoff": 0.2,
    "increment_base": 1.5,
    "random_jitter_range": 0.1,
}


class Undecodable(ValueError):  # noqa: N818 - a state of a message
    """A message's text is not what ``messageEncoding`` says."""


class Queues:
    """Clients of the queues that bindings name. Closed by ``close``."""

    def __init__(self, encoding: Encoding) -> None:
        self._base64 = encoding == "base64"
        self._services: dict[str, QueueServiceClient] = {}
        self._clients: dict[tuple[str, str], QueueClient] = {}

    def get(self, binding: Binding, where: str, suffix: str = "") -> "QueueClient":
        """The queue of a binding, ``suffix`` added to its name.

        :raises StartError: its connection is no setting.
        """
        connection = connection_string(binding.text("connection"), where)
        name = (binding.text("queueName") + suffix).lower()
        key = connection, name
        if key not in self._clients:
            if connection not in self._services:
                self._services[connection] = _service(connection)
            self._clients[key] = self._services[connection].get_queue_client(name)
        return self._clients[key]

    async def send(self, queue: "QueueClient", message: str | bytes) -> None:
        """Sends a message in the app's encoding; makes the queue when it is missing.

        :raises AzureError: it could not be sent.
        """
        await self.send_text(queue, self._encode(message))

    async def send_text(self, queue: "QueueClient", text: str) -> None:
        """Sends ``text`` as it is; makes the queue when it is missing.

        :raises AzureError: it could not be sent.
        """
        try:
            await queue.send_message(text)
        except ResourceNotFoundError:
            await create(queue)
            await queue.send_message(text)

    def decode(self, text: str) -> str | bytes:
        """What a message says: its text, or the bytes when they are no UTF-8.

        :raises Undecodable: no base64, and ``messageEncoding`` says it were.
        """
        if not self._base64:
            return text
        try:
            content = base64.b64decode("".join(text.split()), validate=True)
        except ValueError as error:
            raise Undecodable(str(error)) from error
        try:
            return content.decode()
        except UnicodeDecodeError:
            return content

    async def close(self) -> None:
        for service in self._services.values():
            await service.close()

    def _encode(self, message: str | bytes) -> str:
        if self._base64:
            return base64.b64encode(message.encode() if isinstance(message, str) else message).decode()
        return message if isinstance(message, str) else message.decode()


def _service(connection: str) -> "QueueServiceClient":
    from azure.storage.queue.aio import QueueServiceClient  # noqa: PLC0415 - see above

    return QueueServiceClient.from_connection_string(connection, **_RETRIES)


async def create(queue: "QueueClient") -> None:
    """Makes a queue unless it is there."""
    with contextlib.suppress(ResourceExistsError):
        await queue.create_queue()
