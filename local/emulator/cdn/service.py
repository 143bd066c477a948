"""The CDN: artwork and packages at addresses that expire, whole or from a position on.

The bytes follow from the path (see ``content.py``), so nothing is stored and a file of several GB takes no more
memory than a small one.
"""

import asyncio
import hashlib
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from aiohttp import hdrs, web
from aiohttp.abc import AbstractStreamWriter

from local.emulator.cdn.addresses import Addresses
from local.emulator.cdn.content import package_pieces, png
from local.emulator.cdn.disturbances import Disturbance, Disturbances
from local.emulator.errors import CdnError
from local.emulator.service import Route, Service

_IMAGE = re.compile(r"images/(.+)-(\d+)x(\d+)\.png")
_PACKAGE = re.compile(r"packages/([^/]+)/(\d+)/[^/]+")
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


def cdn_service(addresses: Addresses, disturbances: Disturbances) -> Service:
    """Return the service under ``/cdn``."""
    cdn = _Cdn(addresses, disturbances)
    return Service(
        name="cdn", routes=(Route("GET", "/cdn/{path:.+}", cdn.get), Route("HEAD", "/cdn/{path:.+}", cdn.get))
    )


@dataclass(frozen=True)
class _File:
    """What a path names."""

    name: str
    size: int
    content_type: str
    content: bytes | None = None

    def pieces(self, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes from ``start`` to ``end`` (exclusive)."""
        if self.content is None:
            return package_pieces(self.name, self.size, start, end)
        return iter((self.content[start:end],))


@dataclass(frozen=True)
class _Cdn:
    addresses: Addresses
    disturbances: Disturbances

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Also answers ``HEAD``, with the headers alone."""
        path = request.match_info["path"]
        problem = self.addresses.problem(path, request.query.get("e", ""), request.query.get("s", ""))
        if problem is not None:
            raise CdnError(403, problem)
        file = _find(path)
        headers = {"ETag": _etag(path), "Accept-Ranges": "bytes", "Content-Type": file.content_type}
        status, start, end = 200, 0, file.size
        part = _part(request, headers["ETag"])
        if part is not None:
            start, end = part.start, min(part.stop, file.size)
            if start >= file.size:
                raise CdnError(416, "the range begins after the end", {"Content-Range": f"bytes */{file.size}"})
            status, headers["Content-Range"] = 206, f"bytes {start}-{end - 1}/{file.size}"
        disturbance = self.disturbances.find(path) if request.method == hdrs.METH_GET else None
        if disturbance is not None and disturbance.end_after is not None:
            end = min(end, start + disturbance.end_after)
        return _Download(file, range(start, end), status, headers, disturbance)


class _Download(web.StreamResponse):
    """A part of a file, sent when the server prepares the answer: faults may still put another in its place."""

    def __init__(
        self, file: _File, part: range, status: int, headers: Mapping[str, str], disturbance: Disturbance | None
    ) -> None:
        super().__init__(status=status, headers=headers)
        self._file, self._part, self._disturbance = file, part, disturbance
        self.content_length = len(part)

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send headers and, but for ``HEAD``, the bytes."""
        writer = await super().prepare(request)
        if request.method == hdrs.METH_HEAD:
            return writer
        left = len(self._part)
        drop_after = None if self._disturbance is None else self._disturbance.drop_after
        if drop_after is not None:
            left = min(left, drop_after)
        for piece in self._file.pieces(self._part.start, self._part.start + left):
            if self._disturbance is not None and self._disturbance.bytes_per_second is not None:
                await asyncio.sleep(len(piece) / self._disturbance.bytes_per_second)
            await self.write(self._spoiled(piece))
        if drop_after is not None:
            if request.transport is not None:
                # close, not abort: what was sent so far must arrive.
                request.transport.close()
            raise ConnectionResetError("a disturbance broke the download")
        return writer

    def _spoiled(self, piece: bytes) -> bytes:
        if self._disturbance is None or not self._disturbance.corrupt:
            return piece
        return bytes([piece[0] ^ 0xFF]) + piece[1:]


def _find(path: str) -> _File:
    image = _IMAGE.fullmatch(path)
    if image is not None:
        content = png(image[1], int(image[2]), int(image[3]))
        return _File(image[1], len(content), "image/png", content)
    package = _PACKAGE.fullmatch(path)
    if package is None:
        raise CdnError(404, "there is no such file")
    return _File(package[1], int(package[2]), "application/octet-stream")


def _part(request: web.Request, etag: str) -> range | None:
    """The one range that is asked for, of the file as it is; anything else is answered with the whole file."""
    found = _RANGE.fullmatch(request.headers.get("Range", ""))
    if found is None or request.headers.get("If-Range", etag) != etag:
        return None
    start, last = int(found[1]), int(found[2] or sys.maxsize - 1)
    return range(start, last + 1) if last >= start else None


def _etag(path: str) -> str:
    return f'"{hashlib.blake2b(path.encode(), digest_size=8).hexdigest()}"'
