"""The way to one service of the Store: a budget of calls in flight, timeouts, headers, bounded answers, errors."""

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import msgspec

from shared.clock import Clock, utc_now
from shared.correlation import current
from shared.store.answers import failure, success
from shared.store.connections import Connections
from shared.store.errors import StoreAnswer, StoreUnknownError

if TYPE_CHECKING:
    import httpx

USER_AGENT = "Storekeeper/0.1"
CONNECT_TIMEOUT = 5.0
TOTAL_TIMEOUT = 30.0
"""Seconds; suggested by the store-services reference, section 10, since no service page names any."""

MAX_ANSWER_BYTES = 16 * 1024 * 1024
"""What is read of one answer, at most: nothing that a service sends may fill our memory."""

_TIMEOUTS = {"connect": CONNECT_TIMEOUT}


class _TooLargeError(Exception):
    pass


class Transport:
    """Calls the one service that answers at ``root``, at most ``concurrency`` calls in flight."""

    def __init__(self, root: str, concurrency: int, *, clock: Clock = utc_now) -> None:
        self.root = root
        self._clock = clock
        self._connections = Connections(concurrency)
        self._address: tuple[httpx.URL, bytes] | None = None

    async def post[T](
        self, operation: str, path: str, body: object, shape: type[T], *, headers: dict[str, str] | None = None
    ) -> T:
        """Post ``body`` as JSON and read the answer as ``shape``.

        Redirects are not followed: the body may carry the service token, which is for this address alone.

        :raises StoreError: see :mod:`shared.store.errors`.
        """
        sent = {"Content-Type": "application/json", **(headers or {})}
        response, content = await self.send(operation, "POST", path, msgspec.json.encode(body), sent)
        if not response.is_success:
            raise failure(operation, response.status_code, response.headers, content, self._clock)
        return success(operation, response.status_code, response.headers, content, shape)

    async def reach(self) -> None:
        """Make sure that the service answers at all; what it answers at its root does not matter.

        :raises StoreUnknownError: it does not.
        """
        await self.send("reach", "GET", "/", None, {})

    async def send(
        self,
        operation: str,
        method: str,
        target: str,
        content: bytes | None,
        headers: Mapping[str, str],
        *,
        admit: Callable[[], None] | None = None,
    ) -> "tuple[httpx.Response, bytes]":
        """One call, and the whole of its answer, whatever its status is.

        ``target`` is the path below the root with its query, percent-encoded; it is sent exactly as it is. ``admit``
        is asked once the call's turn has come: what it raises is raised, and nothing is sent.

        :raises StoreUnknownError: there is no answer, or more of it than :data:`MAX_ANSWER_BYTES`.
        """
        import httpx  # noqa: PLC0415 - loaded when the Store is first called

        sent = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", "MS-CorrelationId": current(), **headers}
        try:
            root, prefix = self._address or self._resolve()
            # httpx would parse and normalize an address anew for each call; a target of our own goes out untouched.
            extensions = {"timeout": _TIMEOUTS, "target": prefix + target.encode("ascii")}
            async with asyncio.timeout(TOTAL_TIMEOUT) as limit:
                connection = await self._connections.take()
                under_way = False
                try:
                    if admit is not None:
                        admit()
                    # The wait for a connection is over; the call has its time to itself.
                    limit.reschedule(asyncio.get_running_loop().time() + TOTAL_TIMEOUT)
                    request = httpx.Request(method, root, headers=sent, content=content, extensions=extensions)
                    under_way = True
                    answered = await _exchange(connection, request)
                    under_way = False
                    return answered
                finally:
                    self._connections.give(connection, broken=under_way)
        except (httpx.HTTPError, httpx.InvalidURL, _TooLargeError, TimeoutError) as error:
            path = target.partition("?")[0]
            answer = StoreAnswer(operation, None, message=_described(error), method=method, path=path)
            raise StoreUnknownError(answer) from error

    def _resolve(self) -> "tuple[httpx.URL, bytes]":
        import httpx  # noqa: PLC0415 - loaded when the Store is first called

        root = httpx.URL(self.root)
        self._address = (root, root.raw_path.rstrip(b"/"))
        return self._address

    async def close(self) -> None:
        """Give back the connections, once no call is in flight."""
        await self._connections.close()


async def _exchange(connection: "httpx.AsyncHTTPTransport", request: "httpx.Request") -> "tuple[httpx.Response, bytes]":
    response = await connection.handle_async_request(request)
    parts: list[bytes] = []
    size = 0
    try:
        # As it comes off the wire, since no coding is accepted that would have to be undone.
        async for part in cast("httpx.AsyncByteStream", response.stream):
            size += len(part)
            if size > MAX_ANSWER_BYTES:
                raise _TooLargeError
            parts.append(part)
        return response, b"".join(parts)
    finally:
        await response.aclose()


def _described(error: Exception) -> str:
    return f"more than {MAX_ANSWER_BYTES} bytes" if isinstance(error, _TooLargeError) else type(error).__name__
