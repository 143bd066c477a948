"""One flight at a time: callers who want the same thing at the same moment share one fetch."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable


class SingleFlight[K: Hashable, V]:
    """Joins concurrent fetches of one key.

    The fetch runs in a task of its own: a caller who gives up does not take it away from the others.
    """

    def __init__(self) -> None:
        self._flights: dict[K, asyncio.Task[V]] = {}

    async def join(self, key: K, fetch: Callable[[], Awaitable[V]]) -> V:
        """The result of the flight for ``key`` that is under way, or of a new one; its error is every caller's."""
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.ensure_future(self._fly(key, fetch))
            self._flights[key] = flight
        return await asyncio.shield(flight)

    async def _fly(self, key: K, fetch: Callable[[], Awaitable[V]]) -> V:
        try:
            return await fetch()
        finally:
            del self._flights[key]
