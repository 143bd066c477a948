"""Timer triggers: each function at its times, never twice at once.

Occurrences that pass while a run still goes on are left out. No status is kept between runs of the host, so an
occurrence missed while it was stopped is not made up for; ``past_due`` is set when a run begins more than a second
late (the machine slept, or the process was busy).
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from local.host import logs, schedule
from local.host.functions import Function
from local.host.library import Datum, datum

log = logging.getLogger("local.host")

LATE = timedelta(seconds=1)
_LONGEST_SLEEP = 30.0  # so that a clock that was set, or a laptop that slept, is noticed


class Timer:
    """The timer of one function.

    :param invoke: runs the function; whether it succeeded.
    :raises StartError: its schedule cannot be read.
    """

    def __init__(self, function: Function, invoke: Callable[[Function, Datum], Awaitable[bool]]) -> None:
        self._function = function
        self._invoke = invoke
        self._schedule = schedule.parse(function.trigger.text("schedule"), f"function {function.name}, schedule")
        self._stopping = asyncio.Event()
        self._one = asyncio.Lock()
        self._last: datetime | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=f"timer {self._function.name}")
        self._task.add_done_callback(logs.told)

    async def stop(self, grace: float) -> None:
        """Lets a running invocation end, cancels it after ``grace`` seconds."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=grace)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def fire(self, *, past_due: bool = False) -> bool:
        """Runs the function now, after a run that still goes on."""
        async with self._one:
            now = datetime.now(UTC)
            status = {"Last": _text(self._last), "Next": _text(self._schedule(now)), "LastUpdated": _text(self._last)}
            self._last = now
            content = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": past_due}
            return await self._invoke(self._function, datum(json.dumps(content), "json"))

    async def _run(self) -> None:
        if self._function.trigger.raw.get("runOnStartup"):
            await self.fire()
        due = self._schedule(datetime.now(UTC))
        while await self._reached(due):
            await self.fire(past_due=datetime.now(UTC) - due > LATE)
            due = self._schedule(max(due, datetime.now(UTC)))

    async def _reached(self, due: datetime) -> bool:
        """Waits until ``due``; False when the host stops before."""
        while not self._stopping.is_set():
            rest = (due - datetime.now(UTC)).total_seconds()
            if rest <= 0:
                return True
            try:
                async with asyncio.timeout(min(rest, _LONGEST_SLEEP)):
                    await self._stopping.wait()
            except TimeoutError:
                pass
        return False


def _text(moment: datetime | None) -> str:
    return (moment or datetime.min.replace(tzinfo=UTC)).isoformat()
