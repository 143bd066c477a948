"""Work on many things at once, but one by one on those that may concern each other."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable

SIDE_BY_SIDE = 16
"""Orders worked on at once."""


async def by_group[T](things: Iterable[tuple[str, T]], work: Callable[[T], Awaitable[None]]) -> None:
    """Work on each of ``things``, given with the names of their groups; within a group in the order that they have.

    What ``work`` raises ends all.
    """
    groups: defaultdict[str, list[T]] = defaultdict(list)
    for group, thing in things:
        groups[group].append(thing)
    waiting = iter(groups.values())

    async def worker() -> None:
        for group in waiting:
            for thing in group:
                await work(thing)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(min(SIDE_BY_SIDE, len(groups))):
            tasks.create_task(worker())
