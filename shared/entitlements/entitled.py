"""Whether a subscription gives its user the product at a moment (store-services reference, section 7). Pure."""

from datetime import UTC, datetime, timedelta

from shared.store.models.purchase import Recurrence, RecurrenceState
from shared.store.wire_time import ticks

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICKS_A_MICROSECOND = 10


def is_entitled(recurrence: Recurrence, now: datetime) -> bool:
    """Active, or in dunning, and within the times: from the start to the end, which the grace time puts off.

    The state lags by minutes to hours, so it entitles nobody beyond the times. A time that is missing, or is no
    date-time, sets no bound, except that dunning entitles by a known end alone.
    """
    moment = (now - _EPOCH) // timedelta(microseconds=1) * _TICKS_A_MICROSECOND
    ends = [time_of(recurrence.expiration_time), time_of(recurrence.expiration_time_with_grace)]
    end = max((each for each in ends if each is not None), default=None)
    start = time_of(recurrence.start_time)
    if start is not None and moment < start:
        return False
    match recurrence.recurrence_state:
        case RecurrenceState.ACTIVE:
            return end is None or moment < end
        case RecurrenceState.IN_DUNNING:
            return end is not None and moment < end
    return False


def time_of(text: str | None) -> int | None:
    """A time of the Store in ticks; None where it is missing or unreadable."""
    try:
        return ticks(text) if text else None
    except ValueError:
        return None
