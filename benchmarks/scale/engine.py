"""What every simulated thing is made of: limits that let so much a second pass, and queues."""

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from simpy import Environment, Event

WINDOW = 10.0
"""Seconds over which a rate is looked at."""


class Limit:
    """``rate`` a second passes, first come first served (None: everything at once). What passed is counted."""

    def __init__(self, env: Environment, rate: float | None) -> None:
        self._env = env
        self._rate = rate
        self._free_on = 0.0
        self._passed: defaultdict[float, float] = defaultdict(float)
        self.total = 0.0

    def wait(self, amount: float, *, after: float = 0.0) -> float:
        """Seconds from now until all of an amount has passed, which counts as passing so many seconds later."""
        now: float = self._env.now
        start = self._free_on if self._free_on > now else now  # noqa: FURB136 - called millions of times
        self._passed[(start + after) // WINDOW] += amount
        self.total += amount
        if self._rate is None:
            return 0.0
        self._free_on = start + amount / self._rate
        return self._free_on - now

    @property
    def busiest(self) -> float:
        """What passed a second in the busiest window."""
        return max(self._passed.values(), default=0.0) / WINDOW

    @property
    def share(self) -> float:
        """The busiest window as a share of the rate; 0 where there is none."""
        return min(self.busiest / self._rate, 1.0) if self._rate else 0.0


@dataclass(slots=True)
class _Taker:
    event: Event
    most: int
    who: object


@dataclass(slots=True)
class Queue[T]:
    """Messages, taken in their order. What is being worked on counts as long as others wait, as in Azure."""

    env: Environment
    name: str
    deepest: int = 0
    _waiting: deque[T] = field(default_factory=deque)
    _takers: deque[_Taker] = field(default_factory=deque)
    _in_hand: int = 0

    def put(self, messages: Sequence[T]) -> None:
        """Add messages; whoever waits for some gets them now."""
        self._waiting.extend(messages)
        while self._waiting and self._takers:
            taker = self._takers.popleft()
            taker.event.succeed(self._pop(taker.most))
        self.deepest = max(self.deepest, len(self._waiting) + self._in_hand)

    def take(self, most: int, who: object) -> Event:
        """An event whose value is the next messages; empty where ``who`` is dismissed."""
        event = self.env.event()
        if self._waiting:
            event.succeed(self._pop(most))
        else:
            self._takers.append(_Taker(event, most, who))
        return event

    def done(self, count: int) -> None:
        """Messages were worked on."""
        self._in_hand -= count

    def dismiss(self, who: object) -> None:
        """Let somebody wait no longer."""
        for taker in [each for each in self._takers if each.who is who]:
            taker.event.succeed([])
        self._takers = deque(each for each in self._takers if each.who is not who)

    @property
    def length(self) -> int:
        """Messages that are there, as the platform sees it: none, where all of them are being worked on."""
        return len(self._waiting) + self._in_hand if self._waiting else 0

    def _pop(self, most: int) -> list[T]:
        taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        self._in_hand += len(taken)
        return taken
