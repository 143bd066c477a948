"""Waiting for what happens elsewhere: often asked, with a deadline, never a blind sleep."""

import asyncio
import time
from collections.abc import Awaitable, Callable


async def eventually[T](ask: Callable[[], Awaitable[T | None]], seconds: float = 15.0) -> T:
    """The first true answer.

    :raises AssertionError: none came in ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while not (answer := await ask()):
        assert time.monotonic() < deadline, f"nothing within {seconds} seconds"
        await asyncio.sleep(0.03)
    return answer
