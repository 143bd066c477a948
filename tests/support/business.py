"""A Store for Business on loopback that says what it is told to say, and a client of it for each tenant."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from shared.auth.entra import Entra, _Cached
from shared.secret import Secret
from shared.settings import CredentialSource, Identity
from shared.store.business import BusinessStore
from shared.store.models.business import ProductKey
from shared.store.transport import Transport
from tests.support.environ import settings
from tests.support.vaults import MemoryVault

PRODUCT = ProductKey("9WZDNCRFHVJL", "0016")


@dataclass(frozen=True)
class Sent:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def token(self) -> str:
        return self.headers["Authorization"].removeprefix("Bearer ")


@dataclass(frozen=True)
class Said:
    """One answer."""

    status: int = 200
    body: object = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> web.Response:
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        return web.Response(status=self.status, headers=self.headers, body=body, content_type="application/json")


type Answering = Callable[[Sent], Said | None]


class LoopbackStore:
    """Answers with what is in ``answers``, one after another, the last one for ever.

    An answer may be a function of the request; None drops the connection. ``latency`` is in seconds.
    """

    def __init__(self) -> None:
        self.url = ""
        self.answers: list[Said | Answering] = [Said()]
        self.sent: list[Sent] = []
        self.latency = 0.0
        self.in_flight = 0
        self.most_in_flight = 0

    def says(self, *answers: Said | Answering) -> None:
        """What it answers from now on."""
        self.answers, self.sent = list(answers), []

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        sent = Sent(request.method, request.raw_path, request.headers, await request.read())
        answer = self.answers[min(len(self.sent), len(self.answers) - 1)]
        self.sent.append(sent)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.latency)
        finally:
            self.in_flight -= 1
        said = answer if isinstance(answer, Said) else answer(sent)
        if said is None:
            assert request.transport is not None
            request.transport.close()
            return web.Response()
        return said.response()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["LoopbackStore"]:
        runner = web.ServerRunner(web.Server(self.handle), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        yield self
        await runner.cleanup()


class ScriptedEntra(Entra):
    """Entra without its network: each request of a tenant gives ``TENANT-token-NUMBER``."""

    def __init__(self) -> None:
        self.ticks = 0.0
        self.requests: list[str] = []
        self.failures: dict[str, Exception] = {}
        super().__init__(settings(), MemoryVault(), monotonic=lambda: self.ticks)

    async def _request(self, identity: Identity, audience: str, *, fresh_secret: bool) -> _Cached:
        self.requests.append(identity.tenant_id)
        if failure := self.failures.get(identity.tenant_id):
            raise failure
        token = Secret(f"{identity.tenant_id}-token-{self.requests.count(identity.tenant_id)}")
        return _Cached(token, int((datetime.now(UTC) + timedelta(hours=1)).timestamp()), self.ticks)


def identity(tenant: str) -> Identity:
    return Identity(tenant, f"client-of-{tenant}", CredentialSource("secret", "name"))


@asynccontextmanager
async def client(
    url: str, entra: Entra, tenant: str = "contoso", *, concurrency: int = 8, **options: Any
) -> AsyncIterator[BusinessStore]:
    """A tenant's client, with a transport of its own."""
    transport = Transport(url, concurrency)
    yield BusinessStore(identity(tenant), transport, entra, **options)
    await transport.close()


async def all_of[T](items: AsyncIterator[T]) -> list[T]:
    return [item async for item in items]
