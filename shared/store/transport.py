"""The way to the Store: pooled connections, one budget of calls in flight, timeouts, headers, errors.

One httpx client slows down with many connections in flight: its pool walks all of them for every request. So the budget
is spread over several clients (`make bench` measures it).
"""

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from shared.clock import Clock, utc_now
from shared.correlation import current, get_logger
from shared.store.answers import failure, success
from shared.store.errors import StoreAnswer, StoreUnknownError

if TYPE_CHECKING:
    import httpx

USER_AGENT = "Storekeeper/0.1"
CALLS_A_CLIENT = 4
"""Calls in flight through one httpx client."""

CONNECT_TIMEOUT = 5.0
TOTAL_TIMEOUT = 30.0
"""Seconds; suggested by the store-services reference, section 10, since no service page names any."""

_log = get_logger(__name__)


class Transport:
    """Posts JSON to the one service that answers at ``root``, at most ``concurrency`` calls in flight."""

    def __init__(self, root: str, concurrency: int, *, clock: Clock = utc_now) -> None:
        self.root = root
        self._clock = clock
        self._concurrency = concurrency
        self._free: asyncio.LifoQueue[httpx.AsyncClient] | None = None
        self._clients: list[httpx.AsyncClient] = []

    async def post[T](
        self, operation: str, path: str, body: object, shape: type[T], *, headers: dict[str, str] | None = None
    ) -> T:
        """Post ``body`` as JSON and read the answer as ``shape``.

        Redirects are not followed: the body may carry the service token, which is for this address alone.

        :raises StoreError: see :mod:`shared.store.errors`.
        """
        sent = {"Content-Type": "application/json", **(headers or {})}
        response = await self._send(operation, "POST", path, msgspec.json.encode(body), sent)
        if not response.is_success:
            raise failure(operation, response.status_code, response.headers, response.content, self._clock)
        return success(operation, response.status_code, response.headers, response.content, shape)

    async def _send(
        self, operation: str, method: str, path: str, content: bytes | None, headers: dict[str, str]
    ) -> "httpx.Response":
        import httpx  # noqa: PLC0415 - loaded when the Store is first called

        if self._free is None:
            self._free = self._open()
        headers["MS-CorrelationId"] = current()
        client = await self._free.get()
        try:
            async with asyncio.timeout(TOTAL_TIMEOUT):
                return await client.request(method, self.root + path, content=content, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise StoreUnknownError(StoreAnswer(operation, None, message=type(error).__name__)) from error
        finally:
            self._free.put_nowait(client)

    async def reach(self) -> None:
        """Make sure that the service answers at all; what it answers at its root does not matter.

        :raises StoreUnknownError: it does not.
        """
        await self._send("reach", "GET", "/", None, {})

    def _open(self) -> "asyncio.LifoQueue[httpx.AsyncClient]":
        """One slot a call in flight. Last in, first out: a quiet instance keeps to few, warm connections."""
        import httpx  # noqa: PLC0415 - loaded when the Store is first called

        context = httpx.create_ssl_context()
        timeout = httpx.Timeout(TOTAL_TIMEOUT, connect=CONNECT_TIMEOUT)
        slots: asyncio.LifoQueue[httpx.AsyncClient] = asyncio.LifoQueue()
        remaining = self._concurrency
        while remaining > 0:
            share = min(CALLS_A_CLIENT, remaining)
            options: dict[str, Any] = {
                "verify": context,
                "timeout": timeout,
                "follow_redirects": False,
                "headers": {"User-Agent": USER_AGENT},
                "limits": httpx.Limits(max_connections=share, max_keepalive_connections=share),
            }
            client = httpx.AsyncClient(**options)
            self._clients.append(client)
            for _ in range(share):
                slots.put_nowait(client)
            remaining -= share
        return slots

    async def close(self) -> None:
        """Give back the connections."""
        for client in self._clients:
            await client.aclose()
