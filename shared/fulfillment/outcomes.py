"""What follows from a consume that gave no grant (store-services reference, sections 0, 6 and 10). Pure.

Only a refusal that the Store spells out ends a fulfilment, and only where no consume before it may have taken effect:
a replay of one that did would be a success. All else says nothing of the outcome, so the same consume is made again.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from shared.errors import StorekeeperError
from shared.fulfillment.schedule import (
    FIRST_KEY_PAUSE,
    LAST_PATIENCE,
    LONGEST_WAIT,
    LOOK_UP_PATIENCE,
    MAX_REFUSALS,
    PATIENCE,
    STUCK_PAUSE,
    pause,
)
from shared.keys.current import NoKeyError
from shared.ledger.kinds import JobStatus
from shared.ledger.record import Job
from shared.store.errors import StoreError, StoreRefusedError, StoreThrottledError, StoreUnknownError

LONGEST_REASON = 500
NO_ANSWER = "the Store gave no answer in time"


def after_failure(job: Job, error: Exception, now: datetime, fraction: float, *, asked: bool) -> Job:
    """The fulfilment as it is after a failure, free to be claimed; ``not_before`` is set unless it has ended.

    ``asked``: the Store was asked to consume, so that what is not known of its answer is not known of the consume.
    Where it was not, it was asked for the item's order, which is not waited for without end.
    """
    freed = replace(job, claim=None, claimed_until=None, sent=0, reason=_reason(error))
    if isinstance(error, StoreRefusedError):
        return _refused(freed, now, fraction)
    attempts = job.attempts + 1
    if isinstance(error, NoKeyError):
        delay = pause(attempts, None, fraction, first=FIRST_KEY_PAUSE)
        return _aged(replace(freed, status=JobStatus.STUCK, attempts=attempts), now, delay)
    unanswered = isinstance(error, StoreUnknownError | TimeoutError)
    unknown = asked and unanswered
    if unanswered and not asked and not job.look_up_until:
        freed = replace(freed, look_up_until=now + LOOK_UP_PATIENCE)
    status = JobStatus.PENDING if job.refusals < MAX_REFUSALS else JobStatus.STUCK
    tried = replace(freed, status=status, attempts=attempts, uncertain=job.uncertain or unknown)
    wished = getattr(error, "retry_after", None)
    if isinstance(error, StoreThrottledError):
        # The Store has said when to come: a player who consumes a lot is not made to wait longer each time.
        return _aged(replace(tried, attempts=job.attempts), now, pause(1, wished, fraction))
    return _aged(tried, now, pause(attempts, wished, fraction))


def _refused(freed: Job, now: datetime, fraction: float) -> Job:
    if not freed.uncertain:
        return replace(freed, status=JobStatus.REFUSED, not_before=None)
    refusals = freed.refusals + 1
    if refusals < MAX_REFUSALS:
        doubted = replace(freed, status=JobStatus.PENDING, refusals=refusals)
        return _waiting(doubted, now, pause(refusals, None, fraction, first=FIRST_KEY_PAUSE))
    reason = f"refused after an earlier try of unknown outcome, look into it: {freed.reason}"[:LONGEST_REASON]
    stuck = replace(freed, status=JobStatus.STUCK, refusals=refusals, reason=reason)
    return _waiting(stuck, now, STUCK_PAUSE * (1 + fraction))


def _aged(job: Job, now: datetime, delay: float) -> Job:
    """A fulfilment that has not ended for days is for a person to see; it is still tried, now and then."""
    age = now - job.accepted_on
    if age < PATIENCE:
        return _waiting(job, now, delay)
    pause_by_age = STUCK_PAUSE if age < LAST_PATIENCE else LONGEST_WAIT.total_seconds()
    reason = f"not over after {age.days} days: {job.reason}"[:LONGEST_REASON]
    return _waiting(replace(job, status=JobStatus.STUCK, reason=reason), now, max(delay, pause_by_age))


def _waiting(job: Job, now: datetime, delay: float) -> Job:
    return replace(job, not_before=now + timedelta(seconds=delay))


def _reason(error: Exception) -> str:
    match error:
        case TimeoutError():
            return NO_ANSWER
        case StoreError(answer=answer):
            return str(answer)[:LONGEST_REASON]
        case StorekeeperError(detail=detail):
            return detail[:LONGEST_REASON]
    return type(error).__name__
