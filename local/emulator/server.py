"""The one HTTPS server: it carries all services, applies faults and writes the request log."""

import ssl
import time
from collections.abc import Iterable
from pathlib import Path

from aiohttp import web

from local.emulator.business.service import business_service
from local.emulator.business.world import BusinessWorld
from local.emulator.cdn.service import cdn_service
from local.emulator.context import Context
from local.emulator.control.service import control_service
from local.emulator.errors import ServiceError
from local.emulator.faults import Faults
from local.emulator.identity.entra import entra_service
from local.emulator.identity.issuers import Issuers, issuers_service
from local.emulator.identity.managed_identity import managed_identity_service
from local.emulator.identity.tokens import AccessTokens
from local.emulator.identity.x_tokens import XTokens
from local.emulator.market.market import Market
from local.emulator.persistence import StateFile
from local.emulator.request_log import DROPPED, RequestLog
from local.emulator.service import CLIENT_ID, Handler, Service, json_response
from local.emulator.store.key_service import store_service
from local.emulator.store.keys import StoreIds
from local.emulator.store.kinds import STORE_KINDS
from local.emulator.tls import server_context
from local.emulator.vault import vault_service

_UNKNOWN = Service(name="unknown", routes=())
_CORRELATION_HEADERS = ("MS-CorrelationId", "x-ms-client-request-id", "client-request-id", "x-correlation-id")
# Long, because a client that keeps connections for minutes must not meet a close that the real services would not make.
_KEEP_ALIVE_SECONDS = 300.0
_STOP_SECONDS = 1.0


class Emulator:
    """The emulator, for use inside a process.

    >>> emulator = Emulator(Path("state.json"))
    >>> await emulator.start()
    >>> emulator.url
    'https://localhost:49152'
    """

    def __init__(self, state: Path) -> None:
        """Load or make the state; nothing listens yet.

        :raises StateError: the file is not a state of this version.
        """
        self._context = Context(file=StateFile(state.absolute()))
        self._business = BusinessWorld(state.absolute().parent / "business.json", self._context)
        self._market = Market(state.absolute().parent / "books.json", self._context.secrets)
        self.ca_path = state.absolute().parent / "ca.pem"
        self._log = RequestLog()
        self._faults = Faults()
        self._services: dict[web.AbstractRoute, Service] = {}
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """``https://localhost:N`` once started; empty before."""
        return self._context.origin

    async def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1 and write ``ca.pem`` beside the state; 0 takes a free port.

        :raises OSError: the port is taken.
        """
        authority = self._context.state.certificate_authority
        self.ca_path.write_text(authority.certificate_pem)
        application = web.Application(middlewares=[self._serve], client_max_size=16 * 1024 * 1024)
        self._add(application, self._all_services())
        self._runner = web.AppRunner(
            application, access_log=None, keepalive_timeout=_KEEP_ALIVE_SECONDS, shutdown_timeout=_STOP_SECONDS
        )
        await self._runner.setup()
        try:
            # asyncio sets TCP_NODELAY on every accepted connection; without it a loopback call costs 48 ms.
            await self._listen(self._runner, port, server_context(authority))
        except OSError:
            await self.stop()
            raise

    async def _listen(self, runner: web.AppRunner, port: int, context: ssl.SSLContext) -> None:
        site = web.TCPSite(runner, "127.0.0.1", port, ssl_context=context, backlog=1024)
        await site.start()
        self._context.origin = f"https://localhost:{runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Stop listening, end open connections, write the state."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self._context.file.close()
        self._business.close()
        await self._market.close()

    def _all_services(self) -> Iterable[Service]:
        context = self._context
        tokens = AccessTokens(context)
        store_ids = StoreIds(context)
        x_tokens = XTokens(context)
        issuers = Issuers(context)
        yield control_service(
            context,
            ca_path=self.ca_path,
            faults=self._faults,
            log=self._log,
            store_ids=store_ids,
            x_tokens=x_tokens,
            issuers=issuers,
            business=self._business,
            market=self._market,
        )
        yield vault_service(context, tokens)
        yield managed_identity_service(context, tokens)
        yield issuers_service(issuers)
        for kind in STORE_KINDS.values():
            routes = self._market.routes(kind, tokens, store_ids, context.state.publisher_client_id)
            yield store_service(kind, tokens, store_ids, x_tokens, routes)
        yield business_service(context, self._business, tokens)
        yield cdn_service(self._business.addresses, self._business.disturbances)
        # Last: its paths begin with a tenant, which would catch the others' names.
        yield entra_service(context, tokens)

    def _add(self, application: web.Application, services: Iterable[Service]) -> None:
        for service in services:
            for route in service.routes:
                added = application.router.add_route(route.method, route.path, route.handler)
                self._services[added] = service

    @web.middleware
    async def _serve(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        service = self._services.get(request.match_info.route, _UNKNOWN)
        if not service.observed:
            return await _answer(service, request, handler)
        arrived, started = time.time(), time.perf_counter()
        status = 500
        try:
            response = await self._faults.apply(service, request, lambda: _answer(service, request, handler))
            if response is None:
                status = DROPPED
                return _hang_up(request)
            response.headers.update(service.headers(request))
            status = response.status
            return response
        finally:
            self._note(service, request, status, arrived, (time.perf_counter() - started) * 1000)

    def _note(self, service: Service, request: web.Request, status: int, arrived: float, duration_ms: float) -> None:
        resource = request.match_info.route.resource
        self._log.add(
            time=arrived,
            service=service.name,
            method=request.method,
            path=request.path,
            template=request.path if resource is None else resource.canonical,
            status=status,
            client_id=request.get(CLIENT_ID),
            duration_ms=duration_ms,
            user_agent=request.headers.get("User-Agent"),
            correlation_id=next(
                (request.headers[name] for name in _CORRELATION_HEADERS if name in request.headers), None
            ),
        )


async def _answer(service: Service, request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ServiceError as error:
        return json_response(error.body(request), error.status, error.headers)
    except web.HTTPException as error:
        if service is not _UNKNOWN:
            return json_response({"error": error.reason}, error.status)
        allowed = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        message = f"{request.method} {request.path} is not a route of the emulator"
        return json_response({"error": message}, error.status, allowed)


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        # abort, not close: the peer must see a reset, as from a broken network, and no half of an answer.
        request.transport.abort()
    return web.Response(status=500)
