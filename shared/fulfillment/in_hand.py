"""Fulfilments that were asked for over HTTP, and that this process carries out itself while their callers wait."""

import asyncio

from shared.correlation import get_logger
from shared.errors import UnavailableError
from shared.fulfillment.work import Worker
from shared.ledger.record import Job

AT_ONCE = 32
"""Fulfilments side by side. Where more are asked for, messages spread them over all instances."""

ANSWER_WITHIN = 1.0
"""Seconds after which a caller is told how it stands, though it is still being carried out."""

_log = get_logger(__name__)


class InHand:
    """At most ``at_once`` of them."""

    def __init__(self, worker: Worker, at_once: int = AT_ONCE) -> None:
        self._worker = worker
        self._free = at_once
        self._tasks: set[asyncio.Task[Job]] = set()

    def reserve(self) -> bool:
        """Take a place, if there is one. It is free again after :meth:`carry_out`, or by :meth:`release`."""
        if not self._free:
            return False
        self._free -= 1
        return True

    def release(self) -> None:
        """Give a place back unused."""
        self._free += 1

    async def carry_out(self, job: Job) -> Job:
        """Carry out a fulfilment that is claimed, whether or not its caller goes on waiting; as it stands then."""
        task = asyncio.create_task(self._carried_out(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        done, _ = await asyncio.wait({task}, timeout=ANSWER_WITHIN)
        return task.result() if done else job

    async def _carried_out(self, job: Job) -> Job:
        try:
            return await self._worker.carry_out(job) or job
        except UnavailableError as error:
            _log.warning("fulfilment %s waits for the next sweep: %s", job.tracking_id, error)
            return job
        except Exception:  # noqa: BLE001 - its caller may have gone, and then nobody else would hear of it
            _log.exception("fulfilment %s failed in a way nobody foresaw; a sweep finds it", job.tracking_id)
            return job
        finally:
            self._free += 1
