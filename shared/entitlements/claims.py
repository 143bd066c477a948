"""Who acts on a row: whoever wrote their claim into it, until it runs out. Pure."""

from datetime import datetime, timedelta

ATTEMPTS = 6
"""Tries to act on a row that others are writing too."""

CLAIM = timedelta(minutes=5)
"""For how long nobody else acts. Longer than a call with all its repeats, and than a late effect is waited for."""

LAST_START = timedelta(minutes=1)
"""How long after its claim a call may begin, at most: a worker that was held up must not act beside the next one."""

CLOCK_ALLOWANCE = timedelta(minutes=1)
"""How far ahead a holder's clock may be; a claim from further in the future counts as run out."""


def is_held(claimed_on: datetime | None, now: datetime) -> bool:
    """Whether somebody acts, or may have acted so lately that its effect is still to come."""
    return claimed_on is not None and claimed_on - CLOCK_ALLOWANCE <= now < claimed_on + CLAIM


def may_start(claimed_on: datetime | None, now: datetime) -> bool:
    """Whether the holder of a claim may still begin a call."""
    return claimed_on is not None and now < claimed_on + LAST_START


def seconds_left(claimed_on: datetime | None, now: datetime) -> float:
    """Seconds until a claim runs out; 0 where there is none."""
    return (claimed_on + CLAIM - now).total_seconds() if claimed_on and is_held(claimed_on, now) else 0.0
