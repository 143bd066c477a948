"""When a key is renewed and when a failed attempt is repeated. Pure."""

import hashlib
from datetime import datetime, timedelta

RENEW_AT_AGE = timedelta(days=14)
"""Keys are renewed from this age on (store-services reference, section 3, "Safe policy")."""

MAX_JITTER = timedelta(hours=12)
"""Keys made in one rush are renewed spread over this time."""

FIRST_RETRY = timedelta(minutes=5)
LAST_RETRY = timedelta(hours=12)


def renewal_time(issued_on: datetime, expires_on: datetime, owner: str) -> datetime:
    """When a key is due: at 14 days or half its life, whichever comes first, and a little later for each owner.

    The jitter is drawn from the owner, so that handing in the same key twice gives the same answer.
    """
    age = min(RENEW_AT_AGE, (expires_on - issued_on) / 2)
    digest = hashlib.sha256(f"{owner}|{issued_on.timestamp()}".encode()).digest()
    fraction = int.from_bytes(digest[:4]) / 2**32
    due = issued_on + age + min(MAX_JITTER, age / 10) * fraction
    return due.replace(microsecond=0)


def following_time(renew_after: datetime, expires_on: datetime, old_expires_on: datetime, now: datetime) -> datetime:
    """When a key is due that the Store has renewed just ``now``.

    Not at once again, even if our clock is ahead of the Store's, or the Store gave the old key back. Where the key is
    new and our clock so far ahead that it would wait until it is old, only the Store's times hold: once our clock is
    set right, they find it.
    """
    again = max(renew_after, now + FIRST_RETRY)
    is_late = again > renew_after + (expires_on - renew_after) / 2
    return renew_after if is_late and expires_on > old_expires_on else again


def retry_time(
    now: datetime, expires_on: datetime, attempts: int, retry_after: float | None, fraction: float
) -> datetime:
    """When the attempt after ``attempts`` failed ones is made: doubling, jittered, never before the Store allows it.

    It is else not later than the key's expiry, so that an expired key is noticed. ``fraction`` is random, from 0 to 1.
    """
    doublings: int = 1 << min(attempts, 16)
    ceiling = min(FIRST_RETRY * doublings, LAST_RETRY)
    delay = ceiling / 2 + ceiling / 2 * fraction
    again = min(now + delay, max(expires_on, now + FIRST_RETRY))
    return again if retry_after is None else max(again, now + timedelta(seconds=retry_after))
