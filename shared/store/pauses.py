"""For how long a service that said so is left alone, in this process."""

import asyncio
import random
import time
from collections.abc import Callable

SPREAD = 0.1
"""By how much of itself a wait is drawn out at random, so that all who waited do not come back in one moment."""


class Pause:
    """One service's wish, or one tenant's, to be left alone for a while."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._until = float("-inf")

    @property
    def remaining(self) -> float:
        """Seconds that are left of it; 0 where there is none."""
        return max(self._until - self._monotonic(), 0.0)

    def extend(self, seconds: float) -> None:
        """Leave it alone for ``seconds`` from now, unless it is left alone for longer anyway."""
        self._until = max(self._until, self._monotonic() + seconds)

    async def wait(self, patience: float) -> bool:
        """Wait until it is over; False, at once, where that takes more than ``patience`` seconds."""
        give_up = self._monotonic() + patience
        while remaining := self.remaining:
            if self._monotonic() + remaining > give_up:
                return False
            await asyncio.sleep(remaining * random.uniform(1, 1 + SPREAD))  # noqa: S311 - spreads load, guards nothing
        return True
