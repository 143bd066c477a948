"""Work on many things at once, and not on all of them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

AT_ONCE = 16


async def side_by_side[T, R](work: Callable[[T], Awaitable[R]], items: Sequence[T]) -> list[R]:
    """What the work on each item gives, in their order; :data:`AT_ONCE` at a time."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(item: T) -> R:
        async with places:
            return await work(item)

    return list(await asyncio.gather(*(one(item) for item in items)))
