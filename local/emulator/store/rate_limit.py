"""The rate limit of the Store services: so many operations in so many seconds for each user and publisher.

Source: store-services reference, section 10. Not documented is whether the services share one count; here they do,
which is the stricter of the two. The time is a window that slides: only sustained use is limited, no burst.
"""

import math
import time
from collections import deque

from aiohttp import web

from local.emulator.errors import ServiceError
from local.emulator.market.books import Books

OPERATIONS = 200
SECONDS = 300


class RateLimitedError(ServiceError):
    """429 with ``Retry-After`` in seconds. Only the sentence is documented (fixture ``error-429-rate-limited``)."""

    def __init__(self, operations: int, seconds: float, retry_after: int) -> None:
        super().__init__(429, _sentence(operations, seconds), {"Retry-After": str(retry_after)})

    def body(self, request: web.Request) -> object:
        """Return the sentence."""
        return {"message": self.message}


def rate_limited_body() -> object:
    """Return the body of a 429 that was asked for."""
    return {"message": _sentence(OPERATIONS, SECONDS)}


def _sentence(operations: int, seconds: float) -> str:
    limit = f"{operations} operations in {seconds:g} seconds"
    return f"The rate limit of {limit} has been exceeded for aspect {{userId;publisherId}}."


class RateLimit:
    """Counts the operations of each user; in memory only. Refused calls do not count."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._calls: dict[tuple[str, str], deque[float]] = {}

    def admit(self, player: str, client_id: str) -> None:
        """Count an operation.

        :raises RateLimitedError: it is one too many.
        """
        operations, seconds = self._books.settings.operations, self._books.settings.seconds
        if operations is None:
            return
        moment = time.monotonic()
        calls = self._calls.setdefault((player, client_id), deque())
        while calls and calls[0] <= moment - seconds:
            calls.popleft()
        if len(calls) >= operations:
            wait = calls[0] + seconds - moment if calls else seconds
            raise RateLimitedError(operations, seconds, math.ceil(wait))
        calls.append(moment)

    def forget(self) -> None:
        """Begin all counts anew."""
        self._calls.clear()
