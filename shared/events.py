"""Events for the publisher: CloudEvents 1.0 on the queue ``store-events``, at least once, with stable ids."""

import uuid
from datetime import datetime
from typing import Literal

import msgspec

from shared.clock import to_iso
from shared.storage.queues import Queue

QUEUE = "store-events"
SOURCE = "/storekeeper"

_NAMESPACE = uuid.UUID("6f6d0a5e-3f0b-4c0e-9d5d-0c5d9b1f6a11")


class Event(msgspec.Struct, rename="lower", kw_only=True, tag_field="type", tag="storekeeper"):
    """What all events have in common. The id depends on nothing but what happened, so that a repeat can be told."""

    id: str
    subject: str
    time: str
    source: str = SOURCE
    specversion: Literal["1.0"] = "1.0"
    datacontenttype: Literal["application/json"] = "application/json"


class _Data(msgspec.Struct):
    """What happened."""

    @property
    def subject(self) -> str:
        """What it happened to, as a path."""
        raise NotImplementedError


class ReissueNeededData(_Data, rename="camel"):
    """The player's key of this kind is dead; only the game can make a new one. ``issuedOn`` tells which key it was."""

    user_id: str
    kind: Literal["collections", "purchase"]
    reason: Literal["reissueNeeded", "expired"]
    issued_on: str

    @property
    def subject(self) -> str:
        return f"users/{self.user_id}/store-ids/{self.kind}"


class ReissueNeeded(Event, tag="storekeeper.store-id.reissue-needed"):
    data: ReissueNeededData


class SeatJobCompletedData(_Data, rename="camel"):
    """A seat job has ended, and how many users came out how."""

    job_id: str
    tenant_id: str
    product_id: str
    sku_id: str
    action: Literal["assign", "reclaim"]
    status: Literal["completed", "completedWithFailures", "failed"]
    total: int
    succeeded: int
    failed: int

    @property
    def subject(self) -> str:
        return f"seat-jobs/{self.job_id}"


class SeatJobCompleted(Event, tag="storekeeper.seat-job.completed"):
    data: SeatJobCompletedData


class CatalogSyncedData(_Data, rename="camel"):
    """A pass over a tenant's catalogue has ended: products listed, changed, given up on; downloaded bytes."""

    tenant_id: str
    sync_id: str
    full: bool
    status: Literal["completed", "completedWithFailures", "failed"]
    seen: int
    changed: int
    failed: int
    downloaded_bytes: int

    @property
    def subject(self) -> str:
        return f"catalog/syncs/{self.sync_id}"


class CatalogSynced(Event, tag="storekeeper.catalog.synced"):
    data: CatalogSyncedData


class ConsumableGrantedData(_Data, rename="camel"):
    """A fulfilment was carried out: ``quantity`` more for the player, ``balance`` in Storekeeper's books after it."""

    user_id: str
    tracking_id: str
    product_id: str
    quantity: int
    balance: int
    sandbox: str

    @property
    def subject(self) -> str:
        return f"users/{self.user_id}/consumables/{self.product_id}"


class ConsumableGranted(Event, tag="storekeeper.consumable.granted"):
    data: ConsumableGrantedData


class ConsumableCorrectedData(_Data, rename="camel"):
    """What a refund or a chargeback took, or a reversal gave back: ``quantity``, and ``balance`` after it.

    The fulfilments of ``trackingIds`` had granted it from this order line. The balance is below zero, and
    ``isNegative`` then, where the player had spent what was taken. Without ``clawbackEventId`` it was given back by a
    consume: the Store had returned the unit before the event came.
    """

    user_id: str
    product_id: str
    sandbox: str
    quantity: int
    balance: int
    is_negative: bool
    cause: Literal["refund", "chargeback", "chargebackReversal"]
    order_id: str
    line_item_id: str
    tracking_ids: list[str]
    clawback_event_id: str | None

    @property
    def subject(self) -> str:
        return f"users/{self.user_id}/consumables/{self.product_id}"


class ConsumableRevoked(Event, tag="storekeeper.consumable.revoked"):
    data: ConsumableCorrectedData


class ConsumableRestored(Event, tag="storekeeper.consumable.restored"):
    data: ConsumableCorrectedData


class EntitlementData(_Data, rename="camel"):
    """What the Store took back, or gave back, of a durable, a game, a bundle or a subscription.

    The Store names no user. ``userId`` is set where the order is one of ours, ``recurrenceId`` and the rest for
    subscriptions: ``keptDays`` of the period had been used when the money went back.
    """

    clawback_event_id: str
    order_id: str
    line_item_id: str
    product_id: str
    product_type: str
    cause: Literal["refund", "chargeback", "chargebackReversal"]
    user_id: str | None
    recurrence_id: str | None
    refund_type: str | None
    kept_days: int | None

    @property
    def subject(self) -> str:
        return f"orders/{self.order_id}/{self.line_item_id}/{self.product_id}"


class EntitlementRevoked(Event, tag="storekeeper.entitlement.revoked"):
    data: EntitlementData


class EntitlementRestored(Event, tag="storekeeper.entitlement.restored"):
    data: EntitlementData


class RefundReviewNeededData(_Data, rename="camel"):
    """A clawback message that a person must look at; ``refundId`` is its id under ``GET /refunds``."""

    refund_id: str
    reason: str
    order_id: str | None
    line_item_id: str | None
    product_id: str | None

    @property
    def subject(self) -> str:
        return f"refunds/{self.refund_id}"


class RefundReviewNeeded(Event, tag="storekeeper.refund.review-needed"):
    data: RefundReviewNeededData


EVENTS = (
    ReissueNeeded
    | SeatJobCompleted
    | CatalogSynced
    | ConsumableGranted
    | ConsumableRevoked
    | ConsumableRestored
    | EntitlementRevoked
    | EntitlementRestored
    | RefundReviewNeeded
)
"""All that are sent."""


def reissue_needed(data: ReissueNeededData, now: datetime) -> ReissueNeeded:
    """The event for one dead key."""
    return _event(ReissueNeeded, data, now, data.user_id, data.kind, data.issued_on)


def seat_job_completed(data: SeatJobCompletedData, ended_on: datetime) -> SeatJobCompleted:
    """The event for one seat job."""
    return _event(SeatJobCompleted, data, ended_on, data.job_id)


def catalog_synced(data: CatalogSyncedData, ended_on: datetime) -> CatalogSynced:
    """The event for one pass over one tenant's catalogue."""
    return _event(CatalogSynced, data, ended_on, data.tenant_id, data.sync_id)


def consumable_granted(data: ConsumableGrantedData, granted_on: datetime) -> ConsumableGranted:
    """The event for one fulfilment."""
    return _event(ConsumableGranted, data, granted_on, data.user_id, data.tracking_id)


def consumable_revoked(data: ConsumableCorrectedData, by: str, revoked_on: datetime) -> ConsumableRevoked:
    """The event for what was taken from one player ``by`` a clawback event."""
    return _event(ConsumableRevoked, data, revoked_on, data.user_id, data.product_id, by)


def consumable_restored(data: ConsumableCorrectedData, by: str, restored_on: datetime) -> ConsumableRestored:
    """The event for what was given back to one player ``by`` a reversal, or by the consume of that tracking id."""
    return _event(ConsumableRestored, data, restored_on, data.user_id, data.product_id, by)


def entitlement_revoked(data: EntitlementData, revoked_on: datetime) -> EntitlementRevoked:
    """The event for an entitlement that one clawback event took."""
    return _event(EntitlementRevoked, data, revoked_on, data.clawback_event_id)


def entitlement_restored(data: EntitlementData, restored_on: datetime) -> EntitlementRestored:
    """The event for an entitlement that one reversal gave back."""
    return _event(EntitlementRestored, data, restored_on, data.clawback_event_id)


def refund_review_needed(data: RefundReviewNeededData, found_on: datetime) -> RefundReviewNeeded:
    """The event for one clawback message that nobody but a person can judge."""
    return _event(RefundReviewNeeded, data, found_on, data.refund_id)


def _event[E: Event](kind: type[E], data: _Data, happened_on: datetime, *facts: str) -> E:
    """An event whose id follows from its kind and from the facts that tell it from others of its kind."""
    tag = str(kind.__struct_config__.tag)
    event_id = str(uuid.uuid5(_NAMESPACE, "|".join([tag, *facts])))
    return kind(id=event_id, subject=data.subject, time=to_iso(happened_on), data=data)  # type: ignore[call-arg]


class Events:
    """The outgoing queue."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def send(self, event: Event) -> None:
        """Put an event.

        :raises UnavailableError: the queue is away; send it again, its id is the same.
        """
        await self._queue.send(event)

    async def forward(self, written: bytes) -> None:
        """Put an event that was written down as JSON. Raises as :meth:`send`."""
        await self._queue.send(msgspec.json.decode(written))
