"""Reads the Store's queue once through, inside its visibility windows (reference, section 8, "Queue operations").

A message that was read is hidden from others for :data:`VISIBILITY`, and nothing can prolong that. What was not reached
in time is left alone: it is shown again, to us or to others. A message is deleted last, when all that it asked for is
on file; dying before brings it again, which every event stands.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.correlation import get_logger
from shared.errors import StorekeeperError
from shared.refunds.desk import Arrival, Desk
from shared.refunds.side_by_side import by_group
from shared.store.clawback_queue import MOST_AT_ONCE, ClawbackQueue, QueueMessage
from shared.store.errors import StoreError

VISIBILITY = 120
"""Seconds; the queue's own default is 30, in which 32 events may not be done while storage is slow."""

MARGIN = 30
"""Seconds before the end of the window after which no more events are begun."""

LONGEST_PASS = 240.0
"""Seconds after which a pass ends, done or not: timers come again, and hosts end a function that runs for too long."""

MOST_TRIES = 10
"""Times that a message may fail in a way nobody foresaw; then we keep it, since a queue forgets what is too old."""

MOST_READS = 8
"""Reads of one round, at most. Rounds begin with one, and grow while they are over in a part of the window."""

QUICK, SLOW = 10.0, 30.0
"""Seconds of a round that lets the next one be twice as large, and of one that has it halved."""

_log = get_logger(__name__)


@dataclass(slots=True)
class Tally:
    """What a pass came to: messages that were worked on, done, left to others, and that failed.

    ``again`` had been read before; those of others always have, and are not counted. ``late``: the window was too short
    for them, so that they come again, or have been shown to others before they were deleted.
    """

    read: int = 0
    done: int = 0
    foreign: int = 0
    failed: int = 0
    again: int = 0
    late: int = 0


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
        reads = 1
        started = now = self._monotonic()
        while now - started < LONGEST_PASS:
            new = [message for message in await self._read(reads) if message.id not in seen]
            if not new:
                break
            seen |= await self._work(new, now + VISIBILITY - MARGIN, tally)
            began, now = now, self._monotonic()
            if now - began < QUICK:
                reads = min(reads * 2, MOST_READS)
            elif now - began > SLOW:
                reads = max(reads // 2, 1)
        return tally

    async def _read(self, reads: int) -> list[QueueMessage]:
        """The messages of up to so many reads; fewer where the queue has no more."""
        messages: list[QueueMessage] = []
        for number in range(reads):
            try:
                page = await self._queue.receive(VISIBILITY)
            except (StoreError, StorekeeperError):
                if number == 0:
                    raise
                break  # what was read is worked on first; the next round says what is wrong
            messages += page
            if len(page) < MOST_AT_ONCE:
                break
        return messages

    async def _work(self, messages: Sequence[QueueMessage], until: float, tally: Tally) -> set[str]:
        """Work on messages; the ids of those reached by then."""
        reached: set[str] = set()

        async def work(message: QueueMessage, arrival: Arrival) -> None:
            if self._monotonic() < until:
                reached.add(message.id)
                await self._one(message, arrival, tally)
            else:
                tally.late += 1

        opened = [(message, self._desk.open(message.id, message.text)) for message in messages]
        await by_group(((arrival.group, (message, arrival)) for message, arrival in opened), lambda each: work(*each))
        return reached

    async def _one(self, message: QueueMessage, arrival: Arrival, tally: Tally) -> None:
        tally.read += 1
        if arrival.is_foreign:
            tally.foreign += 1
            return
        tally.again += message.dequeue_count > 1
        try:
            await self._desk.settle(arrival)
            if not await self._queue.delete(message):
                tally.late += 1
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
        except Exception:  # noqa: BLE001 - one message must not hold up the others, whatever it is
            _log.exception("clawback message %s cannot be kept, and comes again", message.id)
