"""Times of Collections and Purchase: 100-nanosecond ticks since 1970 inside, ISO 8601 with 7 digits on the wire.

Source: store-services reference, section 0 ("Times are UTC") and section 5 (a .NET TimeSpan).
"""

import time

TICKS_PER_SECOND = 10_000_000
DAY_TICKS = 86_400 * TICKS_PER_SECOND

NO_END = "9999-12-31T23:59:59.9999999+00:00"
"""What the Store writes for "no end"."""


def now() -> int:
    """Return the ticks of this moment."""
    return time.time_ns() // 100


def text(ticks: int) -> str:
    """Return ``2026-10-02T08:15:30.1234567+00:00``."""
    seconds, fraction = divmod(ticks, TICKS_PER_SECOND)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{fraction:07}+00:00"


def span(ticks: int) -> str:
    """Return a length of time as .NET writes a TimeSpan: ``09:43:52.8580690``, with ``d.`` before it from a day on."""
    seconds, fraction = divmod(ticks, TICKS_PER_SECOND)
    days, seconds = divmod(seconds, 86_400)
    hours, seconds = divmod(seconds, 3600)
    minutes, seconds = divmod(seconds, 60)
    before = f"{days}." if days else ""
    return f"{before}{hours:02}:{minutes:02}:{seconds:02}.{fraction:07}"
