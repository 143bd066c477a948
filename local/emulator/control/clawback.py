"""Control: the clawback queue is named, and messages of any kind are put into it."""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from aiohttp import web

from local.emulator.control.input import Input, read_input
from local.emulator.errors import ControlError
from local.emulator.market.clawback_events import ClawbackEvents, Encoding, encoded
from local.emulator.market.clawback_queue import QUEUE, SAS_LIFETIME_SECONDS, QueueError
from local.emulator.service import Route, json_response


class Connection(Input):
    """The storage account of the queue, and how long its addresses are good."""

    connection_string: str
    sas_lifetime_seconds: Annotated[float, msgspec.Meta(ge=0)] = SAS_LIFETIME_SECONDS
    queue: Annotated[str, msgspec.Meta(pattern="^[a-z0-9](-?[a-z0-9]){2,62}$")] = QUEUE


class NewMessage(Input):
    """A message: ``event``, any JSON, encoded; or ``text`` as it is, such as one that nobody can decode."""

    event: Any = msgspec.UNSET
    text: str | None = None
    encoding: Encoding = "base64"
    padding: bool = True
    times: Annotated[int, msgspec.Meta(ge=1)] = 1

    def __post_init__(self) -> None:
        """Refuse a request of which a part would be ignored."""
        if (self.text is None) == (self.event is msgspec.UNSET):
            raise ValueError("expected either event or text")


def clawback_routes(events: ClawbackEvents) -> tuple[Route, ...]:
    """Return the routes under ``/clawback``."""
    clawback = _Clawback(events)
    return (
        Route("PUT", "/_emulator/clawback", clawback.connect),
        Route("DELETE", "/_emulator/clawback", clawback.disconnect),
        Route("POST", "/_emulator/clawback/messages", clawback.put),
    )


@dataclass(frozen=True)
class _Clawback:
    events: ClawbackEvents

    async def connect(self, request: web.Request) -> web.Response:
        wanted = await read_input(request, Connection)
        try:
            await self.events.queue.connect(
                wanted.connection_string, queue=wanted.queue, lifetime_seconds=wanted.sas_lifetime_seconds
            )
        except ValueError as error:
            raise ControlError(400, f"bad body: {error}") from error
        except QueueError as error:
            raise ControlError(502, str(error)) from error
        return json_response({"queue": wanted.queue})

    async def disconnect(self, _: web.Request) -> web.Response:
        self.events.queue.disconnect()
        return web.Response(status=204)

    async def put(self, request: web.Request) -> web.Response:
        wanted = await read_input(request, NewMessage)
        text = wanted.text
        if text is None:
            text = encoded(msgspec.json.encode(wanted.event), wanted.encoding, padding=wanted.padding)
        try:
            for _ in range(wanted.times):
                await self.events.queue.put(text)
        except QueueError as error:
            raise ControlError(502, str(error)) from error
        return web.Response(status=201)
