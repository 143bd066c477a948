"""Callers whose token was verified a moment ago.

A game calls several times in a row with one token, and checking a signature takes longer than all else that issuing a
token does. What is remembered is a digest, not the token, and for no longer than :data:`REMEMBERED`: so long may a
signing key that its issuer has withdrawn still pass.
"""

import hashlib
import time
from collections.abc import Callable

REMEMBERED = 30.0
"""Seconds."""

CAPACITY = 4096


class RecentTokens[T]:
    """Remembers what a token proved, until it expires or is forgotten."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._proved: dict[bytes, tuple[T, float, float]] = {}

    def find(self, token: str) -> T | None:
        """What the token proved, if that is remembered and the token still holds."""
        proved, since, until = self._proved.get(_digest(token), (None, 0.0, 0.0))
        # Not before it was verified either: a clock that was set back would have it hold for as much longer.
        return proved if since <= self._now() < until else None

    def remember(self, token: str, proved: T, expires: float) -> None:
        """Remember it; ``expires`` is when the token stops holding, in seconds since 1970."""
        if len(self._proved) >= CAPACITY:
            del self._proved[next(iter(self._proved))]
        now = self._now()
        self._proved[_digest(token)] = (proved, now, min(expires, now + REMEMBERED))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
