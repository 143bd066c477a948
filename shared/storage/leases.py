"""Leases: who does a piece of work that two should not do at once.

A lease saves work; it never guards data. Clocks differ and a holder can stall past its lease, so whatever is written
under one is still written on condition.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta

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
class _Held:
    partition: str
    etag: str


class Leases:
    """One lease a partition of a table: the row ``lease``, which is there while somebody holds it."""

    def __init__(self, table: Table, duration: timedelta, *, clock: Clock = utc_now) -> None:
        self._table = table
        self._duration = duration
        self._clock = clock

    @asynccontextmanager
    async def held(self, partition: str) -> AsyncIterator[bool]:
        """Hold the lease for as long as the block runs; False where somebody else holds it.

        It is prolonged while the block runs, so its duration is only how long a holder that died is waited for.

        :raises UnavailableError: the account is away.
        """
        etag = await self._take(partition)
        if etag is None:
            yield False
            return
        lease = _Held(partition, etag)
        keeper = asyncio.create_task(self._prolong(lease))
        try:
            yield True
        finally:
            keeper.cancel()
            await asyncio.wait([keeper])
            # Cancelled in the midst of prolonging, we may not know the newest ETag: then the lease runs out by itself.
            with suppress(ConflictError):
                row = {"PartitionKey": partition, "RowKey": ROW}
                await self._table.commit([Operation("delete", row, lease.etag)])

    async def _take(self, partition: str) -> str | None:
        """The ETag by which the lease is ours, or None. One that its holder let run out is taken over."""
        for _ in range(2):
            try:
                return (await self._table.commit([Operation("create", self._row(partition))]))[0]
            except ConflictError:
                found = await self._table.get(partition, ROW)
            if found is None:
                continue  # given back between the two calls
            now = self._clock()
            if now < from_iso(found[0]["until"]) <= now + self._duration + CLOCK_ALLOWANCE:
                return None
            try:
                return (await self._table.commit([Operation("replace", self._row(partition), found[1])]))[0]
            except ConflictError:
                return None
        return None

    async def _prolong(self, lease: _Held) -> None:
        while True:
            await asyncio.sleep(self._duration.total_seconds() / 3)
            try:
                operation = Operation("replace", self._row(lease.partition), lease.etag)
                (lease.etag,) = await self._table.commit([operation])
            except (ConflictError, UnavailableError) as error:
                _log.warning("the lease of %s could not be prolonged: %s", lease.partition, error)

    def _row(self, partition: str) -> Row:
        return {"PartitionKey": partition, "RowKey": ROW, "until": to_iso(self._clock() + self._duration)}
