"""How many of a process's workers one tenant may keep waiting, so that its trouble does not hold up the others.

A process works on so many messages at once and no more (host.json). Where a tenant's Store is slow, or asks to be left
alone for some seconds, each of its blocks keeps a worker for that long; and behind them wait the blocks of everybody.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SLOW = 5.0
"""Seconds after which a block counts as slow: a healthy Store takes one or two for all of its calls."""

MOST_WHILE_SLOW = 4
"""Blocks of a slow tenant in one process: two such tenants leave the host free to take others' messages."""


class Shares:
    """Who works for which tenant in this process."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._began: defaultdict[str, list[float]] = defaultdict(list)

    def is_used_up(self, tenant_id: str) -> bool:
        """Whether a tenant is slow, and keeps as many workers as it may."""
        began = self._began[tenant_id]
        return len(began) >= MOST_WHILE_SLOW and self._monotonic() - min(began) > SLOW

    @contextmanager
    def working(self, tenant_id: str) -> Iterator[None]:
        """Work for a tenant."""
        began = self._monotonic()
        self._began[tenant_id].append(began)
        try:
            yield
        finally:
            self._began[tenant_id].remove(began)
