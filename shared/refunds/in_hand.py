"""Fulfilments under way, which may yet be granted something of an order line that was refunded.

They are open rows in the books, by shards of players. A shard's rows are read once for all events that were in hand
before: whatever took of their lines was accepted by then, so it is either among these rows or, granted, among the
order's lines as they are read afterwards.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.ledger.kinds import JobStatus
from shared.ledger.ledger import Ledger
from shared.ledger.record import Job, shard_of
from shared.single_flight import SingleFlight
from shared.storage.tables import MOST_A_PAGE
from shared.store.models.clawback import ClawbackEvent

MOST_OPEN = 10_000
"""Rows that are read of a shard, at most; where there are as many, every player of it may have work in hand."""

CLOCK_ALLOWANCE = timedelta(hours=1)
"""How far apart the clocks of two instances may be."""

_WHENEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Picture:
    """Tracking ids of what was open in a shard, by player, at some time from ``begun_at`` to ``taken_at`` (seconds)."""

    begun_at: float
    taken_at: float
    open: dict[str, set[str]]
    is_whole: bool


class WorkInHand:
    """Looks into the books. All methods raise :class:`UnavailableError` where storage is away."""

    def __init__(self, ledger: Ledger, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._ledger = ledger
        self._monotonic = monotonic
        self._pictures: dict[str, Picture] = {}
        self._looks: SingleFlight[str, Picture] = SingleFlight()

    def now(self) -> float:
        """The time by which pictures are told, in seconds."""
        return self._monotonic()

    async def picture(self, user_id: str, since: float) -> Picture:
        """What was open among the players of a shard at some time after ``since``."""
        shard = shard_of(user_id)
        known = self._pictures.get(shard)
        while known is None or known.begun_at < since:
            known = await self._looks.join(shard, lambda: self._look(shard))
        return known

    async def may_bring_more(
        self, user_id: str, picture: Picture, event: ClawbackEvent, received_on: datetime, known: Collection[str]
    ) -> bool:
        """Whether anything open may be granted of the event's line; ``known`` are the tracking ids of its grants."""
        if not picture.is_whole:
            return True
        for tracking_id in picture.open.get(user_id, ()):
            job = await self._ledger.job(user_id, tracking_id)
            if job and tracking_id not in known and may_take(job, event, received_on):
                return True
        return False

    async def _look(self, shard: str) -> Picture:
        begun_at = self._monotonic()
        rows = await self._ledger.files.due(shard, _WHENEVER, MOST_OPEN)
        is_whole = len(rows) < MOST_OPEN
        if len(rows) > MOST_A_PAGE:
            # What became due sooner between two pages went to where had been read. Nothing does so twice in a moment.
            rows += await self._ledger.files.due(shard, _WHENEVER, MOST_OPEN)
        found: defaultdict[str, set[str]] = defaultdict(set)
        for row in rows:
            if row.tracking_id:
                found[row.user_id].add(row.tracking_id)
        picture = Picture(begun_at, self._monotonic(), found, is_whole)
        self._pictures[shard] = picture
        return picture


def may_take(job: Job, event: ClawbackEvent, received_on: datetime) -> bool:
    """Whether a fulfilment may have taken of an event's order line: before the event came, and of its product."""
    data = event.data
    if job.status is JobStatus.REFUSED or job.product_id.lower() != data.product_id.lower():
        return False
    if job.sandbox.lower() != data.sandbox_id.lower() or job.accepted_on > received_on + CLOCK_ALLOWANCE:
        return False
    if job.status is not JobStatus.GRANTED:
        return True
    places = {(line.order_id, line.line_id) for line in job.lines}
    return bool(places & {(data.order_id.lower(), each) for each in (data.line_item_id.lower(), "")})
