"""Times of Store for Business: 100-nanosecond ticks since 1970 inside, ISO 8601 with up to 7 digits on the wire.

Source: Store for Business reference, first section. Python's own parser and clock texts stop at 6 digits.
"""

import re
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache

TICKS_PER_SECOND = 10_000_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,7}))?(?:Z|([+-])([01]\d|2[0-3]):([0-5]\d))", re.ASCII | re.IGNORECASE
)


def now() -> int:
    """Return the ticks of this moment."""
    return time.time_ns() // 100


def text(ticks: int, offset_minutes: int = 0) -> str:
    """Return ``2015-07-13T14:02:25.6863382-07:00``; ``Z`` for offset 0, no fraction for a whole second."""
    seconds, fraction = divmod(ticks, TICKS_PER_SECOND)
    shown = _local(seconds + 60 * offset_minutes) + (f".{fraction:07}" if fraction else "")
    if not offset_minutes:
        return shown + "Z"
    hours, minutes = divmod(abs(offset_minutes), 60)
    return f"{shown}{'-' if offset_minutes < 0 else '+'}{hours:02}:{minutes:02}"


# Seats are assigned by the thousand in one second, and listed by the hundred.
@lru_cache(maxsize=4096)
def _local(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")


def ticks(written: str) -> int:
    """Return the ticks of a date-time.

    :raises ValueError: it is not ISO 8601 with offset or ``Z`` and at most 7 fractional digits.
    """
    found = _TEXT.fullmatch(written)
    if found is None:
        raise ValueError("not an ISO 8601 date-time with offset or Z and at most 7 fractional digits")
    moment, fraction, sign, hours, minutes = found.groups()
    seconds = (datetime.fromisoformat(moment + "Z") - _EPOCH) // timedelta(seconds=1)
    if sign is not None:
        offset = int(hours) * 3600 + int(minutes) * 60
        seconds += offset if sign == "-" else -offset
    return seconds * TICKS_PER_SECOND + int((fraction or "").ljust(7, "0"))
