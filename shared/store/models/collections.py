"""What Collections says of a user's products and of a consume (store-services reference, sections 5 and 6).

Property names are camelCase on the wire and unknown ones are ignored. Versions, documents and examples disagree about
some names: :class:`CollectionsItem` is read from all of them. What identifies a thing is required. Date-times are
texts, exactly as received, with up to 7 fractional digits (:mod:`shared.store.wire_time` compares them).
"""

from typing import Any

import msgspec

from shared.store.models.enums import WireEnum


class ProductKind(WireEnum):
    """Consumable: store-managed. UnmanagedConsumable: developer-managed. Pass: a subscription."""

    APPLICATION = "Application"
    GAME = "Game"
    DURABLE = "Durable"
    CONSUMABLE = "Consumable"
    UNMANAGED_CONSUMABLE = "UnmanagedConsumable"
    PASS = "Pass"  # noqa: S105 - a subscription


class ItemStatus(WireEnum):
    """Active includes pre-orders (v9); Revoked mostly means refunded."""

    ACTIVE = "Active"
    EXPIRED = "Expired"
    REVOKED = "Revoked"
    BANNED = "Banned"
    SUSPENDED = "Suspended"


class AcquisitionType(WireEnum):
    """How a product came to its user."""

    SINGLE = "Single"
    RECURRING = "Recurring"
    CONDITIONAL = "Conditional"


class TrialData(msgspec.Struct, frozen=True, rename="camel"):
    """``trial_time_remaining`` is a .NET TimeSpan such as ``09:43:52.8580690``; None where there is no trial."""

    is_trial: bool | None = None
    is_in_trial_period: bool | None = None
    trial_time_remaining: str | None = None


class CollectionsItem(msgspec.Struct, frozen=True, kw_only=True):
    """A product of a user.

    ``quantity`` is a consumable's balance. ``transaction_id`` is the order's id; several items may share one.
    """

    item_id: str
    product_id: str
    sku_id: str
    product_kind: ProductKind | None
    status: ItemStatus
    quantity: int | None = None
    acquisition_type: AcquisitionType | None = None
    transaction_id: str | None = None
    recurrence_id: str | None = None
    acquired_date: str | None = None
    start_date: str | None = None
    end_date: str | None = None
    modified_date: str | None = None
    satisfied_by_product_ids: tuple[str, ...] = ()
    trial: TrialData | None = None


class WireItem(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An item as it comes, in any of its spellings."""

    product_id: str
    status: ItemStatus
    id: str | None = None
    item_id: str | None = None
    sku_id: str | None = None
    product_kind: ProductKind | None = None
    product_type: ProductKind | None = None
    quantity: int | None = None
    acquisition_type: AcquisitionType | None = None
    transaction_id: str | None = None
    order_id: str | None = None
    recurrence_id: Any = None
    recurrence_data: Any = None
    acquired_date: str | None = None
    start_date: str | None = None
    end_date: str | None = None
    modified_date: str | None = None
    satisfied_by_product_ids: tuple[str, ...] | None = None
    trial_data: TrialData | None = None

    def item(self) -> CollectionsItem:
        """The item in our one spelling."""
        return CollectionsItem(
            item_id=self.id or self.item_id or "",
            product_id=self.product_id,
            sku_id=self.sku_id or "",
            product_kind=self.product_kind or self.product_type,
            status=self.status,
            quantity=self.quantity,
            acquisition_type=self.acquisition_type,
            transaction_id=self.transaction_id or self.order_id or None,
            recurrence_id=_recurrence_of(self.recurrence_id) or _recurrence_of(self.recurrence_data),
            acquired_date=self.acquired_date,
            start_date=self.start_date,
            end_date=self.end_date,
            modified_date=self.modified_date,
            satisfied_by_product_ids=self.satisfied_by_product_ids or (),
            trial=self.trial_data,
        )


class ItemPage(msgspec.Struct, frozen=True, rename="camel"):
    """A page of items. ``continuation_token`` is opaque, though it looks like JSON."""

    items: tuple[WireItem, ...] | None = None
    continuation_token: str | None = None


class OrderTransaction(msgspec.Struct, frozen=True, rename="camel"):
    """What a consume took of one line of an order: what a later refund names."""

    order_id: str
    order_line_item_id: str
    quantity_consumed: int


class ConsumeAnswer(msgspec.Struct, frozen=True):
    """A consume that was carried out, now or earlier: the Store does not say which.

    ``new_quantity`` is the balance at this moment. ``order_transactions`` is empty, too, where a developer-managed
    consume is replayed.
    """

    item_id: str
    product_id: str
    tracking_id: str
    new_quantity: int
    order_transactions: tuple[OrderTransaction, ...] = ()


class WireConsumed(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The answer to a consume as it comes."""

    product_id: str
    tracking_id: str
    new_quantity: int
    item_id: str | None = None
    order_transactions: tuple[OrderTransaction, ...] | None = None

    def answer(self) -> ConsumeAnswer:
        """The answer without nulls."""
        transactions = self.order_transactions or ()
        return ConsumeAnswer(self.item_id or "", self.product_id, self.tracking_id, self.new_quantity, transactions)


def _recurrence_of(value: object) -> str | None:
    """A subscription's id, which documents show as a text and as an object that holds one."""
    found = value.get("recurrenceId") if isinstance(value, dict) else value
    return found if found and isinstance(found, str) else None
