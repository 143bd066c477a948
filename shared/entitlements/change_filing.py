"""Where changes of subscriptions are filed: table ``subscriptionchanges``, a partition a player.

- ``change|CHANGEID``: the change.
- ``open|SUBSCRIPTION``: the one change of a subscription that is not settled. While it is there no other begins, since
  two at once would each take the other's effect for its own.
"""

import base64
from dataclasses import replace
from typing import Any

from shared.clock import from_iso, to_iso
from shared.entitlements.change import Asked, Change
from shared.entitlements.statuses import ChangeStatus
from shared.errors import StateConflictError
from shared.keys.record import row_name
from shared.storage.rows import Row
from shared.storage.tables import Table
from shared.storage.transactions import ConflictError, Operation
from shared.store.models.purchase import ChangeType

TABLE = "subscriptionchanges"


class ChangeFiles:
    """Players' changes."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def find(self, user_id: str, change_id: str) -> Change | None:
        """A change, by one point read."""
        found = await self._table.get(row_name(user_id), f"change|{change_id}")
        return _change(*found) if found else None

    async def open(self, user_id: str, change: Change) -> Change:
        """File a new change.

        :raises StateConflictError: another change of the subscription is not settled.
        :raises ConflictError: the change id was filed meanwhile.
        """
        lock = _lock(user_id, change.asked)
        try:
            tags = await self._table.commit([Operation("create", _row(user_id, change)), Operation("create", lock)])
        except ConflictError as conflict:
            if conflict.index == 0:
                raise
            other = await self._table.get(lock["PartitionKey"], lock["RowKey"])
            if other is None:
                raise
            detail = f"The change {other[0]['changeId']} of this subscription ({other[0]['what']}) is not settled"
            raise StateConflictError(f"{detail}: send it again first", retry_after=5.0) from conflict
        return replace(change, etag=tags[0])

    async def update(self, user_id: str, change: Change) -> Change:
        """File what became of a change that is not settled.

        :raises ConflictError: somebody else acted on it.
        """
        tags = await self._table.commit([Operation("replace", _row(user_id, change), change.etag)])
        return replace(change, etag=tags[0])

    async def settle(self, user_id: str, change: Change) -> Change:
        """File what became of a change, and let others of its subscription begin. Raises as :meth:`update`."""
        operations = [Operation("replace", _row(user_id, change), change.etag)]
        operations.append(Operation("delete", _lock(user_id, change.asked)))
        tags = await self._table.commit(operations)
        return replace(change, etag=tags[0])


def _lock(user_id: str, asked: Asked) -> Row:
    name = base64.urlsafe_b64encode(asked.recurrence_id.encode()).decode().rstrip("=")
    key = {"PartitionKey": row_name(user_id), "RowKey": f"open|{name}"}
    return {**key, "userId": user_id, "changeId": asked.change_id, "what": str(asked)}


def _row(user_id: str, change: Change) -> Row:
    asked = change.asked
    optional: dict[str, Any] = {
        "days": asked.extension_days,
        "sandbox": asked.sandbox,
        "expiration": change.expiration,
        "claimedOn": to_iso(change.claimed_on) if change.claimed_on else None,
        "reason": change.reason,
        "stateAfter": change.state_after,
        "expirationAfter": change.expiration_after,
    }
    return {
        "PartitionKey": row_name(user_id),
        "RowKey": f"change|{asked.change_id}",
        "userId": user_id,
        "recurrenceId": asked.recurrence_id,
        "change": str(asked.change),
        "state": change.state,
        "status": str(change.status),
        "closed": change.closed,
        **{name: value for name, value in optional.items() if value is not None},
    }


def _change(row: Row, etag: str) -> Change:
    claimed_on = row.get("claimedOn")
    return Change(
        asked=Asked(
            row["RowKey"].partition("|")[2],
            row["recurrenceId"],
            ChangeType(row["change"]),
            row.get("days"),
            row.get("sandbox"),
        ),
        state=row["state"],
        expiration=row.get("expiration"),
        status=ChangeStatus(row["status"]),
        claimed_on=from_iso(claimed_on) if claimed_on else None,
        closed=row["closed"],
        reason=row.get("reason"),
        state_after=row.get("stateAfter"),
        expiration_after=row.get("expirationAfter"),
        etag=etag,
    )
