"""What Purchase says of orders and subscriptions (store-services reference, sections 7 and 8).

Property names are camelCase on the wire and unknown ones are ignored. What identifies a thing is required. Date-times
are texts, exactly as received; some examples of theirs are no dates at all (:mod:`shared.store.wire_time` reads them).
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

import msgspec

from shared.secret import Secret, masked
from shared.store.models.enums import WireEnum


class _CanceledEnum(WireEnum):
    """Reads ``Cancelled`` as ``Canceled``: both are written."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if isinstance(value, str) and value.lower() == "cancelled":
            return cls("Canceled")
        return super()._missing_(value)


class OrderState(_CanceledEnum):
    """Only Purchased is an order that was carried out."""

    EDITING = "Editing"
    CHECKING_OUT = "CheckingOut"
    PENDING = "Pending"
    PURCHASED = "Purchased"
    REFUNDED = "Refunded"
    CHARGED_BACK = "ChargedBack"
    CANCELED = "Canceled"


class RecurrenceState(_CanceledEnum):
    """Inactive, Canceled and Failed are final. InDunning: not paid, and still usable during the grace time."""

    NONE = "None"
    ACTIVE = "Active"
    INACTIVE = "Inactive"
    CANCELED = "Canceled"
    IN_DUNNING = "InDunning"
    FAILED = "Failed"


class ChangeType(StrEnum):
    """Changes of a subscription; only sent, hence strict. ToggleAutoRenew switches off, and never on."""

    CANCEL = "Cancel"
    EXTEND = "Extend"
    REFUND = "Refund"
    TOGGLE_AUTO_RENEW = "ToggleAutoRenew"


class LineItemState(WireEnum):
    """Of an orders query. Revoked: consumed, then refunded. Refunded: refunded before it was consumed."""

    PURCHASED = "Purchased"
    REVOKED = "Revoked"
    REFUNDED = "Refunded"


class GrantedLine(msgspec.Struct, frozen=True, rename="camel"):
    """A line of an order that was granted; ``fulfillment_state`` is ``Fulfilled`` once the user has the product."""

    product_id: str = ""
    sku_id: str = ""
    line_item_id: str = ""
    fulfillment_state: str = ""
    quantity: int | None = None


class GrantedOrder(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The order that a grant made."""

    order_id: str
    order_state: OrderState
    order_line_items: tuple[GrantedLine, ...] = ()


class Recurrence(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A subscription of a user; the times exist in some states only."""

    id: str
    product_id: str
    recurrence_state: RecurrenceState
    sku_id: str | None = None
    auto_renew: bool | None = None
    is_trial: bool | None = None
    beneficiary: str | None = None
    market: str | None = None
    start_time: str | None = None
    expiration_time: str | None = None
    expiration_time_with_grace: str | None = None
    cancellation_date: str | None = None
    last_modified: str | None = None


class RecurrencePage(msgspec.Struct, frozen=True, rename="camel"):
    """A page of subscriptions."""

    items: tuple[Recurrence, ...] | None = None
    continuation_token: str | None = None


class OrderLine(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A line of an order, for support."""

    line_item_id: str
    product_id: str
    line_item_state: LineItemState
    sku_id: str | None = None
    quantity: int | None = None
    was_consumable_quantity_revoked: bool | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An order of consumables; ``short_order_id`` is what the customer sees."""

    order_id: str
    short_order_id: str | int | None = None
    order_line_items: tuple[OrderLine, ...] = ()
    order_purchased_date: str | None = None
    order_refunded_date: str | None = None


class OrderPage(msgspec.Struct, frozen=True, rename="camel"):
    """A page of orders."""

    items: tuple[Order, ...] | None = None
    continuation_token: str | None = None


class WireSasToken(msgspec.Struct, frozen=True, rename="camel"):
    """The address of the clawback queue as it comes."""

    uri: str
    expires_on: str

    __repr__ = masked


class ClawbackQueueAddress(msgspec.Struct, frozen=True):
    """The clawback queue's address: whoever knows it may read and delete the events, until ``expires_on``."""

    uri: Secret
    expires_on: datetime


def moment_of(text: str) -> datetime:
    """An ISO 8601 date-time, in UTC; seconds, and an offset, may be missing (section 8 shows ``2022-12-09T02:13Z``).

    :raises ValueError: it is none.
    """
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
