"""Where events are filed: the table ``refunds``, up to three rows each in the partition of the event's group.

- ``event|GROUP|ID`` is the event itself; one range reads all that may concern each other.
- ``status|STATUS|RECEIVED|GROUP|ID`` is a copy for those who ask for all of one status, the oldest first.
- ``open|DUE|GROUP|ID`` is a copy under the time at which it is looked at again; settled events have none.

Every change is one entity-group transaction on the condition that the event's own row is what was read.
"""

import asyncio
from dataclasses import replace
from datetime import datetime

from shared.clock import to_iso
from shared.refunds.record import SHARDS, Refund, from_row, to_properties
from shared.refunds.status import RefundStatus
from shared.storage.rows import Row
from shared.storage.tables import Table
from shared.storage.transactions import Operation

MOST_OF_A_GROUP = 1_000
"""Events of one order or subscription that are read, at most."""

_END = "~"


class RefundFiles:
    """The events. All methods raise :class:`UnavailableError` where storage is away."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def find(self, group: str, event_id: str, shard: str) -> Refund | None:
        """One event, by one point read."""
        found = await self._table.get(shard, f"event|{group}|{event_id.lower()}")
        return from_row(*found) if found else None

    async def of_group(self, group: str, shard: str) -> list[Refund]:
        """All events of a group; without ETags, so none of them can be replaced."""
        start = f"event|{group}|"
        return [from_row(row) for row in await self._table.first(shard, start, start + _END, MOST_OF_A_GROUP)]

    async def write(self, before: Refund | None, after: Refund) -> Refund:
        """File an event, or change one that was found; what it now is.

        :raises ConflictError: it is no longer what was read, or it is filed already.
        """
        own = Operation("replace", _own(after), before.etag) if before else Operation("create", _own(after))
        operations = [own]
        old = _copies(before) if before else {}
        new = _copies(after)
        operations += [Operation("delete", row) for name, row in old.items() if name not in new]
        operations += [Operation("put", row) for row in new.values()]
        etags = await self._table.commit(operations)
        return replace(after, etag=etags[0])

    async def due(self, now: datetime, count: int) -> list[Refund]:
        """The first ``count`` events that are to be looked at by ``now``, the most overdue first; without ETags."""
        end = f"open|{to_iso(now)}{_END}"
        found = await asyncio.gather(*(self._table.first(shard, "open|", end, count) for shard in _shards()))
        rows = sorted((row for rows in found for row in rows), key=lambda row: str(row["RowKey"]))
        return [from_row(row) for row in rows[:count]]

    async def page(self, status: RefundStatus, after: str, count: int) -> list[tuple[str, Refund]]:
        """Up to ``count`` events of a status behind the place ``after`` (empty: from the first), each with its place.

        The oldest come first; what is received meanwhile comes last.
        """
        prefix = f"status|{status}|"
        # A row key that begins with another and goes on is behind it.
        start = prefix + after + (" " if after else "")
        found = await asyncio.gather(*(self._table.first(shard, start, prefix + _END, count) for shard in _shards()))
        rows = sorted((row for rows in found for row in rows), key=lambda row: str(row["RowKey"]))
        return [(str(row["RowKey"]).removeprefix(prefix), from_row(row)) for row in rows[:count]]


def _shards() -> list[str]:
    return [f"{number:x}" for number in range(SHARDS)]


def _own(refund: Refund) -> Row:
    return {**_keys(refund, f"event|{refund.group}|{refund.event_id.lower()}"), **to_properties(refund)}


def _copies(refund: Refund) -> dict[str, Row]:
    name = f"{refund.group}|{refund.event_id.lower()}"
    names = [f"status|{refund.status}|{to_iso(refund.received_on)}|{name}"]
    if refund.due_on:
        names.append(f"open|{to_iso(refund.due_on)}|{name}")
    properties = to_properties(refund)
    return {each: {**_keys(refund, each), **properties} for each in names}


def _keys(refund: Refund, row: str) -> Row:
    return {"PartitionKey": refund.shard, "RowKey": row}
