"""What a crash left unfinished is found and goes on."""

from collections.abc import Awaitable, Callable

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
        await _alone("catalogue", parts().catalog_sweeper.sweep)
        await _alone("seats", parts().seat_sweeper.sweep)
    if settings().publisher:
        await _alone("fulfilments", parts().fulfillment_sweeper.sweep)


async def _alone(subject: str, sweep_it: Callable[[], Awaitable[None]]) -> None:
    try:
        await sweep_it()
    except StorekeeperError as error:
        _log.log(error.log_level, "the %s waits for the next sweep: %s", subject, error)
    except Exception:  # noqa: BLE001 - one subject's fault must not keep the others from being swept
        _log.exception("the sweep of the %s failed in a way nobody foresaw", subject)
