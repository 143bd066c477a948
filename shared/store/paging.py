"""Pages of Collections and Purchase: the same body again, with the token of the page before (reference, section 5)."""

from collections.abc import Awaitable, Callable
from typing import Protocol

from shared.store.errors import StoreAnswer, StoreUnknownError

MAX_PAGES = 200
"""Pages that one query may have: 20,000 items of one player are not a player's."""


class Page[T](Protocol):
    """A page may be short or empty, and still not the last: only a missing or empty token ends it."""

    @property
    def items(self) -> tuple[T, ...] | None: ...

    @property
    def continuation_token(self) -> str | None: ...


async def all_items[T](operation: str, ask: Callable[[str | None], Awaitable[Page[T]]]) -> list[T]:
    """The items of all pages, in order; ``ask`` gets the page that a continuation token names (None: the first).

    :raises StoreUnknownError: the Store leads in a circle, or to more than :data:`MAX_PAGES` pages.
    """
    items: list[T] = []
    used: set[str | None] = set()
    token: str | None = None
    while token not in used:
        if len(used) == MAX_PAGES:
            raise StoreUnknownError(StoreAnswer(operation, None, message=f"more than {MAX_PAGES} pages"))
        used.add(token)
        page = await ask(token)
        items += page.items or ()
        token = page.continuation_token or None
        if token is None:
            return items
    raise StoreUnknownError(StoreAnswer(operation, None, message="the continuation token was already used"))
