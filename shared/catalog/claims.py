"""Claims: who works on a piece says so in its row, so that a message that comes twice does not double the work.

A claim saves work; it never guards data. Results are written on condition of the row's ETag (see
:mod:`shared.catalog.landing`), whoever claims to be at it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from uuid import uuid4

from shared.catalog.landing import settle
from shared.catalog.shelf import Shelf
from shared.catalog.work import CLAIM, Todo, todo_row
from shared.clock import Clock, utc_now
from shared.correlation import get_logger
from shared.errors import StorekeeperError, UnavailableError
from shared.storage.transactions import ConflictError

HEARTBEAT = 20.0
"""Seconds between two signs of life of one who works."""

_log = get_logger(__name__)


@dataclass(slots=True)
class Kept:
    """A piece whose claim is being prolonged; ``todo`` is its row as it is now."""

    todo: Todo
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class Claims:
    """Claims of the pieces of all passes."""

    def __init__(self, shelf: Shelf, *, clock: Clock = utc_now) -> None:
        self._shelf = shelf
        self._clock = clock

    async def take(self, todo: Todo) -> Todo | None:
        """The piece as it is once it is claimed; None where it is not what was read any more.

        :raises UnavailableError: storage is away.
        """
        try:
            return await self._prolonged(replace(todo, claims=todo.claims + 1, claimed_by=uuid4().hex))
        except ConflictError:
            return None

    async def release(self, todo: Todo, *, failed: bool) -> None:
        """Let the next message have the piece at once; failing that, the claim runs out by itself.

        ``failed``: it counts as one more that nothing came of.
        """
        with suppress(ConflictError, StorekeeperError):
            current = await self._shelf.todo(todo.tenant_id, todo.sync_id, todo.name)
            if current is not None and current.claimed_by == todo.claimed_by:
                free = replace(current, claimed_until=None, claims=current.claims if failed else 0)
                await self._shelf.table.commit([settle(free, done=False)])

    @asynccontextmanager
    async def kept(self, todo: Todo) -> AsyncIterator[Kept]:
        """Give signs of life for as long as the block runs. What is written afterwards goes by ``Kept.todo``."""
        kept = Kept(todo)
        keeper = asyncio.create_task(self._beat(kept))
        try:
            yield kept
        finally:
            # Not cancelled: in the midst of a sign of life we would not know the new ETag, and the work would be lost.
            kept.ended.set()
            await keeper

    async def _beat(self, kept: Kept) -> None:
        while not kept.ended.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT):
                    await kept.ended.wait()
                return
            try:
                kept.todo = await self._prolonged(kept.todo)
            except ConflictError:
                return
            except UnavailableError as error:
                _log.warning("no sign of life could be given: %s", error)

    async def _prolonged(self, todo: Todo) -> Todo:
        claimed = replace(todo, claimed_until=self._clock() + CLAIM)
        try:
            (etag,) = await self._shelf.table.commit([settle(claimed, done=False)])
        except ConflictError:
            # A first answer may be lost, and what the SDK sent again meet our own row.
            found = await self._shelf.todo(todo.tenant_id, todo.sync_id, todo.name)
            if found is None or todo_row(found) != todo_row(claimed):
                raise
            return found
        return replace(claimed, etag=etag)
