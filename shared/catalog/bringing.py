"""Pieces of downloads: files of one piece of products, brought side by side."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta

import msgspec

from shared.catalog.content import Problem
from shared.catalog.downloader import Downloader, WrongFileError
from shared.catalog.fetching import is_about_product
from shared.catalog.files import PACKAGES, File, artwork_name, every_package, package_name
from shared.catalog.landing import Landed, Landing, settle
from shared.catalog.postponing import Reason, reason_of
from shared.catalog.record import to_row
from shared.catalog.schedule import ATTEMPTS, ATTEMPTS_WITHOUT_CREDENTIALS
from shared.catalog.shelf import Shelf
from shared.catalog.work import Tally, Todo
from shared.clock import Clock, utc_now
from shared.correlation import get_logger
from shared.errors import UnavailableError
from shared.storage.transactions import ConflictError, Operation
from shared.store.business import BusinessStore
from shared.store.downloads import AddressExpiredError
from shared.store.errors import StoreAnswer, StoreRefusedError

BUDGET = 480.0
"""Seconds in which a worker brings the files of a piece: functions are ended (host.json), and a file that takes longer
would be begun anew for ever.
"""

HEARTBEAT = 20.0
"""Seconds between two signs of life of one who downloads."""

SILENCE = timedelta(seconds=75)
"""After so long without one a download is given to somebody else."""

_WRITES = 5
_LONGEST_REASON = 300

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Postponed:
    file: File
    why: Reason


@dataclass(slots=True)
class _Watched:
    todo: Todo
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Bringing:
    """Works on downloads."""

    def __init__(self, shelf: Shelf, landing: Landing, downloader: Downloader, *, clock: Clock = utc_now) -> None:
        self._shelf = shelf
        self._landing = landing
        self._downloader = downloader
        self._clock = clock

    async def work(self, store: BusinessStore, todo: Todo) -> None:
        """Have the files of a piece held; what cannot be had now is tried again later.

        :raises UnavailableError: storage is away; the piece is still to be done.
        """
        files = msgspec.json.decode(todo.payload, type=list[File])
        deadline = asyncio.get_running_loop().time() + BUDGET
        async with self._alive(todo) as watched:
            outcomes = await asyncio.gather(*(self._one(store, file, deadline) for file in files))
        todo = watched.todo
        landed = [each for each in outcomes if isinstance(each, Landed)]
        postponed = [each for each in outcomes if isinstance(each, _Postponed)]
        given_up = [
            each
            for each in postponed
            if todo.attempts + 1 >= (ATTEMPTS_WITHOUT_CREDENTIALS if each.why.hopeless else ATTEMPTS)
        ]
        left = [each for each in postponed if each not in given_up]
        for each in given_up:
            _log.error("a file is given up on for this pass: %s", each.why.text)
            problem = Problem(each.file.problem_part, f"could not be downloaded: {each.why.text}"[:_LONGEST_REASON])
            await self._note(store, each.file, problem, complete=False)
            landed.append(Landed(each.file, Tally(failed=1)))
        if left:
            _log.warning("%s: %d files are tried again, since %s", todo.name, len(left), left[0].why.text)
        await self._landing.land(
            todo,
            landed,
            [each.file for each in left],
            msgspec.json.encode,
            retry_after=max((each.why.retry_after or 0.0 for each in left), default=None),
        )

    async def _one(self, store: BusinessStore, file: File, deadline: float) -> Landed[File] | _Postponed:
        """What came of one file. Never raises but where storage is away: one must not hold up the others."""
        try:
            async with asyncio.timeout_at(deadline):
                size = await self._downloader.bring(file, lambda: _another_address(store, file))
        except Exception as error:  # noqa: BLE001 - one file must not hold up the others, whatever it is
            if not _is_lasting(error):
                return _Postponed(file, reason_of(error))
            await self._note(store, file, Problem(file.problem_part, str(error)[:_LONGEST_REASON]), complete=True)
            return Landed(file, Tally(problems=1))
        return Landed(file, Tally(files=int(size > 0), downloaded_bytes=size))

    async def _note(self, store: BusinessStore, file: File, problem: Problem, *, complete: bool) -> None:
        """Write a file's problem into its product. ``complete`` is False where the next pass is to ask again."""
        for _ in range(_WRITES):
            product = await self._shelf.product(store.tenant_id, file.product)
            if product is None:
                return
            others = tuple(each for each in product.problems if each.part != problem.part)
            noted = replace(product, problems=(*others, problem), complete=product.complete and complete)
            # Doubted: the digest is of what the Store says, and would hide that a file is missing.
            row = to_row(store.tenant_id, noted, doubted=True)
            try:
                await self._shelf.table.commit([Operation("replace", row, product.etag)])
            except ConflictError:
                continue
            return
        raise UnavailableError("storage-tables", "a product is being changed by others", retry_after=1.0)

    @asynccontextmanager
    async def _alive(self, todo: Todo) -> AsyncIterator[_Watched]:
        """Says that somebody is at it for as long as the block runs, so that the sweeper gives it to nobody else."""
        watched = _Watched(todo)
        keeper = asyncio.create_task(self._beat(watched))
        try:
            yield watched
        finally:
            # Not cancelled: in the midst of a sign of life we would not know the new ETag, and the work would be lost.
            watched.ended.set()
            await keeper

    async def _beat(self, watched: _Watched) -> None:
        while not watched.ended.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT):
                    await watched.ended.wait()
                return
            later = replace(watched.todo, not_before=self._clock() + SILENCE)
            try:
                (etag,) = await self._shelf.table.commit([settle(later, done=False)])
            except ConflictError:
                return
            except UnavailableError as error:
                _log.warning("no sign of life could be given: %s", error)
            else:
                watched.todo = replace(later, etag=etag)


def _is_lasting(error: Exception) -> bool:
    """Whether another try would come to the same."""
    refused = isinstance(error, StoreRefusedError) and is_about_product(error)
    return refused or isinstance(error, WrongFileError | AddressExpiredError)


async def _another_address(store: BusinessStore, file: File) -> str:
    """A file's address of just now.

    :raises StoreRefusedError: the Store no longer has the product, or no longer this file of it.
    """
    if file.container == PACKAGES:
        found = await _package_address(store, file)
    else:
        detail = await store.get_localized_product(file.product, file.part)
        found = next((image.location for image in detail.images if artwork_name(image) == file.name), None)
    if found is None:
        raise StoreRefusedError(StoreAnswer("renew address", None, message="the product no longer has this file"))
    return found


async def _package_address(store: BusinessStore, file: File) -> str | None:
    packages = await store.get_packages(file.product)
    return next(
        (
            each.location.url
            for each in every_package(packages)
            if package_name(store.tenant_id, file.product, each) == file.name
        ),
        None,
    )
