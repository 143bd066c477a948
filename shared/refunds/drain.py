"""Reads the Store's queue once through, inside its visibility windows (reference, section 8, "Queue operations").

A message that was read is hidden from others for :data:`VISIBILITY`, and nothing can prolong that. What was not reached
in time is left alone: it is shown again, to us or to others. A message is deleted last, when all that it asked for is
on file; dying before brings it again, which every event stands.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.correlation import get_logger
from shared.errors import StorekeeperError
from shared.refunds.desk import Arrival, Desk
from shared.store.clawback_queue import ClawbackQueue, QueueMessage
from shared.store.errors import StoreError

VISIBILITY = 120
"""Seconds; the queue's own default is 30, in which 32 events may not be done while storage is slow."""

MARGIN = 30
"""Seconds before the end of the window after which no more events are begun."""

LONGEST_PASS = 240.0
"""Seconds after which a pass ends, done or not: timers come again, and hosts end a function that runs for too long."""

MOST_TRIES = 10
"""Times that a message may fail in a way nobody foresaw; then we keep it, since a queue forgets what is too old."""

SIDE_BY_SIDE = 8
"""Orders worked on at once."""

_log = get_logger(__name__)


@dataclass(slots=True)
class Tally:
    """What a pass came to: messages that were read, done, left to others, and that failed."""

    read: int = 0
    done: int = 0
    foreign: int = 0
    failed: int = 0


class Drain:
    """One pass at a time."""

    def __init__(self, queue: ClawbackQueue, desk: Desk, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._queue = queue
        self._desk = desk
        self._monotonic = monotonic

    async def run(self) -> Tally:
        """Read until nothing new comes: what is left for others comes again and again.

        :raises StoreError: the queue cannot be read.
        :raises StorekeeperError: it cannot be found.
        """
        tally = Tally()
        seen: set[str] = set()
        started = self._monotonic()
        while self._monotonic() - started < LONGEST_PASS:
            read_at = self._monotonic()
            page = await self._queue.receive(VISIBILITY)
            new = [message for message in page if message.id not in seen]
            if not new:
                break
            reached = await self._work(new, read_at + VISIBILITY - MARGIN, tally)
            seen |= reached
        return tally

    async def _work(self, messages: Sequence[QueueMessage], until: float, tally: Tally) -> set[str]:
        """Work on messages side by side, those that may concern each other one by one; the ids of those reached."""
        groups: defaultdict[str, list[tuple[QueueMessage, Arrival]]] = defaultdict(list)
        for message in messages:
            arrival = self._desk.open(message.id, message.text)
            groups[arrival.group].append((message, arrival))
        reached: set[str] = set()
        turns = asyncio.Semaphore(SIDE_BY_SIDE)

        async def work(group: Sequence[tuple[QueueMessage, Arrival]]) -> None:
            async with turns:
                for message, arrival in group:
                    if self._monotonic() >= until:
                        return
                    reached.add(message.id)
                    tally.read += 1
                    await self._one(message, arrival, tally)

        async with asyncio.TaskGroup() as tasks:
            for group in groups.values():
                tasks.create_task(work(group))
        return reached

    async def _one(self, message: QueueMessage, arrival: Arrival, tally: Tally) -> None:
        if arrival.is_foreign:
            tally.foreign += 1
            return
        try:
            await self._desk.settle(arrival)
            if not await self._queue.delete(message):
                _log.info("clawback message %s was deleted, or is being worked on, elsewhere", message.id)
        except (StoreError, StorekeeperError) as error:
            tally.failed += 1
            _log.warning("clawback message %s comes again: %s", message.id, error)
        except Exception:  # noqa: BLE001 - one message must not hold up the others, whatever it is
            tally.failed += 1
            _log.exception("clawback message %s failed in a way nobody foresaw", message.id)
            if message.dequeue_count >= MOST_TRIES:
                await self._set_aside(message, arrival)
        else:
            tally.done += 1

    async def _set_aside(self, message: QueueMessage, arrival: Arrival) -> None:
        try:
            await self._desk.set_aside(arrival)
            await self._queue.delete(message)
        except (StoreError, StorekeeperError) as error:
            _log.warning("clawback message %s comes again: %s", message.id, error)
