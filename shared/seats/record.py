"""What is kept of a job, and how it is written as table rows. Pure.

A job's rows share one partition, which is its id:

- ``job``: what is to be done, and where it stands;
- ``block|N``: some of its users, and what became of each;
- ``wait|N``: block N was not begun yet;
- ``todo|N|DRAW``: it was, and has users to be dealt with; it is gone in the very transaction that writes the last of
  their outcomes. It is never altered: it is deleted and made anew under another DRAW, so whoever deletes the one that
  they read knows that nobody has come between.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import batched
from typing import Any

import msgspec

from shared.clock import from_iso, to_iso
from shared.seats.outcomes import MAX_REASON, Finding
from shared.seats.states import Action, JobStatus, UserStatus
from shared.storage.rows import Row
from shared.store.models.business import ProductKey

JOB = "job"
BLOCK = "block|"
WAIT = "wait|"
TODO = "todo|"
END = "~"
"""Sorts after everything that follows a prefix of ours."""

MAX_BYTES = 48 * 1024
"""Bytes of a block's names, and of its reasons: a property holds 64 KiB (Azure Tables)."""

CHUNKS_A_BLOCK = 10
LEAST_USERS = 100
MOST_USERS = 1000

_LETTERS = {UserStatus.PENDING: "p", UserStatus.SUCCEEDED: "s", UserStatus.FAILED: "f"}
_STATUSES = {letter: status for status, letter in _LETTERS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A job. ``turn`` is its place among the jobs of its product; ``untold`` that its end was not announced yet.

    ``block_users`` is how many users a block has, unless their names are long. ``succeeded`` and ``failed`` are counted
    when it is over.
    """

    job_id: str
    tenant_id: str
    product: ProductKey
    action: Action
    digest: str
    status: JobStatus
    total: int
    block_users: int
    accepted_on: datetime
    warnings: tuple[str, ...] = ()
    turn: int = 0
    started_on: datetime | None = None
    ended_on: datetime | None = None
    succeeded: int = 0
    failed: int = 0
    untold: bool = False
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many users of a job or of a block came out how."""

    succeeded: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Block:
    """Some of a job's users, in their order; ``tries`` and ``waits`` count what did not bring it to its end."""

    number: int
    users: tuple[str, ...]
    findings: tuple[Finding, ...]
    tries: int = 0
    waits: int = 0

    @property
    def counts(self) -> Counts:
        """How many of its users came out how."""
        statuses = [finding.status for finding in self.findings]
        return Counts(statuses.count(UserStatus.SUCCEEDED), statuses.count(UserStatus.FAILED))

    @property
    def pending(self) -> list[str]:
        """Its users who are still to be dealt with."""
        pairs = zip(self.users, self.findings, strict=True)
        return [user for user, finding in pairs if finding.status is UserStatus.PENDING]

    def with_findings(self, found: Mapping[str, Finding]) -> "Block":
        """The same block after a call, or many."""
        pairs = zip(self.users, self.findings, strict=True)
        return replace(self, findings=tuple(found.get(user, finding) for user, finding in pairs))


@dataclass(frozen=True, slots=True)
class Todo:
    """A block that was begun and has users to be dealt with.

    Until ``due`` somebody is on it (``claimed``) or its message is on the way; afterwards it is sent again. ``resent``
    counts how often somebody must have died over it.
    """

    number: int
    due: datetime
    claimed: bool = False
    resent: int = 0
    draw: str = ""

    def is_overdue(self, now: datetime) -> bool:
        """Whether nobody is on it."""
        return self.due <= now


def users_a_block(chunk: int) -> int:
    """How many users share a block: some whole chunks, so that blocks cost no additional calls."""
    wanted = max(chunk * CHUNKS_A_BLOCK, LEAST_USERS + -LEAST_USERS % chunk)
    return wanted if wanted <= MOST_USERS else max(MOST_USERS // chunk * chunk, min(chunk, MOST_USERS))


def blocks_of(users: Sequence[str], block_users: int) -> list[Block]:
    """The blocks of a job: always the same for the same users."""
    pieces = [piece for batch in batched(users, block_users, strict=False) for piece in _fitting(batch)]
    untouched = Finding(UserStatus.PENDING)
    return [Block(number, piece, (untouched,) * len(piece)) for number, piece in enumerate(pieces)]


def _fitting(users: tuple[str, ...]) -> list[tuple[str, ...]]:
    if len(users) == 1 or len(msgspec.json.encode(users)) <= MAX_BYTES:
        return [users]
    middle = len(users) // 2
    return [*_fitting(users[:middle]), *_fitting(users[middle:])]


def job_row(job: Job) -> Row:
    """The job's own row."""
    row: dict[str, Any] = {
        "PartitionKey": job.job_id,
        "RowKey": JOB,
        "tenantId": job.tenant_id,
        "productId": job.product.product_id,
        "skuId": job.product.sku_id,
        "action": str(job.action),
        "digest": job.digest,
        "status": str(job.status),
        "total": job.total,
        "blockUsers": job.block_users,
        "acceptedOn": to_iso(job.accepted_on),
        "warnings": json.dumps(job.warnings),
        "turn": job.turn,
        "succeeded": job.succeeded,
        "failed": job.failed,
        "untold": job.untold,
    }
    times = {"startedOn": job.started_on, "endedOn": job.ended_on}
    return row | {name: to_iso(moment) for name, moment in times.items() if moment}


def job_from(row: Row, etag: str) -> Job:
    """The inverse of :func:`job_row`."""
    return Job(
        job_id=row["PartitionKey"],
        tenant_id=row["tenantId"],
        product=ProductKey(row["productId"], row["skuId"]),
        action=Action(row["action"]),
        digest=row["digest"],
        status=JobStatus(row["status"]),
        total=row["total"],
        block_users=row["blockUsers"],
        accepted_on=from_iso(row["acceptedOn"]),
        warnings=tuple(json.loads(row["warnings"])),
        turn=row["turn"],
        started_on=from_iso(row["startedOn"]) if "startedOn" in row else None,
        ended_on=from_iso(row["endedOn"]) if "endedOn" in row else None,
        succeeded=row["succeeded"],
        failed=row["failed"],
        untold=row["untold"],
        etag=etag,
    )


def block_name(number: int) -> str:
    """The row key of a block."""
    return f"{BLOCK}{number:05}"


def block_row(job_id: str, block: Block) -> Row:
    """A block's row: names, a letter for what became of each, and each reason once with all whom it concerns."""
    counts = block.counts
    return {
        "PartitionKey": job_id,
        "RowKey": block_name(block.number),
        "users": msgspec.json.encode(block.users),
        "states": "".join(_LETTERS[finding.status] for finding in block.findings),
        "reasons": _reasons(block.findings),
        "succeeded": counts.succeeded,
        "failed": counts.failed,
        "tries": block.tries,
        "waits": block.waits,
    }


def block_from(row: Row) -> Block:
    """The inverse of :func:`block_row`."""
    users = msgspec.json.decode(row["users"], type=tuple[str, ...])
    reasons: dict[int, str] = {}
    for reason, indexes in msgspec.json.decode(row["reasons"], type=list[tuple[str, list[int]]]):
        reasons |= dict.fromkeys(indexes, reason)
    findings = tuple(Finding(_STATUSES[letter], reasons.get(index)) for index, letter in enumerate(row["states"]))
    number = int(row["RowKey"].removeprefix(BLOCK))
    return Block(number, users, findings, row["tries"], row["waits"])


def _reasons(findings: Sequence[Finding]) -> bytes:
    """Each reason with its users' indexes. Should the Store have another text for every user, as much as fits."""
    length = MAX_REASON
    while True:
        by_text: dict[str, list[int]] = {}
        for index, finding in enumerate(findings):
            if finding.reason:
                by_text.setdefault(finding.reason[:length], []).append(index)
        encoded = msgspec.json.encode(list(by_text.items()))
        if len(encoded) <= MAX_BYTES:
            return encoded
        length //= 2


def wait_row(job_id: str, number: int) -> Row:
    """The row of a block that was not begun."""
    return {"PartitionKey": job_id, "RowKey": f"{WAIT}{number:05}"}


def todo_name(todo: Todo) -> str:
    """The row key of a todo."""
    return f"{TODO}{todo.number:05}|{todo.draw}"


def todo_row(job_id: str, todo: Todo) -> Row:
    """A todo's row."""
    return {
        "PartitionKey": job_id,
        "RowKey": todo_name(todo),
        "due": to_iso(todo.due),
        "claimed": todo.claimed,
        "resent": todo.resent,
    }


def todo_from(row: Row) -> Todo:
    """The inverse of :func:`todo_row`."""
    number, _, draw = str(row["RowKey"]).removeprefix(TODO).partition("|")
    return Todo(int(number), from_iso(row["due"]), row["claimed"], row["resent"], draw)
