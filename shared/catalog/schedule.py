"""When something is tried again. Pure."""

FIRST_DELAY = 2.0
LONGEST_DELAY = 600.0
ATTEMPTS = 8
"""Tries of a piece of work before what remains of it counts as failed: some minutes, where the Store names no time."""

LEFT_ALONE = 10.0
"""Seconds, at least, in which no product of a tenant is begun after the Store was too busy for one of its calls."""

BUDGET = 240.0
"""Seconds in which a worker asks the Store for one piece of work: functions are ended (host.json), and what was not
written by then would be begun anew for ever. The rest is left to the next try.
"""

ATTEMPTS_WITHOUT_CREDENTIALS = 2
"""Tries where the Store or Entra does not take our credentials, which waiting seldom mends."""


def retry_delay(attempts: int, retry_after: float | None, jitter: float) -> float:
    """Seconds until the next try after ``attempts`` failures: doubling, never before ``retry_after``.

    :param jitter: 0..1; workers that failed together should not come back together.
    """
    doubled = min(FIRST_DELAY * 2.0 ** min(attempts, 20), LONGEST_DELAY)
    return max(doubled * (1 + jitter) / 2, retry_after or 0.0)
