"""Downloads from the addresses of artwork and packages that the Store gives (reference, PackageLocation, ProductImage).

An address carries its own permission in its query, which is therefore sent exactly as it came and shown in no error.
"""

import re
import string
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast
from urllib.parse import SplitResult, quote, urljoin, urlsplit

from shared.clock import utc_now
from shared.retry_after import parse_retry_after
from shared.store.connections import Connections
from shared.store.errors import StoreAnswer, StoreError, StoreUnknownError
from shared.store.transport import CONNECT_TIMEOUT, USER_AGENT

if TYPE_CHECKING:
    import httpx

SILENCE = 30.0
"""Seconds without a byte after which a download has failed; it may take as long as it likes in all."""

MAX_REDIRECTS = 3

_TIMEOUTS = {"connect": CONNECT_TIMEOUT, "read": SILENCE, "write": SILENCE}
_EXPIRED = frozenset({401, 403, 404, 410})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_STRONG_ETAG = re.compile(r'"[\x21\x23-\x7e]{1,200}"')
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")


class AddressExpiredError(StoreError):
    """The address no longer gives the file (401, 403, 404, 410): ask the Store for another one."""


class Download:
    """A file that is being read.

    ``size`` is the whole file's, in bytes, where the server says it. ``offset`` is where the bytes begin: 0 if the
    server did not heed the one that was asked for. ``etag`` is a strong one, which differs where any byte does.
    """

    def __init__(self, response: "httpx.Response", path: str, size: int | None, offset: int) -> None:
        self._response = response
        self._path = path
        self.size = size
        self.offset = offset
        self.content_type: str | None = response.headers.get("Content-Type")
        etag = response.headers.get("ETag", "")
        self.etag: str | None = etag if _STRONG_ETAG.fullmatch(etag) else None

    async def chunks(self) -> AsyncIterator[bytes]:
        """The bytes from ``offset`` to the end, as they arrive; once.

        :raises StoreUnknownError: the connection broke or fell silent, or the end came too early.
        """
        import httpx  # noqa: PLC0415 - loaded when the Store is first called

        try:
            async for chunk in cast("httpx.AsyncByteStream", self._response.stream):
                yield chunk
        except httpx.HTTPError as error:
            raise StoreUnknownError(_answer(self._path, self._response, type(error).__name__)) from error


class Downloads:
    """Reads at most ``concurrency`` files at a time."""

    def __init__(self, concurrency: int) -> None:
        self._connections = Connections(concurrency)

    @asynccontextmanager
    async def open(self, url: str, *, offset: int = 0, etag: str | None = None) -> AsyncIterator[Download]:
        """Begin to read the file at ``url`` from ``offset`` on; from its beginning, where ``etag`` is not its own.

        Only https, at most 3 redirects, no credentials.

        :raises AddressExpiredError: the address no longer gives the file.
        :raises StoreUnknownError: anything else that is not the file; ``retry_after`` where the server named a time.
        """
        connection = await self._connections.take()
        under_way = True
        try:
            response, path = await _begin(connection, url, offset, etag)
            try:
                yield _download(response, path, offset)
            finally:
                await response.aclose()
            under_way = False
        finally:
            self._connections.give(connection, broken=under_way)

    async def close(self) -> None:
        """Give back the connections, once nothing is being read."""
        await self._connections.close()


async def _begin(
    connection: "httpx.AsyncHTTPTransport", url: str, offset: int, etag: str | None
) -> "tuple[httpx.Response, str]":
    """The first answer that is no redirect, and its path."""
    for _ in range(1 + MAX_REDIRECTS):
        parts = _split(url)
        response = await _get(connection, parts, offset, etag)
        if response.status_code == 416 and offset:
            # There is nothing at the offset: the file is another one by now, or it was read to its end.
            await response.aclose()
            response = await _get(connection, parts, 0)
        if response.status_code not in _REDIRECTS:
            return response, parts.path
        await response.aclose()
        url = urljoin(url, response.headers.get("Location", ""))
    raise StoreUnknownError(_answer(parts.path, response, "too many redirects"))


async def _get(
    connection: "httpx.AsyncHTTPTransport", parts: SplitResult, offset: int, etag: str | None = None
) -> "httpx.Response":
    import httpx  # noqa: PLC0415 - loaded when the Store is first called

    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if etag:
            headers["If-Range"] = etag
    target = parts.path or "/"
    if parts.query:
        target += f"?{parts.query}"
    extensions = {"timeout": _TIMEOUTS, "target": quote(target, safe=string.punctuation).encode("ascii")}
    try:
        origin = httpx.URL(scheme="https", host=parts.hostname, port=parts.port)
        return await connection.handle_async_request(
            httpx.Request("GET", origin, headers=headers, extensions=extensions)
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise StoreUnknownError(_answer(parts.path, None, type(error).__name__)) from error


def _split(url: str) -> SplitResult:
    """The parts of an https address."""
    try:
        parts = urlsplit(url)
        known = parts.scheme == "https" and parts.hostname and parts.port != 0
    except ValueError:
        known = False
    if not known:
        raise StoreUnknownError(_answer(None, None, "not an https address"))
    return parts


def _download(response: "httpx.Response", path: str, offset: int) -> Download:
    """What the answer gives to read, or the error that it is."""
    status = response.status_code
    if status in _EXPIRED:
        raise AddressExpiredError(_answer(path, response))
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "")) if status == 206 else None
    if status not in {200, 206} or (status == 206 and not found):
        retry_after = parse_retry_after(response.headers.get("Retry-After"), utc_now)
        raise StoreUnknownError(_answer(path, response), retry_after)
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise StoreUnknownError(_answer(path, response, "encoded, although that was not accepted"))
    if not found:
        return Download(response, path, _length(response), 0)
    if int(found[1]) != offset:
        raise StoreUnknownError(_answer(path, response, "another range than was asked for"))
    return Download(response, path, None if found[2] == "*" else int(found[2]), offset)


def _length(response: "httpx.Response") -> int | None:
    length = response.headers.get("Content-Length", "")
    return int(length) if re.fullmatch("[0-9]{1,18}", length) else None


def _answer(path: str | None, response: "httpx.Response | None", message: str | None = None) -> StoreAnswer:
    status = None if response is None else response.status_code
    return StoreAnswer("download", status, message=message, method="GET", path=path)
