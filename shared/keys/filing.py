"""Where records are filed: each twice in its player's partition, and both always at once.

- ``user|NAME`` is the player's own row.
- ``due|TIME|NAME|DRAW`` is a copy under the time of the record's next duty. A worker finds what is due by one range of
  row keys, with all that it needs, and without looking at anything that is not due.

Every change goes through one entity-group transaction that replaces both. A due row is never altered: it is made,
and it is deleted, and DRAW gives each a name of its own. Whoever deletes the due row that they read therefore knows
that the record is still what they read, and two who act on one record cannot both be right.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.clock import to_iso
from shared.correlation import get_logger
from shared.keys.record import Record, from_row, row_name, shard_of, to_properties
from shared.storage.rows import Row
from shared.storage.tables import Table
from shared.storage.transactions import MAX_OPERATIONS, ConflictError, Operation

ATTEMPTS = 6
"""Tries to write a record that others are writing too."""

RECORDS_A_COMMIT = MAX_OPERATIONS // 3
"""A changed record takes three operations: its own row, the due row it had, the due row it gets."""

_DUE = "due|"

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """A record as it was read (None: there was none), and as it is to be."""

    before: Record | None
    after: Record


class Files:
    """Players' records in the table ``storeids``."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def find(self, user_id: str) -> Record | None:
        """A player's record, by one point read."""
        found = await self._table.get(shard_of(user_id), f"user|{row_name(user_id)}")
        return from_row(*found) if found else None

    async def due(self, shard: str, now: datetime, count: int) -> list[Record]:
        """The first ``count`` records of a shard that have a duty by ``now``, the most overdue first."""
        start, end = _DUE, f"{_DUE}{to_iso(now)}~"
        records: list[Record] = []
        while len(records) < count:
            rows = await self._table.first(shard, start, end, count)
            records += [record for row in rows if (record := _readable(row))]
            if len(rows) < count:
                break
            # A row key that begins with another and goes on is behind it.
            start = f"{rows[-1]['RowKey']} "
        return records[:count]

    async def has_due(self, shard: str, now: datetime) -> bool:
        """Whether a shard has anything due."""
        end = f"{_DUE}{to_iso(now)}~"
        return bool(await self._table.first(shard, _DUE, end, 1, select=["RowKey"]))

    async def apply(self, change: Change) -> None:
        """Write one change.

        :raises ConflictError: the record is no longer what was read.
        """
        await self._table.commit(_operations(change))

    async def apply_all(self, changes: Sequence[Change]) -> list[Change]:
        """Write up to :data:`RECORDS_A_COMMIT` changes of one shard; those that met a conflict come back unwritten."""
        pending = list(changes)
        conflicts: list[Change] = []
        while pending:
            operations = [(change, operation) for change in pending for operation in _operations(change)]
            try:
                await self._table.commit([operation for _, operation in operations])
            except ConflictError as conflict:
                lost = operations[conflict.index][0]
                conflicts.append(lost)
                pending = [change for change in pending if change is not lost]
            else:
                break
        return conflicts


def _readable(row: Row) -> Record | None:
    """The record, unless the row is none of ours: one that somebody else wrote must not hold up the others."""
    try:
        return from_row(row)
    except (KeyError, ValueError, TypeError):
        _log.exception("the row %s of partition %s cannot be read", row["RowKey"], row["PartitionKey"])
        return None


def _operations(change: Change) -> list[Operation]:
    before, record = change.before, change.after
    due_on = record.duty_on
    partition, name = shard_of(record.user_id), row_name(record.user_id)
    filed_under = f"{_DUE}{to_iso(due_on)}|{name}|{secrets.token_hex(4)}" if due_on else None
    properties = to_properties(replace(record, filed_under=filed_under))
    own: Row = {"PartitionKey": partition, "RowKey": f"user|{name}", **properties}

    operations = []
    if before is None:
        operations.append(Operation("create", own))
    elif not record.keys:
        operations.append(Operation("delete", own, before.etag))
    elif before.etag:
        operations.append(Operation("replace", own, before.etag))
    else:
        # Read from the due index: the deletion of the due row, below, is what holds the transaction to that reading.
        operations.append(Operation("put", own))
    if before and before.filed_under:
        operations.append(Operation("delete", {"PartitionKey": partition, "RowKey": before.filed_under}))
    if filed_under:
        operations.append(Operation("create", {**own, "RowKey": filed_under}))
    return operations
