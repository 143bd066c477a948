"""For how long a player is left alone whom the Store counts too many calls of, in this process.

The Store's limits are a user's (store-services reference, section 10), so no other player waits for one of them.
"""

import time
from collections.abc import Callable, Hashable

MANY = 10_000
"""Players from which on those whose time is over are forgotten."""


class Pauses[K: Hashable]:
    """One pause for each of many."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._until: dict[K, float] = {}

    def remaining(self, who: K) -> float:
        """Seconds that are left of a pause; 0 where there is none."""
        until = self._until.get(who)
        return 0.0 if until is None else max(until - self._monotonic(), 0.0)

    def extend(self, who: K, seconds: float) -> None:
        """Leave somebody alone for ``seconds`` from now, unless they are left alone for longer anyway."""
        now = self._monotonic()
        if len(self._until) >= MANY:
            self._until = {each: until for each, until in self._until.items() if until > now}
        self._until[who] = max(self._until.get(who, 0.0), now + seconds)
