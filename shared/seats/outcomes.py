"""What the Store's words about one user mean for a job. Pure.

The reference names no list of reasons, so the tables hold the words that its operations use and their likeliest
spellings; they are compared without letter case, spaces and punctuation. A word that is in no table is definitive: it
is told to whoever reads the results, and costs the Store no further call.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.seats.states import Action, UserStatus
from shared.store.errors import StoreAnswer
from shared.store.models.business import BulkSeatResult, SeatState

MAX_REASON = 200
"""Characters of a reason that are kept."""

SILENT = "the Store's answer does not mention this user"

ALREADY: Mapping[Action, frozenset[str]] = {
    Action.ASSIGN: frozenset({"alreadyassigned", "seatalreadyassigned", "useralreadyassigned", "alreadyhasseat"}),
    Action.RECLAIM: frozenset({"seatnotfound", "seatnotassigned", "notassigned", "alreadyreclaimed", "alreadyrevoked"}),
}
"""Reasons that say that all is as the job wants it: success, so that a job can be run again."""

# fmt: off
TRANSIENT = frozenset({
    "internal", "internalerror", "internalservererror", "servererror", "unexpectederror", "timeout", "timedout",
    "requesttimeout", "operationtimedout", "throttled", "throttling", "toomanyrequests", "ratelimited", "unavailable",
    "serviceunavailable", "temporarilyunavailable", "temporaryfailure", "transient", "transienterror", "busy",
    "serverbusy", "conflict", "concurrencyconflict", "concurrentmodification", "tryagain", "tryagainlater", "retry",
    "retrylater",
})
# fmt: on
"""Reasons that time may cure: worth another try."""

_ITEM_SEAT = "seat"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one call says of one user.

    Where it is ``PENDING``, ``waits`` tells that nothing was carried out, and ``retry_after`` when to come again, in
    seconds, where the Store says so.
    """

    status: UserStatus
    reason: str | None = None
    waits: bool = False
    retry_after: float | None = None


SUCCESS = Finding(UserStatus.SUCCEEDED)


def by_reason(action: Action, reason: str, told: str | None = None) -> Finding:
    """What a user's reason means; ``told`` is what is kept in its place."""
    word = re.sub(r"[^a-z0-9]", "", reason.lower())
    if word in ALREADY[action]:
        return SUCCESS
    status = UserStatus.PENDING if word in TRANSIENT else UserStatus.FAILED
    return Finding(status, bounded(told or reason))


def by_refusal(action: Action, answer: StoreAnswer) -> Finding:
    """What a refusal of a single user's call means."""
    if action is Action.RECLAIM and answer.status == 404 and (answer.item_type or "").lower() == _ITEM_SEAT:
        return SUCCESS
    return by_reason(action, answer.reason or answer.code or "", reason_of(answer))


def by_user(action: Action, users: Iterable[str], result: BulkSeatResult) -> dict[str, Finding]:
    """What a bulk answer says of each of the users whom the call named.

    A user it does not mention, or mentions with a seat in the wrong state, may or may not have been dealt with.
    """
    wanted = SeatState.ACTIVE if action is Action.ASSIGN else SeatState.REVOKED
    done = {seat.assigned_to.casefold() for seat in result.seat_details if seat.state == wanted}
    refused = {failure.user_name.casefold(): failure.failure_reason for failure in result.failed_seat_operations}
    findings = {}
    for user in users:
        name = user.casefold()
        if name in done:
            findings[user] = SUCCESS
        elif name in refused:
            findings[user] = by_reason(action, refused[name] or "no reason given")
        else:
            findings[user] = Finding(UserStatus.PENDING, SILENT)
    return findings


def reason_of(answer: StoreAnswer) -> str:
    """The Store's reason for a failure, in as few words as it takes."""
    words = answer.reason or answer.message or answer.code
    if not answer.status:
        return bounded(f"no answer ({words})" if words else "no answer")
    if not words:
        return f"HTTP {answer.status}"
    named = answer.item_type if answer.item_type and answer.item_type.lower() not in words.lower() else None
    return bounded(f"{words} ({named})" if named else words)


def bounded(reason: str) -> str:
    """A reason, short enough to be kept for each of many users."""
    return reason if len(reason) <= MAX_REASON else reason[: MAX_REASON - 1] + "…"
