"""Date-times of Store for Business: compared, never rewritten (reference "store-for-business", introduction)."""

import re
from datetime import UTC, datetime, timedelta, timezone

TICKS_A_SECOND = 10_000_000
"""A tick is 100 ns: what the Store's 7 fractional digits count."""

_FORM = re.compile(
    r"(?P<whole>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.(?P<fraction>[0-9]{1,7}))?"
    r"(?:Z|(?P<sign>[+-])(?P<hours>[0-9]{2}):(?P<minutes>[0-5][0-9]))"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def ticks(text: str) -> int:
    """Ticks of 100 ns since 1970 of an ISO 8601 date-time with an offset or ``Z`` and up to 7 fractional digits.

    Python's own parser reads 6 digits and would call two different moments the same.

    :raises ValueError: it is no such date-time.
    """
    found = _FORM.fullmatch(text)
    if not found:
        raise ValueError("not a date-time with an offset and up to 7 fractional digits")
    offset = timedelta(hours=int(found["hours"] or 0), minutes=int(found["minutes"] or 0))
    zone = timezone(-offset if found["sign"] == "-" else offset)
    since = datetime.fromisoformat(found["whole"]).replace(tzinfo=zone) - _EPOCH
    return (since.days * 86_400 + since.seconds) * TICKS_A_SECOND + int((found["fraction"] or "").ljust(7, "0"))
