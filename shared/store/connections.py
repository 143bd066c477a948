"""Connections for a budget of calls in flight: one each, made when it is first needed, given back when long unused.

A pool of httpx walks all of its connections for every request, so that one client slows down with many calls in flight.
Here each call in flight has a connection of its own, an httpx transport that nobody shares; and nothing of a client
(cookies, redirects, netrc, proxies of the environment) stands between the call and its connection.
"""

import asyncio
import os
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl

    import httpx

KEEP_ALIVE = 60.0
"""Seconds for which an idle connection is kept, at least; twice as long at most."""


class Connections:
    """At most ``limit`` connections, each taken by one call at a time."""

    def __init__(self, limit: int) -> None:
        self._slots = asyncio.Semaphore(limit)
        # Last in, first out: a quiet instance keeps to few, warm connections.
        self._idle: list[httpx.AsyncHTTPTransport] = []
        self._untouched = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def take(self) -> "httpx.AsyncHTTPTransport":
        """A connection, to be given back by :meth:`give`; waits while all are taken."""
        await self._slots.acquire()
        if not self._idle:
            return self._make()
        connection = self._idle.pop()
        self._untouched = min(self._untouched, len(self._idle))
        return connection

    def give(self, connection: "httpx.AsyncHTTPTransport", *, broken: bool = False) -> None:
        """Give a connection back; ``broken``: its call did not come to its end.

        Such a one is closed. A call that is cancelled at the wrong moment can leave its transport believing that the
        call goes on for ever, and every later one would wait for that.
        """
        self._slots.release()
        if broken:
            self._close([connection])
            return
        self._idle.append(connection)
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(KEEP_ALIVE, self._sweep)

    async def close(self) -> None:
        """Give back the connections, once no call is in flight."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        unused, self._idle = self._idle, []
        await asyncio.gather(_close_all(unused), *self._closing)

    def _make(self) -> "httpx.AsyncHTTPTransport":
        import httpx  # noqa: PLC0415 - loaded when the Store is first called

        one = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_ALIVE)
        try:
            return httpx.AsyncHTTPTransport(verify=tls_context(), limits=one)
        except BaseException:
            self._slots.release()
            raise

    def _sweep(self) -> None:
        """Close what nobody took since the last sweep: a thousand quiet tenants must not hold on to sockets."""
        unused, self._idle = self._idle[: self._untouched], self._idle[self._untouched :]
        self._untouched = len(self._idle)
        self._sweeper = asyncio.get_running_loop().call_later(KEEP_ALIVE, self._sweep) if self._idle else None
        self._close(unused)

    def _close(self, connections: "list[httpx.AsyncHTTPTransport]") -> None:
        closing = asyncio.ensure_future(_close_all(connections))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)


def tls_context() -> "ssl.SSLContext":
    """What all connections of this process trust: the public CAs, or those that the environment names."""
    return _tls_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@lru_cache(maxsize=4)
def _tls_context(_file: str | None, _folder: str | None) -> "ssl.SSLContext":
    import httpx  # noqa: PLC0415 - loaded when the Store is first called

    return httpx.create_ssl_context()  # reads the two variables itself


async def _close_all(connections: "list[httpx.AsyncHTTPTransport]") -> None:
    for connection in connections:
        # What breaks here was broken before; there is nobody left to tell.
        with suppress(Exception):
            await connection.aclose()
