"""When a fulfilment is tried again, and for how long its worker is left alone. Pure."""

from datetime import datetime, timedelta

BUDGET = 60.0
"""Seconds in which a worker has the Store's answer; later than that it asks for nothing more."""

CLAIM = timedelta(seconds=90)
"""How long a worker is left alone with a fulfilment, from its claim on."""

CLOCK_ALLOWANCE = timedelta(minutes=1)
"""How far ahead another instance's clock may be: a claim or a wait that claims to last longer is none."""

SENT = timedelta(seconds=60)
"""How long a message may take, beyond its delay, before the sweep sends another."""

LONGEST_SENT = timedelta(minutes=30)
"""The most that is waited before a message is sent again: its queue may be long."""

FIRST_PAUSE = 5.0
LAST_PAUSE = 3600.0

FIRST_KEY_PAUSE = 60.0
"""Seconds until a player without a key is looked at again: the game may hand one in at any moment."""

STUCK_PAUSE = 6 * 3600.0
"""Seconds between tries of what only a person, or a very late answer, will move on."""

LONGEST_WAIT = timedelta(days=1)
"""Nothing waits for longer: what says so was written by a clock that was wrong."""

PATIENCE = timedelta(days=3)
"""After this time a fulfilment that is still not over is shown as stuck, says so, and is tried every few hours."""

LAST_PATIENCE = timedelta(days=30)
"""After this time it is tried once a day: whatever key there was when it was asked for has expired."""

LOOK_UP_PATIENCE = timedelta(minutes=10)
"""How long a consume waits for its item's order, from the first look-up on that was not answered."""

LOOK_UP_BUDGET = 25.0
"""Seconds in which a look-up is answered, so that the consume has the rest of the budget."""

FARTHEST = LONGEST_WAIT + LONGEST_SENT + CLOCK_ALLOWANCE
"""Nothing is filed to be swept later than that: what is, was filed by a clock that was wrong."""

MAX_REFUSALS = 5
"""Refusals after an unknown outcome, and as many replays, before a person is asked to look."""

_JITTER = 0.2


def pause(attempts: int, asked: float | None, fraction: float, *, first: float = FIRST_PAUSE) -> float:
    """Seconds until the attempt after ``attempts`` failed ones: doubling, never sooner than the Store asked for.

    ``fraction`` is random, from 0 to 1, so that those who failed together do not come back together.
    """
    doublings: int = 1 << min(max(attempts - 1, 0), 16)
    own = min(first * doublings, LAST_PAUSE)
    return min(max(own, asked or 0.0) * (1 + _JITTER * fraction), LONGEST_WAIT.total_seconds())


def is_in_force(until: datetime | None, now: datetime, longest: timedelta) -> bool:
    """Whether a claim, or a wait, of at most ``longest`` still holds, where clocks may differ or have jumped."""
    return until is not None and now < until <= now + longest + CLOCK_ALLOWANCE
