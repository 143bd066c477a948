"""Makes a timer function of a handler: one correlation id for all that a run logs and asks for."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from azure.functions import TimerRequest

from shared.correlation import correlated


@dataclass(frozen=True, slots=True)
class TimerFunction:
    """A handler of a timer's runs."""

    handler: Callable[[TimerRequest], Awaitable[None]]

    async def serve(self, timer: TimerRequest) -> None:
        """One run."""
        with correlated():
            await self.handler(timer)


def timer_function(handler: Callable[[TimerRequest], Awaitable[None]]) -> TimerFunction:
    """The timer function of a handler."""
    return TimerFunction(handler)
