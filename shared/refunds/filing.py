"""Where events are filed: the table ``refunds``, up to three rows each in the partition of the event's group.

- ``event|GROUP|ID`` is the event itself; one range reads all that may concern each other.
- ``turn|GROUP|N`` says how often events of the group were filed, so far.
- ``status|STATUS|RECEIVED|GROUP|ID`` is a copy for those who ask for all of one status, the oldest first.
- ``open|DUE|GROUP|ID`` is a copy under the time at which it is looked at again; settled events have none.

Every change is one entity-group transaction that takes the group's next turn. What was judged by the events of a group
is filed only while no other one was filed meanwhile: two runs that know of one half each would both be wrong.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.clock import to_iso
from shared.refunds.record import SHARDS, Refund, from_row, to_properties
from shared.refunds.status import RefundStatus
from shared.storage.rows import Row
from shared.storage.tables import Table
from shared.storage.transactions import Operation

MOST_OF_A_GROUP = 10_000
"""Events of one order or subscription that are read, at most."""

DUE_AT_ONCE = 32
"""Rows of a shard that are read at once of what is due."""

_END = "~"


class RefundFiles:
    """The events. All methods raise :class:`UnavailableError` where storage is away."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def of_group(self, group: str, shard: str) -> list[Refund]:
        """All events of a group."""
        start = f"event|{group}|"
        return [from_row(row) for row in await self._table.first(shard, start, start + _END, MOST_OF_A_GROUP)]

    async def write(self, before: Refund | None, after: Refund, group: Sequence[Refund]) -> None:
        """File an event, or change one, as it was judged by ``group``, which has ``before``, too.

        :raises ConflictError: an event of the group was filed since that was read.
        """
        turn = max((each.turn for each in group), default=0)
        after = replace(after, turn=turn + 1)
        old, new = _copies(before) if before else {}, _copies(after)
        operations = [Operation("replace" if before else "create", _own(after)), Operation("create", _turn(after))]
        if turn:
            operations.append(Operation("delete", _turn(replace(after, turn=turn))))
        operations += [Operation("delete", row) for name, row in old.items() if name not in new]
        operations += [Operation("put", row) for row in new.values()]
        await self._table.commit(operations)

    def due(self, now: datetime, count: int) -> AsyncIterator[Refund]:
        """The first ``count`` events that are to be looked at by ``now``, the most overdue first.

        Read as they are asked for: what is filed anew meanwhile, to be looked at later, does not come again.
        """
        return self._open("open|", f"open|{to_iso(now)}{_END}", count)

    def due_after(self, moment: datetime, count: int) -> AsyncIterator[Refund]:
        """The first ``count`` events that are to be looked at only later than that. Otherwise as :meth:`due`."""
        return self._open(f"open|{to_iso(moment)}{_END}", f"open|{_END}", count)

    async def _open(self, start: str, end: str, count: int) -> AsyncIterator[Refund]:
        ahead = {shard: _Ahead([], start) for shard in _shards()}
        for _ in range(count):
            await asyncio.gather(*(self._read_on(shard, each, end) for shard, each in ahead.items()))
            first = min((each for each in ahead.values() if each.rows), key=lambda each: each.first, default=None)
            if first is None:
                return
            yield from_row(first.rows.pop(0))

    async def _read_on(self, shard: str, ahead: "_Ahead", end: str) -> None:
        if ahead.rows or ahead.is_all:
            return
        ahead.rows = await self._table.first(shard, ahead.start, end, DUE_AT_ONCE)
        ahead.is_all = len(ahead.rows) < DUE_AT_ONCE
        if ahead.rows:
            # A row key that begins with another and goes on is behind it.
            ahead.start = f"{ahead.rows[-1]['RowKey']} "

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


@dataclass(slots=True)
class _Ahead:
    """Rows of a shard that were read and not yet asked for, and where the next ones start."""

    rows: list[Row]
    start: str
    is_all: bool = False

    @property
    def first(self) -> str:
        return str(self.rows[0]["RowKey"])


def _shards() -> list[str]:
    return [f"{number:x}" for number in range(SHARDS)]


def _own(refund: Refund) -> Row:
    return {**_keys(refund, f"event|{refund.group}|{refund.event_id.lower()}"), **to_properties(refund)}


def _turn(refund: Refund) -> Row:
    return _keys(refund, f"turn|{refund.group}|{refund.turn}")


def _copies(refund: Refund) -> dict[str, Row]:
    name = f"{refund.group}|{refund.event_id.lower()}"
    names = [f"status|{refund.status}|{to_iso(refund.received_on)}|{name}"]
    if refund.due_on:
        names.append(f"open|{to_iso(refund.due_on)}|{name}")
    properties = to_properties(refund)
    return {each: {**_keys(refund, each), **properties} for each in names}


def _keys(refund: Refund, row: str) -> Row:
    return {"PartitionKey": refund.shard, "RowKey": row}
