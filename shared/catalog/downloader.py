"""One file from the Store's CDN into a blob: in bounded memory, verified before anybody can see it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from weakref import WeakValueDictionary

from shared.catalog.files import File
from shared.catalog.transfer import BLOCK, Progress, Transfer, WrongFileError, certify, fits, keep
from shared.correlation import get_logger
from shared.storage.blobs import Blob, Container
from shared.storage.uploads import BlobChangedError
from shared.store.downloads import AddressExpiredError, Downloads
from shared.store.errors import StoreAnswer, StoreUnknownError

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

_log = get_logger(__name__)

type Renew = Callable[[], Awaitable[str]]
"""Asks the Store for another address of a file."""


def is_small(file: File) -> bool:
    """Whether a file is one of many."""
    return file.size is not None and file.size <= SMALL


class Downloader:
    """Brings files. One of these a process: it knows how many may be under way."""

    def __init__(self, downloads: Downloads, containers: Mapping[str, Container]) -> None:
        self._downloads = downloads
        self._containers = containers
        self._large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._small = asyncio.Semaphore(SMALL_AT_ONCE)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._held: set[str] = set()

    async def bring(self, file: File, renew: Renew, progress: Progress) -> int:
        """Have a file held; its bytes, none where it is held already.

        One that was begun before, by whomever, goes on from there: its blocks are staged, and known by their names.

        :raises WrongFileError: size or hash are not as the Store says, however often it is downloaded.
        :raises AddressExpiredError: the addresses that the Store gives lead nowhere.
        :raises StoreError: it cannot be had now.
        :raises UnavailableError: storage is away.
        """
        key = f"{file.container}/{file.name}"
        places = self._small if is_small(file) else self._large
        # Two products that share a file do not download it side by side.
        async with self._locks.setdefault(key, asyncio.Lock()), places:
            progress.begun = True
            if key in self._held and not file.fresh:
                return 0
            held = await self._containers[file.container].look(file.name)
            if held is not None and held.verified and fits(file, held.size, held.metadata.get("sha256")):
                self._remember(key)
                return 0
            size = await self._verified(file, renew, progress, held if held and not held.verified else None)
            self._remember(key)
            return size

    def _remember(self, key: str) -> None:
        if len(self._held) >= MAX_REMEMBERED:
            self._held.clear()
        self._held.add(key)

    async def _verified(self, file: File, renew: Renew, progress: Progress, unverified: Blob | None) -> int:
        """Download a file until it is right. ``unverified``: there is a whole one, whose maker died over it."""
        container, address = self._containers[file.container], file.address
        for attempt in range(1, VERIFICATIONS + 1):
            # What was staged before is tried once: should the mistake be in there, the next try does without.
            may_be_staged = attempt == 1 and (file.size is None or file.size > BLOCK)
            staged = await container.staged(file.name, BLOCK) if may_be_staged else {}
            transfer = Transfer(file, container, address, staged, progress)
            try:
                return await self._try(transfer, renew, unverified)
            except WrongFileError as error:
                progress.lost = True
                _log.warning("%s is not what the Store describes (try %d): %s", file.name, attempt, error)
                if attempt == VERIFICATIONS:
                    raise
                address, unverified = transfer.address, None
        raise AssertionError

    async def _try(self, transfer: Transfer, renew: Renew, unverified: Blob | None) -> int:
        file, container = transfer.file, transfer.container
        if unverified is not None:
            await _unless_made(file, container, certify(container, file, unverified))
            return unverified.size
        await self._read(transfer, renew)
        await _unless_made(file, container, keep(transfer))
        return transfer.position

    async def _read(self, transfer: Transfer, renew: Renew) -> None:
        """Read to the end, going on from where it was after every break and with every new address."""
        size = transfer.file.size
        while True:
            before = transfer.position
            try:
                async with self._downloads.open(
                    transfer.address, offset=transfer.position, etag=transfer.etag
                ) as download:
                    if not transfer.goes_on_with(download):
                        continue
                    await transfer.receive(download)
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
            if size is None or transfer.position >= size or transfer.position == before:
                return


async def _unless_made(file: File, container: Container, making: Awaitable[None]) -> None:
    """Make a blob. Another worker, in a process of its own, may just have made the same one."""
    try:
        await making
    except BlobChangedError as error:
        held = await container.find(file.name)
        if held is None or not fits(file, held.size, held.metadata.get("sha256")):
            answer = StoreAnswer("keep file", None, message="what was staged is gone")
            raise StoreUnknownError(answer) from error


async def _pause(transfer: Transfer, before: int, error: StoreUnknownError) -> None:
    """After a break that brought something go on at once; else wait a moment, and neither long nor for ever."""
    transfer.breaks = 0 if transfer.position > before else transfer.breaks + 1
    asked = error.retry_after or 0.0
    if transfer.breaks > MAX_BREAKS or asked > LONGEST_PAUSE:
        raise error
    await asyncio.sleep(max(asked, _FIRST_PAUSE * 2.0**transfer.breaks if transfer.breaks else 0.0))
