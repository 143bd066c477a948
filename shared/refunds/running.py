"""A run of the timer: the queue is read once through, and what was not settled is looked at again."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from shared.clock import Clock, utc_now
from shared.correlation import get_logger
from shared.errors import StorekeeperError
from shared.refunds.desk import Desk
from shared.refunds.drain import Drain, Tally
from shared.refunds.filing import RefundFiles
from shared.refunds.findings import SELDOM
from shared.refunds.record import Refund
from shared.refunds.side_by_side import by_group
from shared.storage.leases import Leases
from shared.store.errors import StoreError

LEASE = "run"
"""The partition of the table ``refunds`` that has the lease of the one run that is worth having at a time."""

LEASE_DURATION = timedelta(seconds=30)
"""How long a run that died is waited for."""

LONGEST_WAIT = SELDOM + timedelta(hours=1)
"""Nothing waits for longer: what is to be looked at later than that was filed by a clock that was wrong."""

LONGEST_LOOK = 150.0
"""Seconds after which no more events are looked at again: with a pass before, a host ends nothing that runs so long."""

MOST_AGAIN = 1_000
"""Events that one run looks at again, at most; the others' turn comes with the next one."""

_PAGE = 100

_log = get_logger(__name__)


class Refunds:
    """Runs. Several at once do no harm; the lease saves their work."""

    def __init__(self, drain: Drain, desk: Desk, files: RefundFiles, leases: Leases, *, clock: Clock = utc_now) -> None:
        self._drain = drain
        self._desk = desk
        self._files = files
        self._leases = leases
        self._clock = clock

    async def run(self) -> Tally | None:
        """One pass over the queue, then the events that wait; None where another run is at it.

        Where the queue cannot be read, what waits is looked at all the same.

        :raises UnavailableError: storage is away.
        """
        async with self._leases.held(LEASE) as is_ours:
            if not is_ours:
                return None
            began_on, tally = self._clock(), Tally()
            try:
                tally = await self._drain.run()
            except (StoreError, StorekeeperError) as error:
                _log.warning("the clawback queue cannot be read: %s", error)
            await self._look_again(began_on)
            return tally

    async def _look_again(self, now: datetime) -> None:
        """Look at what was due when the run began: what the pass has just filed is for the next run."""
        since = self._desk.now()
        for found in (self._files.due(now, MOST_AGAIN), self._files.due_after(now + LONGEST_WAIT, MOST_AGAIN)):
            page: list[Refund] = []
            async for refund in found:
                page.append(refund)
                if len(page) == _PAGE:
                    await self._work(page, since)
                    page = []
                if self._is_over(since):
                    return
            await self._work(page, since)

    async def _work(self, page: Sequence[Refund], since: float) -> None:
        await by_group(((refund.group, refund) for refund in page), lambda refund: self._one(refund, since))

    async def _one(self, refund: Refund, since: float) -> None:
        if self._is_over(since):
            return
        try:
            await self._desk.look_again(refund, since)
        except (StoreError, StorekeeperError) as error:
            _log.warning("clawback event %s is looked at again later: %s", refund.event_id, error)
        except Exception:  # noqa: BLE001 - one event must not hold up the others, whatever it is
            _log.exception("clawback event %s failed in a way nobody foresaw", refund.event_id)

    def _is_over(self, since: float) -> bool:
        return self._desk.now() - since >= LONGEST_LOOK
