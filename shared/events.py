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


class ReissueNeededData(msgspec.Struct, rename="camel"):
    """The player's key of this kind is dead; only the game can make a new one. ``issuedOn`` tells which key it was."""

    user_id: str
    kind: Literal["collections", "purchase"]
    reason: Literal["reissueNeeded", "expired"]
    issued_on: str


class ReissueNeeded(Event, tag="storekeeper.store-id.reissue-needed"):
    data: ReissueNeededData


class SeatJobCompletedData(msgspec.Struct, rename="camel"):
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


class SeatJobCompleted(Event, tag="storekeeper.seat-job.completed"):
    data: SeatJobCompletedData


class CatalogSyncedData(msgspec.Struct, rename="camel"):
    """A pass over a tenant's catalogue has ended: products listed, changed, given up on; downloaded bytes."""

    tenant_id: str
    sync_id: str
    full: bool
    status: Literal["completed", "completedWithFailures", "failed"]
    seen: int
    changed: int
    failed: int
    downloaded_bytes: int


class CatalogSynced(Event, tag="storekeeper.catalog.synced"):
    data: CatalogSyncedData


EVENTS = ReissueNeeded | SeatJobCompleted | CatalogSynced
"""All that are sent."""


def reissue_needed(data: ReissueNeededData, now: datetime) -> ReissueNeeded:
    """The event for one dead key."""
    return ReissueNeeded(
        id=_stable_id("reissue-needed", data.user_id, data.kind, data.issued_on),
        subject=f"users/{data.user_id}/store-ids/{data.kind}",
        time=to_iso(now),
        data=data,
    )


def seat_job_completed(data: SeatJobCompletedData, ended_on: datetime) -> SeatJobCompleted:
    """The event for one seat job."""
    return SeatJobCompleted(
        id=_stable_id("seat-job-completed", data.job_id),
        subject=f"seat-jobs/{data.job_id}",
        time=to_iso(ended_on),
        data=data,
    )


def catalog_synced(data: CatalogSyncedData, ended_on: datetime) -> CatalogSynced:
    """The event for one pass over one tenant's catalogue."""
    return CatalogSynced(
        id=_stable_id("catalog-synced", data.tenant_id, data.sync_id),
        subject=f"catalog/syncs/{data.sync_id}",
        time=to_iso(ended_on),
        data=data,
    )


def _stable_id(*facts: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, "|".join(facts)))


class Events:
    """The outgoing queue."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def send(self, event: Event) -> None:
        """Put an event.

        :raises UnavailableError: the queue is away; send it again, its id is the same.
        """
        await self._queue.send(event)
