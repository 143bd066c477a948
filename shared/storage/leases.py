"""Leases: who does a piece of work that two should not do at once.

A lease saves work; it never guards data. Clocks differ and a holder can stall past its lease, so whatever is written
under one is still written on condition.
"""

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from shared.clock import Clock, from_iso, to_iso, utc_now
from shared.storage.rows import Row
from shared.storage.tables import Table
from shared.storage.transactions import ConflictError, Operation

ROW = "lease"


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was taken: on which partition, and the ETag by which it is still ours."""

    partition: str
    etag: str


class Leases:
    """One lease a partition of a table: the row ``lease``, which is there while somebody holds it."""

    def __init__(self, table: Table, duration: timedelta, *, clock: Clock = utc_now) -> None:
        self._table = table
        self._duration = duration
        self._clock = clock

    async def take(self, partition: str) -> Lease | None:
        """The lease, or None while somebody else holds it. A lease that its holder let run out is taken over.

        :raises UnavailableError: the account is away.
        """
        row: Row = {"PartitionKey": partition, "RowKey": ROW, "until": to_iso(self._clock() + self._duration)}
        try:
            return Lease(partition, *await self._table.commit([Operation("create", row)]))
        except ConflictError:
            held = await self._table.get(partition, ROW)
        if held is None or from_iso(held[0]["until"]) > self._clock():
            return None
        try:
            return Lease(partition, *await self._table.commit([Operation("replace", row, held[1])]))
        except ConflictError:
            return None

    async def give_back(self, lease: Lease) -> None:
        """Free the lease, if it is still ours."""
        row = {"PartitionKey": lease.partition, "RowKey": ROW}
        with suppress(ConflictError):
            await self._table.commit([Operation("delete", row, lease.etag)])
