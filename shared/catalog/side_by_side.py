"""Work on many things at once, and not on all of them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

AT_ONCE = 16


async def side_by_side[T, R](work: Callable[[T], Awaitable[R]], items: Sequence[T]) -> list[R]:
    """What the work on each item gives, in their order; :data:`AT_ONCE` at a time."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(item: T) -> R:
        async with places:
            return await work(item)

    return await all_of(one(item) for item in items)


async def all_of[R](works: Iterable[Awaitable[R]]) -> list[R]:
    """What each gives, in their order, all at a time. The first error ends the others: none goes on unseen."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        raise
