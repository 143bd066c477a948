"""What is kept of one clawback event, and how it is written as a table row. Pure."""

import base64
import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from shared.clock import from_iso, to_iso
from shared.refunds.status import RefundStatus
from shared.storage.rows import Row
from shared.store.models.clawback import ClawbackEvent, ProductType, decode_event

SHARDS = 16
"""Partitions over which events are spread. Each takes 2,000 row operations a second (Azure Tables)."""

LONGEST_REASON = 1_000
LONGEST_CONTENT = 64 * 1024
"""Bytes of a message, at most (Azure Queue Storage); also of one property of a row."""


@dataclass(frozen=True, kw_only=True)
class Refund:
    """One event.

    ``group`` holds events together that may concern each other: those of an order or of a subscription. ``content`` is
    the message as it came. ``event`` is None where that could not be read; ``event_id`` is then the group's name.
    ``quantity`` is how many units were taken back (negative: given back). ``due_on`` is when it is looked at again,
    None where it is settled. ``received_on`` in whole seconds. ``turn`` counts the filings of its group up to its own.
    """

    group: str
    event_id: str
    message_id: str
    content: str
    received_on: datetime
    status: RefundStatus
    reason: str
    due_on: datetime | None = None
    attempts: int = 0
    quantity: int = 0
    user_id: str | None = None
    turn: int = 0

    @cached_property
    def event(self) -> ClawbackEvent | None:
        """What the message says."""
        return None if self.group == unread_group(self.message_id) else decode_event(self.content)

    @property
    def shard(self) -> str:
        """The partition."""
        return shard_of(self.group)


def group_of(event: ClawbackEvent) -> str:
    """The group of an event: its subscription, since the order changes with each renewal, or else its order."""
    recurrence = event.data.recurrence_data
    if event.product_type is ProductType.PASS and recurrence:
        return recurrence.recurrence_id.lower()
    return event.data.order_id.lower()


def unread_group(message_id: str) -> str:
    """The group, and the id, of a message that is no event: it stands for itself."""
    return f"message.{_safe(message_id)}"


def shard_of(group: str) -> str:
    """The partition of a group."""
    return f"{hashlib.sha256(group.encode()).digest()[0] % SHARDS:x}"


def to_properties(refund: Refund) -> dict[str, Any]:
    """The record's properties."""
    properties: dict[str, Any] = {
        "group": refund.group,
        "eventId": refund.event_id,
        "messageId": refund.message_id,
        "content": refund.content.encode()[:LONGEST_CONTENT],
        "receivedOn": to_iso(refund.received_on),
        "status": str(refund.status),
        "reason": refund.reason[:LONGEST_REASON],
        "attempts": refund.attempts,
        "quantity": refund.quantity,
        "turn": refund.turn,
    }
    if refund.due_on:
        properties["dueOn"] = to_iso(refund.due_on)
    if refund.user_id is not None:
        properties["userId"] = refund.user_id
    return properties


def from_row(row: Row) -> Refund:
    """The inverse of :func:`to_properties`."""
    due_on = row.get("dueOn")
    return Refund(
        group=row["group"],
        event_id=row["eventId"],
        message_id=row["messageId"],
        content=row["content"].decode(errors="replace"),
        received_on=from_iso(row["receivedOn"]),
        status=RefundStatus(row["status"]),
        reason=row["reason"],
        due_on=from_iso(due_on) if due_on else None,
        attempts=row["attempts"],
        quantity=row["quantity"],
        user_id=row.get("userId"),
        turn=row.get("turn", 0),
    )


def _safe(text: str) -> str:
    """An id of the queue in characters that a row key may hold, whatever the queue made it of."""
    if len(text) <= 128 and text.isascii() and all(each.isalnum() or each in "-._" for each in text):
        return text
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip("=")
