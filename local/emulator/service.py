"""What a service is to the server: a name, routes, and how it speaks when something is wrong.

A new service is one module that returns a :class:`Service`, one line in ``server.py``, and its name among those of
``faults.py``. The name appears in the request log and selects the service in faults.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import msgspec
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CLIENT_ID = web.RequestKey("client_id", str)
"""Key under which a handler notes on the request which Entra app called, for the request log."""


@dataclass(frozen=True)
class Route:
    """One method and aiohttp path pattern; the pattern is also the template in the request log's summary."""

    method: str
    path: str
    handler: Handler


def _no_headers(_: web.Request) -> Mapping[str, str]:
    return {}


def _generic_body(status: int) -> object:
    return {"error": f"status {status}"}


@dataclass(frozen=True)
class Service:
    """A service of the emulator.

    ``error_body`` gives the JSON body of an injected status, in this service's own shape. ``headers`` gives what every
    answer of the service carries. ``observed`` is false for what is no part of the world the app sees: it is neither
    logged nor subject to faults.
    """

    name: str
    routes: tuple[Route, ...]
    error_body: Callable[[int], object] = _generic_body
    headers: Callable[[web.Request], Mapping[str, str]] = _no_headers
    observed: bool = True


def json_response(
    body: object, status: int = 200, headers: Mapping[str, str] | None = None, content_type: str = "application/json"
) -> web.Response:
    """Return ``body`` (JSON types and records) as a response."""
    return web.Response(
        body=msgspec.json.encode(body), status=status, headers=headers, content_type=content_type, charset="utf-8"
    )
