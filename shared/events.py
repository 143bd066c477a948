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


class ReissueNeededData(msgspec.Struct, rename="camel"):
    """The player's key of this kind is dead; only the game can make a new one. ``issuedOn`` tells which key it was."""

    user_id: str
    kind: Literal["collections", "purchase"]
    reason: Literal["reissueNeeded", "expired"]
    issued_on: str


class ReissueNeeded(msgspec.Struct, rename="lower"):
    """The event ``storekeeper.store-id.reissue-needed``."""

    id: str
    subject: str
    time: str
    data: ReissueNeededData
    type: Literal["storekeeper.store-id.reissue-needed"] = "storekeeper.store-id.reissue-needed"
    source: str = SOURCE
    specversion: Literal["1.0"] = "1.0"
    datacontenttype: Literal["application/json"] = "application/json"


def reissue_needed(data: ReissueNeededData, now: datetime) -> ReissueNeeded:
    """The event for one dead key. Its id depends on nothing but the key, so that a repeat can be told."""
    identity = f"reissue-needed|{data.user_id}|{data.kind}|{data.issued_on}"
    return ReissueNeeded(
        id=str(uuid.uuid5(_NAMESPACE, identity)),
        subject=f"users/{data.user_id}/store-ids/{data.kind}",
        time=to_iso(now),
        data=data,
    )


class Events:
    """The outgoing queue."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    async def send(self, event: ReissueNeeded) -> None:
        """Put an event.

        :raises UnavailableError: the queue is away; send it again, its id is the same.
        """
        await self._queue.send(event)
