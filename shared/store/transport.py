"""The way to the Store: pooled connections, one budget of calls in flight, timeouts, headers, errors.

A pool of httpx walks all of its connections for every request, so that one client slows down with many calls in flight.
Here each call in flight has a connection of its own, an httpx transport that nobody shares; and nothing of a client
(cookies, redirects, netrc, proxies of the environment) stands between the call and its connection.
"""

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING, cast

import msgspec

from shared.clock import Clock, utc_now
from shared.correlation import current
from shared.store.answers import failure, success
from shared.store.errors import StoreAnswer, StoreUnknownError

if TYPE_CHECKING:
    import httpx

USER_AGENT = "Storekeeper/0.1"
CONNECT_TIMEOUT = 5.0
TOTAL_TIMEOUT = 30.0
"""Seconds; suggested by the store-services reference, section 10, since no service page names any."""

_TIMEOUTS = {"timeout": {"connect": CONNECT_TIMEOUT}}
KEEP_ALIVE = 60.0
"""Seconds for which an idle connection is kept."""


class Transport:
    """Posts JSON to the one service that answers at ``root``, at most ``concurrency`` calls in flight."""

    def __init__(self, root: str, concurrency: int, *, clock: Clock = utc_now) -> None:
        self.root = root
        self._clock = clock
        self._concurrency = concurrency
        self._free: asyncio.LifoQueue[httpx.AsyncHTTPTransport] | None = None

    async def post[T](
        self, operation: str, path: str, body: object, shape: type[T], *, headers: dict[str, str] | None = None
    ) -> T:
        """Post ``body`` as JSON and read the answer as ``shape``.

        Redirects are not followed: the body may carry the service token, which is for this address alone.

        :raises StoreError: see :mod:`shared.store.errors`.
        """
        sent = {"Content-Type": "application/json", **(headers or {})}
        response, content = await self._send(operation, "POST", path, msgspec.json.encode(body), sent)
        if not response.is_success:
            raise failure(operation, response.status_code, response.headers, content, self._clock)
        return success(operation, response.status_code, response.headers, content, shape)

    async def reach(self) -> None:
        """Make sure that the service answers at all; what it answers at its root does not matter.

        :raises StoreUnknownError: it does not.
        """
        await self._send("reach", "GET", "/", None, {})

    async def _send(
        self, operation: str, method: str, path: str, content: bytes | None, headers: dict[str, str]
    ) -> "tuple[httpx.Response, bytes]":
        import httpx  # noqa: PLC0415 - loaded when the Store is first called

        if self._free is None:
            self._free = self._open()
        sent = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", "MS-CorrelationId": current(), **headers}
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT) as limit:
                connection = await self._free.get()
                try:
                    # The wait for a connection is over; the call has its time to itself.
                    limit.reschedule(asyncio.get_running_loop().time() + TOTAL_TIMEOUT)
                    return await _exchange(connection, method, self.root + path, sent, content)
                finally:
                    self._free.put_nowait(connection)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise StoreUnknownError(StoreAnswer(operation, None, message=type(error).__name__)) from error

    def _open(self) -> "asyncio.LifoQueue[httpx.AsyncHTTPTransport]":
        """One connection a call in flight. Last in, first out: a quiet instance keeps to few, warm connections."""
        import httpx  # noqa: PLC0415 - loaded when the Store is first called

        context = httpx.create_ssl_context()
        one = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_ALIVE)
        free: asyncio.LifoQueue[httpx.AsyncHTTPTransport] = asyncio.LifoQueue()
        for _ in range(self._concurrency):
            free.put_nowait(httpx.AsyncHTTPTransport(verify=context, limits=one))
        return free

    async def close(self) -> None:
        """Give back the connections, once no call is in flight."""
        while self._free is not None and not self._free.empty():
            await self._free.get_nowait().aclose()


async def _exchange(
    connection: "httpx.AsyncHTTPTransport", method: str, url: str, headers: dict[str, str], content: bytes | None
) -> "tuple[httpx.Response, bytes]":
    import httpx  # noqa: PLC0415 - loaded when the Store is first called

    request = httpx.Request(method, _parsed(url), headers=headers, content=content, extensions=_TIMEOUTS)
    response = await connection.handle_async_request(request)
    try:
        # As it comes off the wire, since no coding is accepted that would have to be undone.
        return response, b"".join([part async for part in cast("httpx.AsyncByteStream", response.stream)])
    finally:
        await response.aclose()


@lru_cache(maxsize=256)
def _parsed(url: str) -> "httpx.URL":
    import httpx  # noqa: PLC0415 - loaded when the Store is first called

    return httpx.URL(url)
