"""The Store as a market: books, clawback events and rate limit, behind the routes of Collections and Purchase."""

from pathlib import Path

from local.emulator.control.clawback import clawback_routes
from local.emulator.control.store import store_routes
from local.emulator.control.subscriptions import subscription_routes
from local.emulator.identity.tokens import AccessTokens
from local.emulator.known_secrets import KnownSecrets
from local.emulator.market.books import Books
from local.emulator.market.clawback_events import ClawbackEvents
from local.emulator.market.clawback_queue import ClawbackQueue
from local.emulator.service import Route
from local.emulator.store.calls import StoreCalls
from local.emulator.store.collections_service import collections_routes
from local.emulator.store.keys import StoreIds
from local.emulator.store.kinds import Kind
from local.emulator.store.purchase_orders import order_routes
from local.emulator.store.purchase_recurrences import recurrence_routes
from local.emulator.store.rate_limit import RateLimit


class Market:
    """Everything that the two services and their control share."""

    def __init__(self, path: Path, secrets: KnownSecrets) -> None:
        """Load the books from ``path``, or begin new ones.

        :raises StateError: the file is not of this version.
        """
        self._books = Books(path)
        self._events = ClawbackEvents(ClawbackQueue(secrets))
        self._limit = RateLimit(self._books)

    def control_routes(self) -> tuple[Route, ...]:
        """Return the routes under ``/_emulator``."""
        return (
            *store_routes(self._books, self._events, self._limit),
            *subscription_routes(self._books, self._events),
            *clawback_routes(self._events),
        )

    def routes(
        self, kind: Kind, tokens: AccessTokens, store_ids: StoreIds, publisher_client_id: str
    ) -> tuple[Route, ...]:
        """Return the routes of a Store service but those of its keys."""
        calls = StoreCalls(kind, tokens, store_ids, self._books, self._limit, publisher_client_id)
        if kind.name == "collections":
            return collections_routes(calls)
        return (*order_routes(calls, self._events.queue), *recurrence_routes(calls, self._events))

    async def close(self) -> None:
        """Write the books and give back the connections."""
        self._books.close()
        await self._events.queue.close()
