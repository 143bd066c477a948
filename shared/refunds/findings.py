"""What was found out about an event, and when to look again. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.refunds.status import RefundStatus

SELDOM = timedelta(hours=6)
"""How long an event waits at most before it is looked at again, however old it is."""

PATIENCE = timedelta(hours=1)
"""How long an event waits for what would settle it, before a person is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What became of an event. ``look_again``: it is not settled yet."""

    status: RefundStatus
    reason: str
    quantity: int = 0
    user_id: str | None = None
    look_again: bool = False


def applied(reason: str, quantity: int = 0, user_id: str | None = None, *, look_again: bool = False) -> Finding:
    """It is done."""
    status = RefundStatus.APPLIED
    return Finding(status=status, reason=reason, quantity=quantity, user_id=user_id, look_again=look_again)


def ignored(reason: str) -> Finding:
    """There is nothing to do."""
    return Finding(status=RefundStatus.IGNORED, reason=reason)


def waits(reason: str, user_id: str | None = None) -> Finding:
    """It is matched again later."""
    return Finding(status=RefundStatus.UNMATCHED, reason=reason, user_id=user_id, look_again=True)


def review(reason: str, user_id: str | None = None, *, look_again: bool = False) -> Finding:
    """A person is to look at it; with ``look_again`` it may still settle itself."""
    return Finding(status=RefundStatus.REVIEW, reason=reason, user_id=user_id, look_again=look_again)


def next_look(received_on: datetime, now: datetime) -> datetime:
    """When an event is looked at again: on each run at first, ever more seldom as it grows old."""
    return now + min(max(now - received_on, timedelta(0)) / 10, SELDOM)
