"""What a crash left unfinished is found and goes on."""

from collections.abc import Callable
from typing import Protocol

from azure.functions import TimerRequest

from functions.parts import parts, settings
from functions.timers import timer_function
from shared.correlation import get_logger
from shared.errors import StorekeeperError

_log = get_logger(__name__)


@timer_function
async def sweep(timer: TimerRequest) -> None:
    """Looks for unfinished work of each subject; where one fails, the others are swept all the same."""
    if settings().business_tenants:
        await _alone("catalogue", lambda: parts().catalog.sweeper)
        await _alone("seats", lambda: parts().seats.sweeper)
    if settings().publisher:
        await _alone("fulfilments", lambda: parts().fulfillment.sweeper)


class _Sweeper(Protocol):
    async def sweep(self) -> None: ...


async def _alone(subject: str, find: Callable[[], _Sweeper]) -> None:
    """One subject; ``find`` may have to load it."""
    try:
        await find().sweep()
    except StorekeeperError as error:
        _log.log(error.log_level, "the %s waits for the next sweep: %s", subject, error)
    except Exception:  # noqa: BLE001 - one subject's fault must not keep the others from being swept
        _log.exception("the sweep of the %s failed in a way nobody foresaw", subject)
