"""The ``Retry-After`` header (RFC 9110): seconds, or an HTTP date. Pure."""

import math
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from shared.clock import Clock

MAX_RETRY_AFTER = 86_400.0


def parse_retry_after(value: str | None, clock: Clock) -> float | None:
    """Seconds that a ``Retry-After`` asks for, as seconds or as an HTTP date; None where it is absent or unreadable."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except (ValueError, OverflowError):
            return None
        seconds = ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _aware(clock)).total_seconds()
    return min(max(seconds, 0.0), MAX_RETRY_AFTER) if math.isfinite(seconds) else None


def _aware(clock: Clock) -> datetime:
    return clock().astimezone(UTC)
