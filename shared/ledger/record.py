"""What is kept of a fulfilment, and how it is written as a table row. Pure."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import batched
from typing import Any

import msgspec

from shared.clock import from_iso, to_iso
from shared.ledger.kinds import ConsumableType, JobStatus
from shared.storage.rows import Row

SHARDS = 32
"""Partitions over which players are spread. Each takes 2,000 row operations a second (Azure Tables): together more

than the requests of a whole account, while a sweep reads each of them once a minute.
"""

OPEN = "open|"
END = "~"
"""Follows every character that a name here may have."""

_LINES_A_PROPERTY = 300
"""Lines that a property of 64 KiB certainly holds: an id of the Store has 36 characters."""


class LineState(StrEnum):
    """What became of what a fulfilment took of an order line.

    ``granted``, then ``revoked`` by a refund or ``chargedBack``; ``restored`` after the chargeback was reversed.
    ``reversed``: the reversal is known, its chargeback has not come yet, and will take nothing. ``elsewhere``: the same
    unit had been granted before, and is kept in the books under the fulfilment that did it.
    """

    GRANTED = "granted"
    REVOKED = "revoked"
    CHARGED_BACK = "chargedBack"
    RESTORED = "restored"
    REVERSED = "reversed"
    ELSEWHERE = "elsewhere"

    @property
    def is_held(self) -> bool:
        """Whether the player has the quantity."""
        return self in {LineState.GRANTED, LineState.RESTORED, LineState.REVERSED}


@dataclass(frozen=True, slots=True)
class Line:
    """What a fulfilment took of one order line. Ids are lower case; empty where the Store did not tell them.

    ``changed_by`` is the clawback event that put it into its state.
    """

    order_id: str
    line_id: str
    quantity: int
    state: LineState = LineState.GRANTED
    changed_by: str | None = None


@dataclass(frozen=True, slots=True)
class LineRef:
    """Where a line is found: by its order in ``orderlines``; in the books of its player under the tracking id."""

    order_id: str
    line_id: str
    product_id: str
    tracking_id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class Balance:
    """What a player holds of a product. Below zero only where a refund took what was spent."""

    product_id: str
    quantity: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One fulfilment, from its acceptance on and for ever.

    ``filed_under`` is the row that has it swept until nothing is left to do. ``claim`` names the worker that has it,
    until ``claimed_until``; nobody tries before ``not_before``. ``uncertain``: a consume may have taken effect, so a
    refusal is not believed (``refusals`` counts those). ``looked_up``: the item's ``transaction_id`` was asked for,
    which happens before the first consume and never after it, and is waited for until ``look_up_until``, once that
    is set. ``sent`` counts the messages that sweeps have put since
    anybody was on it. ``granted`` is what was added to ``balance``, and
    ``restores`` the fulfilment that had granted the same unit before (reference, section 8, "Developer-managed").
    """

    user_id: str
    tracking_id: str
    product_id: str
    quantity: int
    consumable_type: ConsumableType
    sandbox: str
    accepted_on: datetime
    status: JobStatus = JobStatus.PENDING
    reason: str | None = None
    filed_under: str = ""
    claim: str | None = None
    claimed_until: datetime | None = None
    not_before: datetime | None = None
    attempts: int = 0
    uncertain: bool = False
    refusals: int = 0
    sent: int = 0
    looked_up: bool = False
    look_up_until: datetime | None = None
    transaction_id: str | None = None
    lines: tuple[Line, ...] = ()
    new_quantity: int | None = None
    granted: int = 0
    balance: int = 0
    restores: str | None = None
    granted_on: datetime | None = None
    etag: str | None = None

    @property
    def is_developer_managed(self) -> bool:
        """Whether the Store counts one unit at a time, and tells its order once."""
        return self.consumable_type == "UnmanagedConsumable"

    def asks_the_same(self, other: "Job") -> bool:
        """Whether both stand for the same request."""
        return _request(self) == _request(other)

    def line(self, order_id: str, line_id: str) -> Line | None:
        """What was taken of an order line."""
        return next((each for each in self.lines if (each.order_id, each.line_id) == (order_id, line_id)), None)

    def with_lines(self, change: "dict[Line, Line]") -> "Job":
        """The same job with some of its lines replaced."""
        return replace(self, lines=tuple(change.get(line, line) for line in self.lines))


def _request(job: Job) -> tuple[str, str, str, int, str, str]:
    return job.user_id, job.tracking_id, job.product_id.upper(), job.quantity, job.consumable_type, job.sandbox


def shard_of(user_id: str) -> str:
    """The partition of a player: two hexadecimal digits."""
    return f"{hashlib.sha256(user_id.encode()).digest()[0] % SHARDS:02x}"


def user_name(user_id: str) -> str:
    """A player's id in characters that a row key may hold."""
    return base64.urlsafe_b64encode(user_id.encode()).decode().rstrip("=")


def job_name(user_id: str, tracking_id: str) -> str:
    """The row key of a fulfilment."""
    return f"job|{user_name(user_id)}|{tracking_id}"


def balances_name(user_id: str, sandbox: str) -> str:
    """What the row keys of a player's balances in a sandbox begin with."""
    return f"balance|{user_name(user_id)}|{safe(sandbox.upper())}|"


def refund_name(user_id: str, event_id: str) -> str:
    """The row key of a clawback event that was applied to a player."""
    return f"refund|{user_name(user_id)}|{safe(event_id)}"


def safe(text: str) -> str:
    """A text of the Store's in characters that a key may hold: a GUID as it is."""
    if text and all(each.isascii() and (each.isalnum() or each in "-_.:") for each in text):
        return text
    return "=" + base64.urlsafe_b64encode(text.encode()).decode().rstrip("=") if text else ""


def line_properties(lines: Sequence[Line]) -> dict[str, bytes]:
    """The lines as properties ``lines0``, ``lines1`` and so on."""
    written = [[line.order_id, line.line_id, line.quantity, line.state, line.changed_by] for line in lines]
    pages = batched(written, _LINES_A_PROPERTY, strict=False)
    return {f"lines{number}": msgspec.json.encode(page) for number, page in enumerate(pages)}


def to_properties(job: Job) -> dict[str, Any]:
    """The job's properties; what says nothing is left out. Balances may need more than 32 bits, so they are text."""
    known: dict[str, Any] = {
        "userId": job.user_id,
        "trackingId": job.tracking_id,
        "productId": job.product_id,
        "quantity": job.quantity,
        "consumableType": job.consumable_type,
        "sandbox": job.sandbox,
        "acceptedOn": to_iso(job.accepted_on),
        "status": str(job.status),
        "filedUnder": job.filed_under,
    }
    exceptional = {
        "reason": job.reason,
        "claim": job.claim,
        "claimedUntil": job.claimed_until and to_iso(job.claimed_until),
        "notBefore": job.not_before and to_iso(job.not_before),
        "attempts": job.attempts,
        "uncertain": job.uncertain,
        "refusals": job.refusals,
        "sent": job.sent,
        "lookedUp": job.looked_up,
        "lookUpUntil": job.look_up_until and to_iso(job.look_up_until),
        "transactionId": job.transaction_id,
        "restores": job.restores,
    }
    known |= {name: value for name, value in exceptional.items() if value}
    if job.granted_on:
        known |= {"grantedOn": to_iso(job.granted_on), "granted": job.granted, "balance": str(job.balance)}
    if job.new_quantity is not None:
        known["newQuantity"] = str(job.new_quantity)
    return known | line_properties(job.lines)


def job_from(row: Row, etag: str | None = None) -> Job:
    """The inverse of :func:`to_properties`."""
    new_quantity = row.get("newQuantity")
    return Job(
        user_id=row["userId"],
        tracking_id=row["trackingId"],
        product_id=row["productId"],
        quantity=row["quantity"],
        consumable_type=row["consumableType"],
        sandbox=row["sandbox"],
        accepted_on=from_iso(row["acceptedOn"]),
        status=JobStatus(row["status"]),
        reason=row.get("reason"),
        filed_under=row["filedUnder"],
        claim=row.get("claim"),
        claimed_until=_moment(row, "claimedUntil"),
        not_before=_moment(row, "notBefore"),
        attempts=row.get("attempts", 0),
        uncertain=row.get("uncertain", False),
        refusals=row.get("refusals", 0),
        sent=row.get("sent", 0),
        looked_up=row.get("lookedUp", False),
        look_up_until=_moment(row, "lookUpUntil"),
        transaction_id=row.get("transactionId"),
        lines=_lines(row),
        new_quantity=int(new_quantity) if new_quantity is not None else None,
        granted=row.get("granted", 0),
        balance=int(row.get("balance", "0")),
        restores=row.get("restores"),
        granted_on=_moment(row, "grantedOn"),
        etag=etag,
    )


def _moment(row: Row, name: str) -> datetime | None:
    return from_iso(row[name]) if name in row else None


def _lines(row: Row) -> tuple[Line, ...]:
    lines: list[Line] = []
    while page := row.get(f"lines{len(lines) // _LINES_A_PROPERTY}"):
        written = msgspec.json.decode(page, type=list[tuple[str, str, int, LineState, str | None]])
        lines += [Line(*each) for each in written]
        if len(written) < _LINES_A_PROPERTY:
            break
    return tuple(lines)
