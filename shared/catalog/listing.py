"""The listing of a pass: the inventory, page by page, each written before the next is asked for.

A page is written in one transaction: its pieces, which entries it named, and where the listing goes on. So a listing
that is killed goes on from its last page, and what it named before is not fetched twice. A page of more entries than
were asked for is written by several, of which the last says where the listing goes on.
"""

import random
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import msgspec

from shared.catalog.content import stamp
from shared.catalog.landing import MAX_PRODUCTS, Landing, settle
from shared.catalog.pieces import Piece, Wanted
from shared.catalog.postponing import reason_of
from shared.catalog.record import row_name
from shared.catalog.schedule import ATTEMPTS, ATTEMPTS_WITHOUT_CREDENTIALS, retry_delay
from shared.catalog.shelf import Known, Shelf
from shared.catalog.side_by_side import side_by_side
from shared.catalog.work import Kind, Pass, State, Tally, Todo, pass_row, todo_row
from shared.clock import Clock, utc_now
from shared.correlation import get_logger
from shared.storage.leases import Leases
from shared.storage.rows import Row
from shared.storage.transactions import ConflictError, Operation
from shared.store.business import BusinessStore
from shared.store.errors import StoreRefusedError
from shared.store.models.business import InventoryEntry, InventoryPage, InventoryStatus, LicenseType
from shared.store.wire_time import TICKS_A_SECOND, ticks

LEASE_DURATION = timedelta(seconds=20)
"""How long a listing is left alone after its worker died."""

TIME_BUDGET = 240.0
"""Seconds after which a message asks for no further page and leaves the rest to a new message: functions are ended."""

PAGE_SIZE = 100

PORTION = 10 * MAX_PRODUCTS
PORTION_BYTES = 50_000
"""Entries that one transaction takes, and bytes of what it says that they were: a property holds 64 KiB."""

CHANGES_TAKE = timedelta(minutes=5)
"""How long before the listing began a change must have been made to count as listed: a watermark is no later."""

MAX_RESTARTS = 3
MISSING_GROUP = 500
MAX_MISSING_GROUPS = 80
"""So many fit into the transaction of the last portion."""

_LONGEST_REASON = 500
_NAMED = 24
"""Bytes that a name takes in JSON beside itself: a stamp, quotation marks, colon and comma."""

_log = get_logger(__name__)


@dataclass(slots=True)
class _Progress:
    """Where the listing is. ``named``: entries of earlier pages; ``index``: what is held, once it was read."""

    sync: Pass
    todo: Todo
    named: dict[str, str]
    index: Mapping[str, Known] | None = None


class Listing:
    """Works on listings."""

    def __init__(self, shelf: Shelf, landing: Landing, leases: Leases, *, clock: Clock = utc_now) -> None:
        self._shelf = shelf
        self._landing = landing
        self._leases = leases
        self._clock = clock

    async def work(self, store: BusinessStore, todo: Todo) -> None:
        """List the inventory from where the pass stands.

        :raises UnavailableError: storage is away; the listing goes on later from its last page.
        """
        async with self._leases.held(store.tenant_id) as is_ours:
            if is_ours:
                finished = await self._list(store, todo)
        if not is_ours:
            # Its holder may have died; if it lives, this message finds nothing to do when it comes back.
            await self._landing.announce([todo], delay=LEASE_DURATION.total_seconds())
        elif not finished:
            # Not before the lease is given back: the next worker might be faster than we are.
            await self._landing.announce([todo])

    async def _list(self, store: BusinessStore, todo: Todo) -> bool:
        """False where there is more to list than one message has time for."""
        # Read anew: the one that was read before the lease was ours may have been changed by its last holder.
        current = await self._shelf.todo(todo.tenant_id, todo.sync_id, todo.name)
        sync = await self._shelf.find_pass(todo.tenant_id, todo.sync_id)
        if current is None or sync is None or sync.state is not State.RUNNING:
            return True
        progress = _Progress(sync, current, await self._shelf.pages(todo.tenant_id, todo.sync_id))
        try:
            return await self._pages(store, progress)
        except ConflictError:
            _log.info("the listing %s is carried on by another worker", todo.sync_id)
        except StoreRefusedError as refusal:
            if progress.sync.token and progress.sync.restarts < MAX_RESTARTS:
                await self._restart(progress, refusal)
                return False
            await self._put_off(progress, str(refusal), hopeless=True)
        except Exception as error:  # noqa: BLE001 - a pass that never ends would keep the tenant from another one
            await self._put_off(progress, *reason_of(error))
        return True

    async def _pages(self, store: BusinessStore, progress: _Progress) -> bool:
        sync, started = progress.sync, time.monotonic()
        pages = store.inventory(
            modified_since=sync.since or None,
            continuation_token=sync.token or None,
            # Both are named, since nothing says what a listing without the parameter leaves out.
            license_types=(LicenseType.ONLINE, LicenseType.OFFLINE),
            page_size=PAGE_SIZE,
        )
        async for page in pages:
            await self._write(progress, page)
            if page.continuation_token and time.monotonic() - started > TIME_BUDGET:
                return False
        return True

    async def _write(self, progress: _Progress, page: InventoryPage) -> None:
        """Write a page, portion by portion: pieces, names and, in the end, where the listing goes on."""
        basis = progress.sync.basis
        news = {
            row_name(entry.product_key): entry
            for entry in page.entries
            if progress.named.get(row_name(entry.product_key)) != stamp(entry, basis)
        }
        *earlier, last = portions(news)
        for portion in earlier:
            await self._write_portion(progress, portion, None)
        await self._write_portion(progress, last, page)

    async def _write_portion(
        self, progress: _Progress, news: Mapping[str, InventoryEntry], page: InventoryPage | None
    ) -> None:
        """Write a portion of a page; ``page``: it is the last one of that."""
        sync, is_last = progress.sync, page is not None and not page.continuation_token
        wanted = await self._wanted(progress, news, alone=is_last and sync.tally.pages == 0)
        named = {name: stamp(entry, sync.basis) for name, entry in news.items()}
        progress.named |= named
        number = sync.tally.pages + 1
        todos = self._pieces(sync, number, wanted)
        if is_last and sync.full:
            todos += await self._missing(progress)
        sync = self._moved(sync, page, news.values())
        row = {
            "PartitionKey": sync.tenant_id,
            "RowKey": f"page|{sync.sync_id}|{number:06}",
            "named": msgspec.json.encode(named),
        }
        operations = [
            Operation("replace", pass_row(sync), sync.etag),
            # Everything that was tried in vain before is forgotten with each page that gets through.
            settle(replace(progress.todo, attempts=0, not_before=None), done=is_last),
            Operation("put", row),
            *(Operation("create", todo_row(each)) for each in todos),
        ]
        etags = await self._shelf.table.commit(operations)
        progress.sync = replace(sync, etag=etags[0])
        if not is_last:
            progress.todo = replace(progress.todo, attempts=0, not_before=None, etag=etags[1])
        await self._landing.announce(todos)

    async def _wanted(self, progress: _Progress, news: Mapping[str, InventoryEntry], *, alone: bool) -> list[Wanted]:
        """What of a page must be fetched: all that is not held just so, and in a full pass everything."""
        sync = progress.sync
        if alone and not sync.full:
            # The only page: its products are read one by one, and not the whole catalogue for a handful.
            keys = [entry.product_key for entry in news.values()]
            found = await side_by_side(partial(self._shelf.known, sync.tenant_id), keys)
            held: Mapping[str, Known | None] = dict(zip(news, found, strict=True))
        else:
            if progress.index is None:
                progress.index = await self._shelf.index(sync.tenant_id)
            held = progress.index
        wanted = []
        for name, entry in news.items():
            known = held.get(name)
            same = known is not None and known.stamp == stamp(entry, sync.basis)
            if sync.full or not same:
                wanted.append(Wanted(entry, known.digest if known else None, same))
        return wanted

    def _pieces(self, sync: Pass, number: int, wanted: Sequence[Wanted]) -> list[Todo]:
        return [
            Todo(
                tenant_id=sync.tenant_id,
                sync_id=sync.sync_id,
                name=f"page-{number:06}-{at // MAX_PRODUCTS}",
                kind=Kind.PIECE,
                payload=msgspec.json.encode(Piece(sync.basis, sync.full, wanted[at : at + MAX_PRODUCTS])),
            )
            for at in range(0, len(wanted), MAX_PRODUCTS)
        ]

    async def _missing(self, progress: _Progress) -> list[Todo]:
        """What is held as active and was named by no page of a full listing: the Store is asked about each."""
        sync = progress.sync
        index = progress.index if progress.index is not None else await self._shelf.index(sync.tenant_id)
        missing = [
            name
            for name, known in index.items()
            if name not in progress.named and known.status != InventoryStatus.REMOVED
        ]
        share = max(MISSING_GROUP, -(-len(missing) // MAX_MISSING_GROUPS))
        return [
            Todo(
                tenant_id=sync.tenant_id,
                sync_id=sync.sync_id,
                name=f"missing-{at // share}",
                kind=Kind.MISSING,
                payload=msgspec.json.encode(missing[at : at + share]),
            )
            for at in range(0, len(missing), share)
        ]

    def _moved(self, sync: Pass, page: InventoryPage | None, news: Collection[InventoryEntry]) -> Pass:
        """The pass after a portion; it goes on behind a ``page`` only once that is written to its end."""
        sync = replace(sync, moved_on=self._clock(), tally=sync.tally + Tally(pages=1, seen=len(news)), reason="")
        if page is None:
            return sync
        store_time = sync.store_time or page.answered_on or self._clock()
        return replace(
            sync,
            token=page.continuation_token or "",
            store_time=store_time,
            candidate=later(sync.candidate, page.entries, store_time - CHANGES_TAKE),
            listed=not page.continuation_token,
        )

    async def _restart(self, progress: _Progress, refusal: StoreRefusedError) -> None:
        """The Store no longer knows where the listing was: the same pass lists anew, and fetches nothing twice."""
        _log.warning("the listing %s begins anew: %s", progress.sync.sync_id, refusal)
        sync = replace(progress.sync, token="", restarts=progress.sync.restarts + 1, moved_on=self._clock())
        await self._write_pass(sync, settle(progress.todo, done=False))

    async def _put_off(
        self, progress: _Progress, reason: str, hopeless: bool, retry_after: float | None = None
    ) -> None:
        """Try the listing again later, or give it up: then the pass fails once its pieces have landed."""
        todo, sync = progress.todo, replace(progress.sync, reason=reason[:_LONGEST_REASON])
        attempts = todo.attempts + 1
        if attempts >= (ATTEMPTS_WITHOUT_CREDENTIALS if hopeless else ATTEMPTS):
            _log.error("the listing %s of tenant %s is given up: %s", todo.sync_id, todo.tenant_id, reason)
            await self._write_pass(sync, settle(todo, done=True))
            return
        delay = retry_delay(todo.attempts, retry_after, random.random())  # noqa: S311 - jitter
        _log.warning("the listing %s goes on in %.0f seconds: %s", todo.sync_id, delay, reason)
        again = replace(todo, attempts=attempts, not_before=self._clock() + timedelta(seconds=delay))
        if await self._write_pass(sync, settle(again, done=False)):
            await self._landing.announce([again], delay=delay)

    async def _write_pass(self, sync: Pass, own: Operation) -> bool:
        row: Row = pass_row(sync)
        try:
            await self._shelf.table.commit([Operation("replace", row, sync.etag), own])
        except ConflictError:
            _log.info("the listing %s is carried on by another worker", sync.sync_id)
            return False
        return True


def portions(news: Mapping[str, InventoryEntry]) -> list[dict[str, InventoryEntry]]:
    """The entries of a page, by their row keys, as one transaction each takes them; one portion of none, too."""
    found: list[dict[str, InventoryEntry]] = [{}]
    size = 0
    for name, entry in news.items():
        more = len(name.encode()) + _NAMED
        if found[-1] and (len(found[-1]) == PORTION or size + more > PORTION_BYTES):
            found.append({})
            size = 0
        found[-1][name] = entry
        size += more
    return found


def later(candidate: str, entries: Sequence[InventoryEntry], limit: datetime) -> str:
    """The greatest ``lastModified`` of ``candidate`` and of those entries' that are no later than ``limit``.

    The text comes back exactly as it was. One that cannot be read moves no watermark.
    """
    latest = round(limit.timestamp()) * TICKS_A_SECOND
    best, best_ticks = candidate, ticks(candidate) if candidate else -1
    for entry in entries:
        try:
            modified = ticks(entry.last_modified)
        except ValueError:
            _log.warning("the Store wrote a lastModified that nobody can read; the watermark does without")
            continue
        if best_ticks < modified <= latest:
            best, best_ticks = entry.last_modified, modified
    return best
