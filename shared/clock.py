"""The one place that reads the wall clock, so that tests hand in their own."""

from collections.abc import Callable
from datetime import UTC, datetime

type Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Now, with its time zone (UTC)."""
    return datetime.now(UTC)


def from_epoch(seconds: int) -> datetime:
    """The time that ``seconds`` since 1970 name, in UTC.

    :raises ValueError: if no calendar date has that number.
    """
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError(f"{seconds} is not a time") from error


def to_iso(moment: datetime) -> str:
    """ISO 8601 in UTC with whole seconds and ``Z``, such as ``2026-11-21T14:00:00Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_iso(text: str) -> datetime:
    """The inverse of :func:`to_iso`."""
    return datetime.fromisoformat(text)
