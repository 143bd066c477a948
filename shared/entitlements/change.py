"""A change of a subscription: what was asked, what is kept of it, and what the subscription says became of it. Pure."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from shared.entitlements.entitled import time_of
from shared.entitlements.statuses import ChangeStatus
from shared.store.models.purchase import ChangeType, Recurrence, RecurrenceState
from shared.store.wire_time import TICKS_A_SECOND

TOLERANCE = 3600 * TICKS_A_SECOND
"""By how much an end may differ from what was asked, or from what it was: extensions are of whole days."""

_DAY = 86_400 * TICKS_A_SECOND
_ENDED = frozenset({RecurrenceState.CANCELED, RecurrenceState.INACTIVE, RecurrenceState.FAILED})


class Shown(Enum):
    """What a subscription shows of a change."""

    DONE = "done"
    NOTHING = "nothing"
    """It is as it was before: the change may be made (again)."""
    OTHER = "other"
    """It does not tell, and never will with certainty."""


@dataclass(frozen=True, slots=True)
class Asked:
    """The content of a change: the same id never stands for another."""

    change_id: str
    recurrence_id: str
    change: ChangeType
    extension_days: int | None
    sandbox: str | None

    def __str__(self) -> str:
        days = f" by {self.extension_days} days" if self.extension_days is not None else ""
        return f"{self.change}{days}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change as it is kept.

    ``state`` and ``expiration`` are the subscription's, read before the call; ``state_after`` and ``expiration_after``
    are those that it answered with. ``claimed_on`` is when the last call was about to be made; None: none was carried
    out. ``closed``: no call is made any more.
    """

    asked: Asked
    state: str
    expiration: str | None
    status: ChangeStatus = ChangeStatus.PENDING
    claimed_on: datetime | None = None
    closed: bool = False
    reason: str | None = None
    state_after: str | None = None
    expiration_after: str | None = None
    etag: str | None = None


def shown(change: Change, now: Recurrence) -> Shown:
    """What the subscription shows of a change whose outcome is not known."""
    match change.asked.change:
        case ChangeType.EXTEND:
            return _extension(change, now)
        case ChangeType.REFUND:
            return Shown.DONE if _is_refunded(change, now) else Shown.OTHER
        case ChangeType.TOGGLE_AUTO_RENEW if now.auto_renew is False:
            return Shown.DONE
    # Whether Cancel leaves the paid time is told in two ways, so a subscription that does not renew tells nothing.
    return Shown.DONE if now.recurrence_state in _ENDED else Shown.NOTHING


def _extension(change: Change, now: Recurrence) -> Shown:
    before, after = time_of(change.expiration), time_of(now.expiration_time)
    if before is None or after is None:
        return Shown.OTHER
    moved = after - before
    if abs(moved - (change.asked.extension_days or 0) * _DAY) <= TOLERANCE:
        return Shown.DONE
    return Shown.NOTHING if abs(moved) <= TOLERANCE else Shown.OTHER


def _is_refunded(change: Change, now: Recurrence) -> bool:
    """A refund ends the subscription, at once where the user had time left."""
    if now.recurrence_state not in _ENDED:
        return False
    before, after = time_of(change.expiration), time_of(now.expiration_time)
    is_earlier = before is not None and after is not None and after < before - TOLERANCE
    return is_earlier or now.recurrence_state != change.state
