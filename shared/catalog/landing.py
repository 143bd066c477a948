"""How work lands: its results, its counts, what comes after it and what is left of it, in one transaction.

Whoever deletes or replaces the row of a piece of work that they read is the one whose results count; a second worker on
the same piece meets a conflict, and nothing of what it did is written.
"""

import asyncio
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import msgspec

from shared.catalog.files import MAX_ARTWORK_GROUPS, MAX_PACKAGE_GROUPS, File, grouped
from shared.catalog.messages import WorkMessage
from shared.catalog.schedule import retry_delay
from shared.catalog.shelf import Shelf
from shared.catalog.work import Kind, Tally, Todo, todo_row
from shared.clock import Clock, to_iso, utc_now
from shared.correlation import get_logger
from shared.storage.queues import Queue
from shared.storage.rows import Row, encode_row
from shared.storage.transactions import MAX_OPERATIONS, ConflictError, Operation, TransactionError

MAX_PRODUCTS = MAX_OPERATIONS - MAX_ARTWORK_GROUPS - MAX_PACKAGE_GROUPS - 2
"""Products in one transaction, besides their files' groups, the piece's own row and its counts."""

MAX_BYTES = 3 * 1024 * 1024
"""Of the 4 MiB that one transaction holds (Azure Tables)."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Landed[T]:
    """What came of one item of a piece: a row to write, if any, files to download, and counts."""

    item: T
    tally: Tally
    row: Row | None = None
    files: list[File] = field(default_factory=list)


class Landing:
    """Writes results, and announces work on the queues."""

    def __init__(self, shelf: Shelf, queues: Mapping[str, Queue], *, clock: Clock = utc_now) -> None:
        self._shelf = shelf
        self._queues = queues
        self._clock = clock

    async def announce(self, todos: Sequence[Todo], *, delay: float = 0) -> None:
        """Put a message for each piece of work.

        :raises UnavailableError: storage is away; the sweeper will find what has no message.
        """
        await asyncio.gather(
            *(
                self._queues[todo.kind.queue].send(WorkMessage(todo.tenant_id, todo.sync_id, todo.name), delay=delay)
                for todo in todos
            )
        )

    async def land[T](
        self,
        todo: Todo,
        landed: Sequence[Landed[T]],
        left: Sequence[T],
        encode: Callable[[Sequence[T]], bytes],
        *,
        retry_after: float | None = None,
        tried: bool = True,
    ) -> bool:
        """Write what came of a piece; what is ``left`` of it is tried again later. False where somebody else was first.

        ``tried`` is False where nothing of that was asked for, so that it counts as no attempt.

        More than one transaction holds is written by several, each of which leaves the rest in the piece's row.

        :raises UnavailableError: storage is away; what is written is written, and the rest is still to be done.
        """
        batches = _batches(landed)
        delay = retry_delay(todo.attempts, retry_after, random.random())  # noqa: S311 - jitter
        while batches:
            batch = batches.pop(0)
            remaining = [*(each.item for following in batches for each in following), *left]
            after = todo
            if not batches and left:
                again = self._clock() + timedelta(seconds=delay)
                after = replace(todo, attempts=todo.attempts + tried, not_before=again, claimed_until=None, claims=0)
            following = _downloads(todo, batch)
            try:
                etags = await self._shelf.table.commit(
                    [
                        settle(replace(after, payload=encode(remaining)) if remaining else after, done=not remaining),
                        self.count(todo, sum((each.tally for each in batch), Tally())),
                        *(Operation("create", todo_row(each)) for each in following),
                        *(Operation("put", each.row) for each in batch if each.row),
                    ]
                )
            except ConflictError:
                _log.info("%s of %s was done by another worker", todo.name, todo.sync_id)
                return False
            except TransactionError as error:
                batches[:0] = _without_unwritable(batch, error)
                continue
            todo = replace(after, etag=etags[0]) if remaining else after
            await self.announce(following)
        if left:
            await self.announce([todo], delay=delay)
        return True

    def count(self, todo: Todo, tally: Tally) -> Operation:
        """The operation that files what a piece counted."""
        name = f"done|{todo.sync_id}|{todo.name}-{secrets.token_hex(4)}"
        row = {
            "PartitionKey": todo.tenant_id,
            "RowKey": name,
            "tally": msgspec.json.encode(tally),
            "on": to_iso(self._clock()),
        }
        return Operation("create", row)


def settle(todo: Todo, *, done: bool) -> Operation:
    """The operation that removes a piece's row or writes what is left of it, as long as it is what was read."""
    if done:
        return Operation("delete", {"PartitionKey": todo.tenant_id, "RowKey": todo_row(todo)["RowKey"]}, todo.etag)
    return Operation("replace", todo_row(todo), todo.etag)


def _downloads[T](todo: Todo, batch: Sequence[Landed[T]]) -> list[Todo]:
    return [
        Todo(
            tenant_id=todo.tenant_id,
            sync_id=todo.sync_id,
            name=f"files-{todo.name}-{secrets.token_hex(4)}",
            kind=Kind.DOWNLOAD,
            payload=msgspec.json.encode(group),
        )
        for group in grouped(file for each in batch for file in each.files)
    ]


def _without_unwritable[T](batch: Sequence[Landed[T]], error: TransactionError) -> list[list[Landed[T]]]:
    """What to try in place of a transaction that the service refuses: each row alone, and without one refused alone."""
    if len(batch) > 1:
        return [[each] for each in batch]
    if not batch or batch[0].row is None:
        raise error
    _log.error("the row %s cannot be written: %s", str(batch[0].row["RowKey"])[:200], error)
    return [[replace(batch[0], row=None, tally=Tally(fetched=1, failed=1))]]


def _batches[T](landed: Sequence[Landed[T]]) -> list[list[Landed[T]]]:
    """In as few transactions as hold them; one even where there is nothing, since the piece itself is written too."""
    batches: list[list[Landed[T]]] = [[]]
    rows = size = 0
    for each in landed:
        more = len(encode_row(each.row)) if each.row else 0
        if rows == MAX_PRODUCTS or (rows and size + more > MAX_BYTES):
            batches.append([])
            rows = size = 0
        batches[-1].append(each)
        rows += each.row is not None
        size += more
    return batches
