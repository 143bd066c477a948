"""Leases: who does a piece of work that two should not do at once.

A lease saves work; it never guards data. Clocks differ and a holder can stall past its lease, so whatever is written
under one is still written on condition.
"""

import uuid
from dataclasses import dataclass
from datetime import timedelta

from shared.clock import Clock, from_iso, to_iso, utc_now
from shared.storage.tables import ConflictError, Operation, Row, Table

ROW = "lease"


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease that was taken: on which partition, by which holder."""

    partition: str
    holder: str


class Leases:
    """One lease a partition of a table, kept as the row ``lease`` of that partition."""

    def __init__(self, table: Table, duration: timedelta, *, clock: Clock = utc_now) -> None:
        self._table = table
        self._duration = duration
        self._clock = clock

    async def take(self, partition: str) -> Lease | None:
        """The lease, or None while somebody else holds it.

        :raises UnavailableError: the account is away.
        """
        lease = Lease(partition, str(uuid.uuid4()))
        found = await self._table.get(partition, ROW)
        if found is None:
            operation = Operation("create", self._row(lease))
        else:
            row, etag = found
            if row["holder"] and from_iso(row["until"]) > self._clock():
                return None
            operation = Operation("replace", self._row(lease), etag)
        try:
            await self._table.commit([operation])
        except ConflictError:
            return None
        return lease

    async def give_back(self, lease: Lease) -> None:
        """Free the lease, if it is still ours."""
        found = await self._table.get(lease.partition, ROW)
        if found is None or found[0]["holder"] != lease.holder:
            return
        freed = {**self._row(lease), "holder": ""}
        try:
            await self._table.commit([Operation("replace", freed, found[1])])
        except ConflictError:
            return

    def _row(self, lease: Lease) -> Row:
        return {
            "PartitionKey": lease.partition,
            "RowKey": ROW,
            "holder": lease.holder,
            "until": to_iso(self._clock() + self._duration),
        }
