"""Events that are written down together with what they tell, sent afterwards, and removed once they are sent."""

from datetime import timedelta

import msgspec

from shared.clock import Clock, utc_now
from shared.correlation import get_logger
from shared.errors import UnavailableError
from shared.events import Event, Events
from shared.ledger.filing import Due, Files, event_row
from shared.ledger.record import shard_of
from shared.storage.rows import Row

SWEPT_AFTER = timedelta(minutes=1)
"""How long whoever wrote an event down is left alone to send it."""

_log = get_logger(__name__)


class Outbox:
    """The outbox of all shards."""

    def __init__(self, files: Files, events: Events, *, clock: Clock = utc_now) -> None:
        self._files = files
        self._events = events
        self._clock = clock

    def row(self, user_id: str, event: Event) -> Row:
        """The event as a row for the player's transaction."""
        due = self._clock() + SWEPT_AFTER
        return event_row(shard_of(user_id), due, event.id, msgspec.json.encode(event))

    async def send_now(self, row: Row, event: Event) -> None:
        """Send what was just written down. Where that cannot be done, the sweep does it."""
        try:
            await self._events.send(event)
            await self._files.remove(row["PartitionKey"], row["RowKey"])
        except UnavailableError as error:
            _log.warning("the event %s waits for the next sweep: %s", event.id, error)

    async def send(self, due: Due) -> None:
        """Send what a sweep found.

        :raises UnavailableError: storage is away; it stays.
        """
        if due.event is not None:
            await self._events.forward(due.event)
            await self._files.remove(due.shard, due.name)
