"""Where players' books are filed: the table ``ledger``, its partitions shards of players. U is the player's id.

- ``job|U|TRACKING`` is a fulfilment, for ever; what it took of order lines stands in it, too.
- ``balance|U|SANDBOX|PRODUCT`` is what the player holds of a product: what a tester has for nothing is no balance in
  ``RETAIL``.
- ``refund|U|EVENT`` is a clawback event that was applied to the player.
- ``open|TIME|U|TRACKING|DRAW`` stands for a fulfilment of which something is still to be done, and ``open|TIME|out|…``
  for an event that is not sent. A sweep finds what is overdue by one range of row keys.

A job knows its open row. Every change of a job is on its ETag, so nobody acts on what somebody else has changed.
"""

import secrets
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from shared.clock import to_iso
from shared.ledger.kinds import JobStatus
from shared.ledger.record import (
    END,
    OPEN,
    Balance,
    Job,
    balances_name,
    job_from,
    job_name,
    refund_name,
    shard_of,
    to_properties,
    user_name,
)
from shared.storage.rows import Row
from shared.storage.tables import Table
from shared.storage.transactions import ConflictError, Operation

_FIRST = "!"
"""Comes before every character that a name here may have."""

EVENT = "event"
"""The property of an open row that holds an event."""


@dataclass(frozen=True, slots=True)
class Due:
    """An open row that is due: of a fulfilment or, with ``event``, an event to be sent."""

    shard: str
    name: str
    user_id: str
    tracking_id: str
    event: bytes | None


@dataclass(frozen=True, slots=True)
class HeldBalance:
    """A balance as it was read; without ``etag`` there is no row of it yet."""

    quantity: int = 0
    etag: str | None = None


class Files:
    """The books. All methods raise :class:`UnavailableError` where storage is away."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def job(self, user_id: str, tracking_id: str) -> Job | None:
        """A fulfilment, by one point read."""
        found = await self._table.get(shard_of(user_id), job_name(user_id, tracking_id))
        return job_from(*found) if found else None

    async def create(self, job: Job, due: datetime) -> Job:
        """File a new fulfilment, to be swept at ``due``.

        :raises ConflictError: there is one of this id.
        """
        filed = replace(job, filed_under=_open_name(job, due))
        written = await self._table.commit([Operation("create", job_row(filed)), _opening(filed)])
        return replace(filed, etag=written[0])

    async def replace(self, before: Job, after: Job, *, due: datetime | None = None) -> Job:
        """Change a fulfilment; with ``due`` it is swept then and not when it was to be.

        :raises ConflictError: it is no longer what was read, or its open row is gone.
        """
        if due is None:
            operations = [Operation("replace", job_row(after), before.etag)]
        else:
            after = replace(after, filed_under=_open_name(after, due))
            operations = [Operation("replace", job_row(after), before.etag), _closing(before), _opening(after)]
        return replace(after, etag=(await self._table.commit(operations))[0])

    async def end(self, before: Job, after: Job) -> Job:
        """Change a fulfilment of which then nothing is left to be done. Raises as :meth:`replace`."""
        operations = [Operation("replace", job_row(after), before.etag), _closing(before)]
        return replace(after, etag=(await self._table.commit(operations))[0])

    async def is_open(self, job: Job) -> bool:
        """Whether something is left to be done of a fulfilment."""
        return await self._table.get(shard_of(job.user_id), job.filed_under) is not None

    async def remove(self, shard: str, name: str) -> None:
        """Remove an open row, if it is there."""
        with suppress(ConflictError):
            await self._table.commit([Operation("delete", {"PartitionKey": shard, "RowKey": name})])

    async def due(self, shard: str, by: datetime, count: int, *, after: str = OPEN) -> list[Due]:
        """The first ``count`` open rows of a shard that are due ``by`` then, the most overdue first.

        ``after`` is the name of a row: those before it, and itself, are left out.
        """
        return await self._open(shard, f"{after}{_FIRST}", f"{OPEN}{to_iso(by)}{END}", count)

    async def due_later(self, shard: str, than: datetime, count: int) -> list[Due]:
        """Up to ``count`` open rows of a shard that are due later than that."""
        return await self._open(shard, f"{OPEN}{to_iso(than)}{END}", f"{OPEN}{END}", count)

    async def _open(self, shard: str, start: str, end: str, count: int) -> list[Due]:
        rows = await self._table.first(shard, start, end, count)
        return [
            Due(shard, row["RowKey"], row.get("userId", ""), row.get("trackingId", ""), row.get(EVENT)) for row in rows
        ]

    async def balance(self, job: Job) -> HeldBalance:
        """What a player holds of the product of a fulfilment, in its sandbox."""
        found = await self._table.get(shard_of(job.user_id), _balance_name(job))
        return HeldBalance(int(found[0]["quantity"]), found[1]) if found else HeldBalance()

    async def balances(self, user_id: str, sandbox: str) -> list[Balance]:
        """What a player holds in a sandbox, by product id."""
        prefix = balances_name(user_id, sandbox)
        rows = await self._table.first(shard_of(user_id), prefix, prefix + END, None)
        return [Balance(row["productId"], int(row["quantity"])) for row in rows]

    async def jobs(self, user_id: str) -> list[Job]:
        """All fulfilments of a player, by tracking id."""
        prefix = f"job|{user_name(user_id)}|"
        rows = await self._table.first(shard_of(user_id), prefix, prefix + END, None)
        return [job_from(row) for row in rows]

    async def stuck(self, user_id: str, count: int) -> list[str]:
        """Tracking ids of a player's fulfilments that are stuck. Storage looks at all that the player ever had."""
        prefix = f"job|{user_name(user_id)}|"
        stuck = ("status", JobStatus.STUCK.value)
        names = ("trackingId",)
        rows = await self._table.first(shard_of(user_id), prefix, prefix + END, count, select=names, having=stuck)
        return [row["trackingId"] for row in rows]

    async def refund(self, user_id: str, event_id: str) -> Row | None:
        """What a clawback event did to a player; None where it was not applied."""
        found = await self._table.get(shard_of(user_id), refund_name(user_id, event_id))
        return found[0] if found else None

    async def commit(self, operations: Sequence[Operation]) -> list[str]:
        """Several changes of one player's books at once. Raises as :meth:`Table.commit`."""
        return await self._table.commit(operations)


def job_row(job: Job) -> Row:
    """A fulfilment as a row."""
    partition, name = shard_of(job.user_id), job_name(job.user_id, job.tracking_id)
    return {"PartitionKey": partition, "RowKey": name, **to_properties(job)}


def balance_write(job: Job, held: HeldBalance, quantity: int) -> Operation:
    """The operation that puts ``quantity`` in the place of the balance that was read."""
    row = {
        "PartitionKey": shard_of(job.user_id),
        "RowKey": _balance_name(job),
        "userId": job.user_id,
        "productId": job.product_id,
        "quantity": str(quantity),
    }
    return Operation("replace", row, held.etag) if held.etag else Operation("create", row)


def event_row(shard: str, due: datetime, event_id: str, event: bytes) -> Row:
    """An event that is still to be sent, swept at ``due``."""
    return {"PartitionKey": shard, "RowKey": f"{OPEN}{to_iso(due)}|out|{event_id}", EVENT: event}


def _balance_name(job: Job) -> str:
    return balances_name(job.user_id, job.sandbox) + job.product_id.upper()


def _open_name(job: Job, due: datetime) -> str:
    return f"{OPEN}{to_iso(due)}|{user_name(job.user_id)}|{job.tracking_id}|{secrets.token_hex(4)}"


def _opening(job: Job) -> Operation:
    row: dict[str, Any] = {"PartitionKey": shard_of(job.user_id), "RowKey": job.filed_under}
    return Operation("create", row | {"userId": job.user_id, "trackingId": job.tracking_id})


def _closing(job: Job) -> Operation:
    return Operation("delete", {"PartitionKey": shard_of(job.user_id), "RowKey": job.filed_under})
