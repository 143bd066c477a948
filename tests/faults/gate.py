"""A gate before a storage account: what goes through it may be refused, or carried out and its answer lost."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web
from yarl import URL

from local.azurite import ACCOUNT, KEY, Azurite

_HOP_BY_HOP = {"transfer-encoding", "connection", "keep-alive"}
_OF_THE_BODY = _HOP_BY_HOP | {"content-length"}
_SIGNED = ("Content-Type", "Content-Length")
"""Headers that must be what the client sent, or did not send."""


class Gate:
    """Forwards requests to the services of an account. Signatures are over paths, so they hold behind it."""

    def __init__(self, azurite: Azurite, client: aiohttp.ClientSession) -> None:
        self._origins = {"queue": _origin(azurite.queue), "table": _origin(azurite.table)}
        self._client = client
        self.closed_for: Callable[[str], bool] = lambda _: False
        """Whether requests for a path are refused as by a service that is down."""
        self.loses = 0.0
        """The share of changes whose answer is lost: half of them by a 500, half by a connection that ends."""
        self.lost = 0
        self.refused = 0
        self.chance = random.Random(0)
        self.connection_string = ""

    def open(self, ports: dict[str, int]) -> None:
        """Be known under these ports."""
        endpoints = [f"{name.title()}Endpoint=http://127.0.0.1:{port}/{ACCOUNT}" for name, port in ports.items()]
        self.connection_string = ";".join(
            ["DefaultEndpointsProtocol=http", f"AccountName={ACCOUNT}", f"AccountKey={KEY}", *endpoints, ""]
        )

    def handler(self, service: str) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
        """What serves one of the services."""

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            if self.closed_for(request.path):
                self.refused += 1
                return web.Response(status=503)
            body = await request.read()
            headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
            url = f"{self._origins[service]}{request.raw_path}"
            async with self._client.request(
                request.method,
                URL(url, encoded=True),
                data=body or None,
                headers=headers,
                skip_auto_headers=_SIGNED,
                allow_redirects=False,
            ) as answer:
                content = await answer.read()
                if request.method != "GET" and self.chance.random() < self.loses:
                    return self._lose(request)
                kept = {name: value for name, value in answer.headers.items() if name.lower() not in _OF_THE_BODY}
                return web.Response(status=answer.status, body=content, headers=kept)

        return handle

    def _lose(self, request: web.BaseRequest) -> web.Response:
        self.lost += 1
        if self.lost % 2 and request.transport:
            request.transport.abort()
        return web.Response(status=500)


@asynccontextmanager
async def gate_before(azurite: Azurite) -> AsyncIterator[Gate]:
    """A gate, open."""
    async with aiohttp.ClientSession(auto_decompress=False) as client:
        gate = Gate(azurite, client)
        ports: dict[str, int] = {}
        runners: list[web.ServerRunner] = []
        try:
            for service in ("queue", "table"):
                runner = web.ServerRunner(web.Server(gate.handler(service)))
                runners.append(runner)
                await runner.setup()
                site = web.TCPSite(runner, "127.0.0.1", 0)
                await site.start()
                ports[service] = runner.addresses[0][1]
            gate.open(ports)
            yield gate
        finally:
            for runner in runners:
                await runner.cleanup()


def _origin(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc}"
