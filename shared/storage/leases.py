"""Leases: who does a piece of work that two should not do at once.

A lease saves work; it never guards data. Clocks differ and a holder can stall past its lease, so whatever is written
under one is still written on condition.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

from shared.clock import Clock, from_iso, to_iso, utc_now
from shared.correlation import get_logger
from shared.errors import UnavailableError
from shared.storage.rows import Row
from shared.storage.tables import Table
from shared.storage.transactions import ConflictError, Operation

ROW = "lease"
CLOCK_ALLOWANCE = timedelta(minutes=1)
"""How far ahead a holder's clock may be; a lease that claims to last longer counts as run out."""

_log = get_logger(__name__)


@dataclass(slots=True)
class Lease:
    """One try at a lease. ``holder`` tells its row from others' where the answer to a write of ours was lost."""

    partition: str
    holder: str = field(default_factory=lambda: uuid4().hex)
    etag: str = ""


class Leases:
    """One lease a partition of a table: the row ``lease``, which is there while somebody holds it."""

    def __init__(self, table: Table, duration: timedelta, *, clock: Clock = utc_now) -> None:
        self._table = table
        self._duration = duration
        self._clock = clock

    @asynccontextmanager
    async def held(self, partition: str) -> AsyncIterator[bool]:
        """Hold the lease for as long as the block runs; False where somebody else holds it.

        It is prolonged while the block runs, so its duration is only how long a holder is waited for that died, or
        could not give it back.

        :raises UnavailableError: the account is away, and nothing was begun.
        """
        lease = Lease(partition)
        if not await self._take(lease):
            yield False
            return
        keeper = asyncio.create_task(self._prolong(lease))
        try:
            yield True
        finally:
            keeper.cancel()
            await asyncio.wait([keeper])
            try:
                await self._give_back(lease)
            except UnavailableError as error:
                # What was done under it is done, and says itself what became of it.
                _log.warning("the lease of %s was not given back, and runs out by itself: %s", partition, error)

    async def _take(self, lease: Lease) -> bool:
        """Whether the lease is ours now. One that its holder let run out is taken over."""
        for _ in range(2):
            try:
                (lease.etag,) = await self._table.commit([Operation("create", self._row(lease))])
            except ConflictError:
                found = await self._table.get(lease.partition, ROW)
            else:
                return True
            if found is None:
                continue  # given back between the two calls
            row, lease.etag = found
            if row.get("holder") == lease.holder:
                return True  # the first answer was lost, and what the SDK sent again met our own row
            now = self._clock()
            if now < from_iso(row["until"]) <= now + self._duration + CLOCK_ALLOWANCE:
                return False
            return await self._replace(lease)
        return False

    async def _prolong(self, lease: Lease) -> None:
        while True:
            await asyncio.sleep(self._duration.total_seconds() / 3)
            try:
                if not await self._replace(lease):
                    _log.warning("the lease of %s is another's now", lease.partition)
                    return
            except UnavailableError as error:
                _log.warning("the lease of %s could not be prolonged: %s", lease.partition, error)

    async def _replace(self, lease: Lease) -> bool:
        """Write our row over the one that we know; False where there is another's by now."""
        for _ in range(2):
            try:
                (lease.etag,) = await self._table.commit([Operation("replace", self._row(lease), lease.etag)])
            except ConflictError:
                if not await self._is_ours(lease):
                    return False
            else:
                return True
        return False

    async def _give_back(self, lease: Lease) -> None:
        row = {"PartitionKey": lease.partition, "RowKey": ROW}
        for _ in range(2):
            try:
                await self._table.commit([Operation("delete", row, lease.etag)])
            except ConflictError:
                if not await self._is_ours(lease):
                    return
            else:
                return

    async def _is_ours(self, lease: Lease) -> bool:
        """Whether the row is the one that we wrote, under an ETag that was lost with its answer."""
        found = await self._table.get(lease.partition, ROW)
        if found is None or found[0].get("holder") != lease.holder:
            return False
        lease.etag = found[1]
        return True

    def _row(self, lease: Lease) -> Row:
        until = to_iso(self._clock() + self._duration)
        return {"PartitionKey": lease.partition, "RowKey": ROW, "until": until, "holder": lease.holder}
