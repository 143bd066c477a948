"""Pieces of downloads: files of one piece of products, brought side by side."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

import msgspec

from shared.catalog.claims import Claims
from shared.catalog.content import Problem
from shared.catalog.downloader import LARGE_AT_ONCE, Downloader, is_small
from shared.catalog.fetching import is_about_product
from shared.catalog.files import PACKAGES, File, artwork_name, every_package, package_name
from shared.catalog.landing import Landed, Landing
from shared.catalog.postponing import DEADLY, Reason, reason_of
from shared.catalog.record import to_row
from shared.catalog.schedule import ATTEMPTS, ATTEMPTS_WITHOUT_CREDENTIALS
from shared.catalog.shelf import Shelf
from shared.catalog.side_by_side import all_of
from shared.catalog.transfer import Progress, WrongFileError
from shared.catalog.work import Tally, Todo
from shared.clock import Clock, utc_now
from shared.correlation import get_logger
from shared.errors import UnavailableError
from shared.storage.transactions import ConflictError, Operation, TransactionError
from shared.store.business import BusinessStore
from shared.store.downloads import AddressExpiredError
from shared.store.errors import StoreAnswer, StoreRefusedError

BUDGET = 480.0
"""Seconds in which a worker brings the files of a piece: functions are ended (host.json). What takes longer is gone on
with by the next try.
"""

LARGE_OF_A_TENANT = LARGE_AT_ONCE - 1
"""Large files that one tenant has under way in one process: there is room for another's."""

_WRITES = 5
_LONGEST_REASON = 300

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Postponed:
    """A file that could not be had now, and why; not ``tried`` where it got on, or its turn did not come."""

    file: File
    why: Reason
    tried: bool


class Bringing:
    """Works on downloads."""

    def __init__(self, shelf: Shelf, landing: Landing, downloader: Downloader, *, clock: Clock = utc_now) -> None:
        self._shelf = shelf
        self._landing = landing
        self._downloader = downloader
        self._claims = Claims(shelf, clock=clock)
        self._large: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(LARGE_OF_A_TENANT))

    async def work(self, store: BusinessStore, todo: Todo) -> None:
        """Have the files of a piece held; what cannot be had now is tried again later.

        :raises UnavailableError: storage is away; the piece is still to be done.
        """
        files = msgspec.json.decode(todo.payload, type=list[File])
        deadline = asyncio.get_running_loop().time() + BUDGET
        outcomes: Sequence[Landed[File] | _Postponed] = [_Postponed(each, DEADLY, tried=True) for each in files]
        if not todo.is_deadly:
            async with self._claims.kept(todo) as kept:
                outcomes = await all_of(self._one(store, file, deadline) for file in files)
            todo = kept.todo
        landed = [each for each in outcomes if isinstance(each, Landed)]
        postponed = [each for each in outcomes if isinstance(each, _Postponed)]
        given_up = [
            each
            for each in postponed
            if todo.is_deadly
            or (each.tried and todo.attempts + 1 >= (ATTEMPTS_WITHOUT_CREDENTIALS if each.why.hopeless else ATTEMPTS))
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
            tried=any(each.tried for each in left),
        )

    async def _one(self, store: BusinessStore, file: File, deadline: float) -> Landed[File] | _Postponed:
        """What came of one file. Never raises but where storage is away: one must not hold up the others."""
        progress = Progress()
        place = nullcontext() if is_small(file) else self._large[store.tenant_id]
        try:
            async with asyncio.timeout_at(deadline), place:
                size = await self._downloader.bring(file, lambda: _another_address(store, file), progress)
        except Exception as error:  # noqa: BLE001 - one file must not hold up the others, whatever it is
            if not _is_lasting(error):
                return _Postponed(file, reason_of(error), tried=progress.begun and not progress.advanced)
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
            except TransactionError as error:
                _log.error("a problem of %s cannot be written into it: %s", file.product, error)
            return
        raise UnavailableError("storage-tables", "a product is being changed by others", retry_after=1.0)


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
