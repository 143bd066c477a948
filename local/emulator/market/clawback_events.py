"""Clawback events: what they say and how they are written.

Source: store-services reference, section 8; fixtures ``clawback-event-*`` and ``clawback-queue-message-*``.
"""

import asyncio
import base64
import os
import uuid
from collections import deque
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from local.emulator.market.clawback_queue import ClawbackQueue
from local.emulator.market.records import Line, LineState, Order, Recurrence, Settings
from local.emulator.market.times import DAY_TICKS, now, text

Encoding = Literal["base64", "base64url"]
EventState = LineState | Literal["ChargebackReversal"]
RefundType = Literal["Full", "Partial"]
Event = dict[str, Any]

EVENTS_KEPT = 100_000

_SHORT: dict[str, str] = {"Returned": "Return", "Refunded": "Refund"}
_TOGETHER = 16


def line_event(order: Order, line: Line, state: EventState, settings: Settings, *, chargeback: bool = False) -> Event:
    """Return the event about an order line."""
    source = "/Purchase/Chargeback" if chargeback else "/Purchase/Refund"
    moment = now()
    return {
        "id": str(uuid.uuid4()),
        "source": source,
        "type": "ClawbackEventContractV2",
        "data": {
            "lineItemId": line.line_item_id,
            "orderId": order.order_id,
            "productId": line.product_id,
            "productType": line.kind,
            "purchasedDate": text(order.purchased),
            "eventDate": text(moment),
            "eventState": _SHORT.get(state, state) if settings.event_states == "short" else state,
            "sandboxId": order.sandbox,
            "skuId": line.sku_id,
        },
        "time": text(moment),
        "specversion": "1.0",
        "datacontenttype": "application/json",
        "subject": f"{source}/{order.order_id}",
        "traceparent": f"00-{os.urandom(16).hex()}-{os.urandom(8).hex()}-00",
    }


def with_recurrence(event: Event, recurrence: Recurrence, refund_type: RefundType, days_kept: int) -> Event:
    """Return the event with what a subscription adds; ``days_kept`` is ``consumedDurationInDays``."""
    event["data"]["recurrenceData"] = {
        "recurrenceId": recurrence.id,
        "durationIntervalStart": text(recurrence.period_start),
        "durationInDays": max(0, recurrence.expiration - recurrence.period_start) // DAY_TICKS,
        "consumedDurationInDays": days_kept,
        "refundType": refund_type,
    }
    return event


def encoded(content: bytes, encoding: Encoding, *, padding: bool) -> str:
    """Return a message text in one of the two alphabets, padded or not."""
    written = base64.urlsafe_b64encode(content) if encoding == "base64url" else base64.b64encode(content)
    return written.decode() if padding else written.decode().rstrip("=")


class ClawbackEvents:
    """Sends events and remembers, in memory, those that were made."""

    def __init__(self, queue: ClawbackQueue) -> None:
        self.queue = queue
        self._made: deque[Event] = deque(maxlen=EVENTS_KEPT)

    @property
    def made(self) -> Sequence[Event]:
        """All events since the start, also those that were not sent."""
        return self._made

    def note(self, events: Sequence[Event]) -> None:
        """Remember events."""
        self._made.extend(events)

    async def send(self, events: Sequence[Event], settings: Settings, *, times: int = 1) -> None:
        """Put each event into the queue, ``times`` times, encoded as the settings say.

        :raises QueueError: the queue did not take them all.
        """
        texts = [
            encoded(msgspec.json.encode(event), settings.event_encoding, padding=settings.event_padding)
            for event in events
            for _ in range(times)
        ]
        for start in range(0, len(texts), _TOGETHER):
            await asyncio.gather(*(self.queue.put(text) for text in texts[start : start + _TOGETHER]))
