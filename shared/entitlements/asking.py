"""Asks the Store on behalf of somebody who waits, and tells them what it said."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable

from shared.errors import BadGatewayError, StorekeeperError, UnavailableError, UnprocessableError
from shared.store.errors import (
    StoreCredentialsError,
    StoreError,
    StoreRefusedError,
    StoreThrottledError,
    StoreUnknownError,
)

REPEATS = 2
"""How often a query is made again that had no answer: some fail for ever (reference, section 0)."""

REPEAT_PAUSE = 0.4
"""Seconds before the first repeat, at most; twice as many before the second."""

PATIENCE = 15.0
"""Seconds after which a query that had no answer is not made again."""


def told(error: StoreError) -> StorekeeperError:
    """What a caller is told of an error of the Store."""
    match error:
        case StoreRefusedError():
            return UnprocessableError(f"The Store refuses this: {error}")
        case StoreCredentialsError():
            return BadGatewayError(f"The Store does not take our credentials: {error}")
        case StoreThrottledError():
            detail = f"this user made too many calls: {error}"
            return UnavailableError("store", detail, retry_after=error.retry_after or 5.0)
    return UnavailableError("store", str(error), retry_after=error.retry_after or 5.0)


async def query[T](ask: Callable[[], Awaitable[T]]) -> T:
    """The answer to a query, which may be repeated since it changes nothing.

    :raises StorekeeperError: what :func:`told` makes of the Store's error.
    """
    give_up = time.monotonic() + PATIENCE
    pause = REPEAT_PAUSE
    for _ in range(REPEATS):
        try:
            return await ask()
        except StoreUnknownError as error:
            if time.monotonic() > give_up:
                raise told(error) from error
        except StoreError as error:
            raise told(error) from error
        await asyncio.sleep(random.uniform(0.5, 1) * pause)  # noqa: S311 - spreads load
        pause *= 2
    try:
        return await ask()
    except StoreError as error:
        raise told(error) from error
