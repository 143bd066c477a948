"""The HTTP front: requests to functions and their answers back, as Azure's host shapes them."""

import asyncio
import logging
from collections.abc import Mapping
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler
from multidict import CIMultiDict

from local.host.admin import Admin
from local.host.errors import StartError
from local.host.functions import HTTP_OUTPUT, RETURN, Function
from local.host.invocations import Invoker, Outcome
from local.host.library import Datum, datum
from local.host.outputs import Outputs
from local.host.routes import Router, decode

log = logging.getLogger("local.host")

MAX_BODY = 100 * 1024 * 1024
"""Bytes of a request's body that Azure takes."""
MAX_HEADER = 32 * 1024

# Said by the connection, not by the function.
_OF_THE_CONNECTION = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})


class HttpFront:
    """Serves on loopback until stopped. Nothing but errors is logged, and never what was sent."""

    def __init__(self, router: Router, invoker: Invoker, outputs: Outputs, admin: Admin) -> None:
        self._router = router
        self._invoker = invoker
        self._outputs = outputs
        self._admin = admin
        self._runner: web.ServerRunner | None = None

    async def start(self, port: int, grace: float) -> str:
        """Serves on 127.0.0.1 and returns the address; port 0 is any free one.

        :param grace: seconds that running requests are given by ``stop``.
        :raises StartError: the port is taken.
        """
        server = web.Server(
            self._handle,
            request_factory=_request,
            access_log=None,
            auto_decompress=False,
            max_field_size=MAX_HEADER,
            max_line_size=MAX_HEADER,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=grace)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, "127.0.0.1", port, backlog=1024).start()
        except OSError as error:
            await self._runner.cleanup()
            raise StartError(f"cannot serve on port {port}: {error}") from error
        address, actual = self._runner.addresses[0][:2]
        return f"http://{address}:{actual}"

    async def stop(self) -> None:
        """Takes no more connections, closes the idle ones, lets running requests end, cancels them after the grace."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            return await self._answer(request)
        except (web.HTTPException, ConnectionError):
            raise
        except Exception:
            log.exception("the answer to a request could not be made")
            return web.Response(status=500)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        target, _, query = request.raw_path.partition("?")
        path = decode(target)
        found = self._router.match(request.method, path)
        if found is None:
            return await self._admin.answer(request, path) or web.Response(status=404)
        function, parameters = found
        if request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        data = _incoming(request, path, query, parameters, await request.read())
        trace = request.headers
        outcome = await self._invoker.invoke(
            function, data, {}, trace.get("traceparent", ""), trace.get("tracestate", "")
        )
        if not outcome.succeeded or not await self._outputs.write(function, outcome):
            return web.Response(status=500)
        return _outgoing(_response_of(function, outcome))


def _request(
    message: RawRequestMessage,
    payload: StreamReader,
    protocol: RequestHandler,
    writer: AbstractStreamWriter,
    task: asyncio.Task[None],
) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=MAX_BODY)


def _incoming(request: web.BaseRequest, path: str, query: str, parameters: Mapping[str, str], body: bytes) -> Datum:
    """A request as the library takes it: repeated headers and parameters joined by commas, empty parameters gone."""
    headers: dict[str, str] = {}
    for name, value in request.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]},{value}" if key in headers else value
    queries: dict[str, str] = {}
    if query:
        for name, value in parse_qsl(query):
            queries[name] = f"{queries[name]},{value}" if name in queries else value
    url = f"{request.scheme}://{request.host}{path}"
    return datum(
        {
            "method": datum(request.method, "string"),
            "url": datum(f"{url}?{query}" if query else url, "string"),
            "headers": _strings(headers),
            "query": _strings(queries),
            "params": _strings(parameters),
            "body": datum(body, "bytes"),
        },
        "http",
    )


def _strings(values: Mapping[str, str]) -> dict[str, Datum]:
    return {name: datum(value, "string") for name, value in values.items()}


def _response_of(function: Function, outcome: Outcome) -> Datum | None:
    binding = function.outputs.get(RETURN)
    if binding is not None and binding.type == HTTP_OUTPUT:
        return outcome.returned
    for name, value in outcome.outputs:
        if name in function.outputs and function.outputs[name].type == HTTP_OUTPUT:
            return value
    return None


def _outgoing(answer: Datum | None) -> web.Response:
    if answer is None or answer.type is None:
        return web.Response(status=204)
    if answer.type != "http":  # a function may return a plain str
        return web.Response(body=str(answer.value).encode(), content_type="text/plain", charset="utf-8")
    value = answer.value
    headers = CIMultiDict[str]()
    for name, header in value["headers"].items():
        if name.lower() not in _OF_THE_CONNECTION:
            headers.add(name, header.value)
    for cookie in value["cookies"] or ():
        for morsel in cookie.values():
            headers.add("Set-Cookie", morsel.OutputString())
    return web.Response(status=int(value["status_code"].value), headers=headers, body=value["body"].value)
