"""Clawback events as the Store's queue brings them (store-services reference, section 8).

Tolerant of fields that nobody documented and of both spellings of a state; strict where a value becomes a key.
"""

import base64
import binascii
import re
from typing import Annotated

import msgspec

from shared.store.models.enums import WireEnum

CONTRACT = "ClawbackEventContractV2"
"""The one type of events that is documented."""

_CHARGEBACK = "/purchase/chargeback"
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/]")

Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._:-]{1,128}$(?!\n)")]
"""An id of the Store, in characters that a row key may hold."""


class EventState(WireEnum):
    """What became of the purchase. The reference's page spells two of them in two ways (section 8)."""

    RETURNED = "Returned"
    REVOKED = "Revoked"
    REFUNDED = "Refunded"
    CHARGEBACK_REVERSAL = "ChargebackReversal"


class ProductType(WireEnum):
    """What was purchased (section 5, ``productKind``)."""

    CONSUMABLE = "Consumable"
    UNMANAGED_CONSUMABLE = "UnmanagedConsumable"
    DURABLE = "Durable"
    GAME = "Game"
    APPLICATION = "Application"
    PASS = "Pass"  # noqa: S105 - a subscription


class RecurrenceData(msgspec.Struct, rename="camel", frozen=True):
    """The period of a subscription that was paid back; ``consumed_duration_in_days`` are the days that stay."""

    recurrence_id: Id
    duration_interval_start: str | None = None
    duration_in_days: int | None = None
    consumed_duration_in_days: int | None = None
    refund_type: str | None = None


class ClawbackData(msgspec.Struct, rename="camel", frozen=True):
    """What was purchased and what became of it. ``line_item_id`` is what a consume calls ``orderLineItemId``.

    There is no user, no quantity and no amount.
    """

    line_item_id: Id
    order_id: Id
    product_id: Id
    product_type: str
    event_state: str
    sandbox_id: str
    sku_id: str | None = None
    purchased_date: str | None = None
    event_date: str | None = None
    recurrence_data: RecurrenceData | None = None


class ClawbackEvent(msgspec.Struct, frozen=True):
    """One event. ``id`` is the documented idempotency key."""

    id: Id
    source: str
    type: str
    data: ClawbackData
    time: str | None = None

    @property
    def state(self) -> EventState:
        """The state in its documented spelling; :attr:`WireEnum.known` tells whether it is one of the four."""
        named = self.data.event_state
        return EventState(_SPELLINGS.get(named.lower(), named))

    @property
    def product_type(self) -> ProductType:
        """What was purchased."""
        return ProductType(self.data.product_type)

    @property
    def is_chargeback(self) -> bool:
        """Whether the bank took the money back, rather than the Store."""
        return self.source.rstrip("/").lower() == _CHARGEBACK


_SPELLINGS = {"return": "Returned", "refund": "Refunded"}


class UnreadableEventError(ValueError):
    """A message that is no clawback event; says why, without repeating what it holds."""


def decode_event(text: str) -> ClawbackEvent:
    """The event of a message's text: base64 or base64url, padded or not, of UTF-8 JSON.

    :raises UnreadableEventError: it is none.
    """
    standard = "".join(text.split()).translate(_TO_STANDARD).rstrip("=")
    if not standard or _NOT_BASE64.search(standard):
        raise UnreadableEventError("the message is not base64")
    try:
        content = base64.b64decode(standard + "=" * (-len(standard) % 4))
    except binascii.Error as error:
        raise UnreadableEventError("the message is not base64") from error
    try:
        return msgspec.json.decode(content, type=ClawbackEvent)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UnreadableEventError(f"the message is no clawback event: {error}") from error


_TO_STANDARD = str.maketrans("-_", "+/")
