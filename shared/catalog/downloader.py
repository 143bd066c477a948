"""One file from the Store's CDN into a blob: in bounded memory, verified before anybody can see it."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from shared.catalog.files import File
from shared.correlation import get_logger
from shared.storage.blobs import OCTETS, BlocksLostError, Container, Upload
from shared.storage.blobs import SMALL as SINGLE_REQUEST
from shared.store.downloads import AddressExpiredError, Download, Downloads
from shared.store.errors import StoreAnswer, StoreUnknownError

BLOCK = 4 * 1024 * 1024
"""Bytes that are held of one download at a time."""

LARGE_AT_ONCE = 4
SMALL_AT_ONCE = 16
SMALL = 256 * 1024
"""Files of up to so many bytes are small; sizes that nobody told count as large."""

MAX_BREAKS = 5
"""Connections that may break one after the other without a byte."""

MAX_RENEWALS = 3
"""Addresses in a row that may give nothing: then the file itself is not there, and another address is no help."""

VERIFICATIONS = 3
"""Downloads of a file whose size or hash is wrong each time, until that counts as the Store's own mistake."""

MAX_REMEMBERED = 200_000

LONGEST_PAUSE = 20.0
"""Seconds that a download waits in its place because the CDN asks for it; longer, and it is begun anew later."""

_FIRST_PAUSE = 0.2
_IMAGES = {
    "image/png",
    "image/jpeg",
    "image/gif",
    "image/webp",
    "image/bmp",
    "image/x-icon",
    "image/vnd.microsoft.icon",
}
"""What a browser may show as it is; anything else is handed out as bytes."""

_log = get_logger(__name__)

type Renew = Callable[[], Awaitable[str]]
"""Asks the Store for another address of a file."""


class WrongFileError(Exception):
    """What the CDN gives is not what the Store describes; says how."""


@dataclass(slots=True)
class _Transfer:
    """A download under way: what was read of it, and where it goes."""

    upload: Upload
    address: str
    position: int = 0
    buffer: bytearray = field(default_factory=bytearray)
    content_type: str = OCTETS
    renewals: int = 0
    renewed_at: int = 0
    breaks: int = 0
    sha256: "hashlib._Hash" = field(default_factory=hashlib.sha256)


class Downloader:
    """Brings files. One of these a process: it knows how many may be under way."""

    def __init__(self, downloads: Downloads, containers: Mapping[str, Container]) -> None:
        self._downloads = downloads
        self._containers = containers
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._small = asyncio.Semaphore(SMALL_AT_ONCE)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._held: set[str] = set()

    async def bring(self, file: File, renew: Renew) -> int:
        """Have a file held; the bytes that were downloaded, none where it is held already.

        :raises WrongFileError: size or hash are not as the Store says, however often it is downloaded.
        :raises AddressExpiredError: the addresses that the Store gives lead nowhere.
        :raises StoreError: it cannot be had now.
        :raises UnavailableError: storage is away.
        """
        key = f"{file.container}/{file.name}"
        places = self._small if file.size is not None and file.size <= SMALL else self._large
        # Two products that share a file do not download it side by side.
        async with self._locks.setdefault(key, asyncio.Lock()), places:
            if (key in self._held and not file.fresh) or await self._is_held(file):
                self._remember(key)
                return 0
            size = await self._verified(file, renew)
            self._remember(key)
            return size

    def _remember(self, key: str) -> None:
        if len(self._held) >= MAX_REMEMBERED:
            self._held.clear()
        self._held.add(key)

    async def _is_held(self, file: File) -> bool:
        held = await self._containers[file.container].find(file.name)
        return held is not None and file.size in {None, held.size}

    async def _verified(self, file: File, renew: Renew) -> int:
        address = file.address
        for attempt in range(1, VERIFICATIONS + 1):
            transfer = _Transfer(self._containers[file.container].upload(file.name), address)
            try:
                await self._read(file, transfer, renew)
                await self._keep(file, transfer)
            except WrongFileError as error:
                _log.warning("%s is not what the Store describes (try %d): %s", file.name, attempt, error)
                if attempt == VERIFICATIONS:
                    raise
                address = transfer.address
            else:
                return transfer.position
        raise AssertionError

    async def _keep(self, file: File, transfer: _Transfer) -> None:
        """Make the blob. Another worker, in a process of its own, may just have made the same one."""
        try:
            await _keep(file, transfer)
        except BlocksLostError as error:
            if not await self._is_held(file):
                answer = StoreAnswer("keep file", None, message="what was staged is gone")
                raise StoreUnknownError(answer) from error

    async def _read(self, file: File, transfer: _Transfer, renew: Renew) -> None:
        """Read to the end, going on from where it was after every break and with every new address."""
        while True:
            before = transfer.position
            try:
                async with self._downloads.open(transfer.address, offset=transfer.position) as download:
                    await _receive(file, transfer, download)
            except AddressExpiredError:
                transfer.renewals = 1 if transfer.position > transfer.renewed_at else transfer.renewals + 1
                transfer.renewed_at = transfer.position
                if transfer.renewals > MAX_RENEWALS:
                    raise
                transfer.address = await renew()
                continue
            except StoreUnknownError as error:
                await _pause(transfer, before, error)
                continue
            # One that ends short without an error goes on like a broken one, until it brings nothing more.
            if file.size is None or transfer.position >= file.size or transfer.position == before:
                return


async def _receive(file: File, transfer: _Transfer, download: Download) -> None:
    if file.size is not None and download.size is not None and download.size != file.size:
        raise WrongFileError(f"{download.size} bytes where the Store says {file.size}")
    # A server that ignores the range begins anew; what was read already is passed over.
    to_skip = transfer.position - download.offset
    if to_skip < 0:
        raise WrongFileError("the CDN began behind what was asked for")
    if download.content_type:
        transfer.content_type = download.content_type.partition(";")[0].strip().lower()
    async for received in download.chunks():
        if to_skip >= len(received):
            to_skip -= len(received)
            continue
        chunk = received[to_skip:] if to_skip else received
        to_skip = 0
        transfer.sha256.update(chunk)
        transfer.position += len(chunk)
        if file.size is not None and transfer.position > file.size:
            raise WrongFileError(f"more than the {file.size} bytes that the Store says")
        transfer.buffer += chunk
        while len(transfer.buffer) >= BLOCK:
            block = bytes(memoryview(transfer.buffer)[:BLOCK])
            del transfer.buffer[:BLOCK]
            await transfer.upload.stage(block)


async def _pause(transfer: _Transfer, before: int, error: StoreUnknownError) -> None:
    """After a break that brought something go on at once; else wait a moment, and neither long nor for ever."""
    transfer.breaks = 0 if transfer.position > before else transfer.breaks + 1
    asked = error.retry_after or 0.0
    if transfer.breaks > MAX_BREAKS or asked > LONGEST_PAUSE:
        raise error
    await asyncio.sleep(max(asked, _FIRST_PAUSE * 2.0**transfer.breaks if transfer.breaks else 0.0))


async def _keep(file: File, transfer: _Transfer) -> None:
    """Make the blob, if it is what the Store describes."""
    sha256 = transfer.sha256.hexdigest()
    if file.size is not None and transfer.position != file.size:
        raise WrongFileError(f"{transfer.position} bytes where the Store says {file.size}")
    if file.sha256 is not None and sha256 != file.sha256:
        raise WrongFileError(f"SHA-256 is {sha256} where the Store says {file.sha256}")
    about = {"sha256": sha256}
    content_type = transfer.content_type if transfer.content_type in _IMAGES else OCTETS
    if transfer.upload.staged == 0 and transfer.position <= SINGLE_REQUEST:
        container = transfer.upload.container
        await container.put(file.name, bytes(transfer.buffer), content_type=content_type, metadata=about)
        return
    if transfer.buffer:
        await transfer.upload.stage(bytes(transfer.buffer))
    await transfer.upload.commit(content_type=content_type, metadata=about)
