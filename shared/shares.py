"""How many of a process's workers one tenant may keep waiting, so that its trouble does not hold up the others.

A process works on so many messages at once and no more (host.json). Where a tenant's Store is slow, or asks to be left
alone for some seconds, each piece of its work keeps a worker for that long; and behind them waits that of everybody.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

SLOW = 5.0
"""Seconds after which a piece of work counts as slow: a healthy Store takes one or two for all of its calls."""

MOST_WHILE_SLOW = 4
"""Pieces of work of a slow tenant in one process: two such tenants leave the host free to take others' messages."""

LONGEST_WAIT = 30.0
"""Seconds that a piece of work waits for its turn, however quick those before it are."""


class Shares:
    """Who works for which tenant in this process, on the messages of one queue."""

    def __init__(self, *, slow: float = SLOW, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._slow = slow
        self._monotonic = monotonic
        self._began: defaultdict[str, list[float]] = defaultdict(list)
        self._places: defaultdict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(MOST_WHILE_SLOW))

    def is_used_up(self, tenant_id: str) -> bool:
        """Whether a tenant is slow, and keeps as many workers as it may."""
        return self._room(tenant_id) <= 0

    @contextmanager
    def working(self, tenant_id: str) -> Iterator[None]:
        """Work for a tenant."""
        began = self._monotonic()
        self._began[tenant_id].append(began)
        try:
            yield
        finally:
            self._began[tenant_id].remove(began)

    @asynccontextmanager
    async def turn(self, tenant_id: str) -> AsyncIterator[bool]:
        """Work for a tenant as one of :data:`MOST_WHILE_SLOW`, after those who came before.

        False, and no work, where that takes long: who waits keeps a worker, too, and is better put off.
        """
        places = self._places[tenant_id]
        if not await self._has_come(tenant_id, places):
            yield False
            return
        try:
            with self.working(tenant_id):
                yield True
        finally:
            places.release()

    async def _has_come(self, tenant_id: str, places: asyncio.Semaphore) -> bool:
        until = self._monotonic() + LONGEST_WAIT
        while (patience := min(until - self._monotonic(), self._room(tenant_id))) > 0:
            try:
                async with asyncio.timeout(patience):
                    await places.acquire()
            except TimeoutError:
                continue  # the oldest may have ended meanwhile: then the tenant is not slow
            return True
        return False

    def _room(self, tenant_id: str) -> float:
        """Seconds until a tenant counts as slow that keeps as many workers as it may."""
        began = self._began[tenant_id]
        return LONGEST_WAIT if len(began) < MOST_WHILE_SLOW else min(began) + self._slow - self._monotonic()
