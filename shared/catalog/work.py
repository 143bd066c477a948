"""What is kept of a pass: its state, its counts, and what is still to be done. Pure.

Rows of a tenant's partition in the table ``catalog``:

- ``tenant``: the watermark, and which pass runs.
- ``pass|SYNC``: a pass; for one that only joined a running pass, a pointer to that.
- ``todo|SYNC|NAME``: a piece of work that has not landed; deleted in the transaction that writes its results. A pass
  has ended when it has none left.
- ``done|SYNC|NAME``: what a piece counted. ``page|SYNC|NUMBER``: which entries a page of the listing named.
- ``outbox|SYNC``: the event of a pass that has ended, until it is sent.
- ``product|…``: see :mod:`shared.catalog.record`; ``lease``: see :mod:`shared.storage.leases`.
"""

import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec

from shared.catalog.messages import DOWNLOADS_QUEUE, PASSES_QUEUE, PIECES_QUEUE
from shared.catalog.packing import pack, unpack
from shared.clock import from_iso, to_iso
from shared.storage.rows import Row

TENANT_ROW = "tenant"

CLAIM = timedelta(seconds=75)
"""How long a worker is left alone with its piece after its last sign of life."""

MAX_CLAIMS = 20
"""Workers that may die over one piece, or fail in a way that nobody foresaw."""

CLOCK_ALLOWANCE = timedelta(minutes=1)
"""How far ahead a worker's clock may be: a claim that claims to last longer counts as run out."""

SYNC_ID = r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}"
"""Ids of passes begin with the time, so that those of a tenant sort by it."""


class State(StrEnum):
    """Where a pass is. ``completedWithFailures``: some things did not land, and the watermark stays where it was."""

    RUNNING = "running"
    COMPLETED = "completed"
    COMPLETED_WITH_FAILURES = "completedWithFailures"
    FAILED = "failed"


class Kind(StrEnum):
    """Kinds of work."""

    LISTING = "listing"
    PIECE = "piece"
    MISSING = "missing"
    DOWNLOAD = "download"

    @property
    def queue(self) -> str:
        """The queue on which such work is announced."""
        return {Kind.LISTING: PASSES_QUEUE, Kind.DOWNLOAD: DOWNLOADS_QUEUE}.get(self, PIECES_QUEUE)


class Tally(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """What a pass counts.

    ``seen``: entries listed; ``fetched``: products asked for; ``changed``: written, since they differed; ``failed``:
    products and files given up on; ``problems``: what the Store definitively refused; ``repaired``: differed, although
    nothing said so; ``unlisted``: not named by a full listing, and yet known to the Store; ``files``: downloaded.
    """

    pages: int = 0
    seen: int = 0
    fetched: int = 0
    changed: int = 0
    failed: int = 0
    problems: int = 0
    repaired: int = 0
    removed: int = 0
    unlisted: int = 0
    files: int = 0
    downloaded_bytes: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        sums = {name: getattr(self, name) + getattr(other, name) for name in self.__struct_fields__}
        return Tally(**sums)


@dataclass(frozen=True, slots=True)
class Tenant:
    """What is known of a tenant between passes.

    ``watermark``: up to which ``lastModified``, exactly as the Store wrote it, everything has landed; ``basis``: on
    which settings. ``running``: the id of the pass that runs, or empty. ``etag`` is None where there is no row yet.
    """

    watermark: str = ""
    basis: str = ""
    running: str = ""
    etag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """A pass over one tenant's inventory.

    ``since``: its ``modifiedSince``, empty for all; ``token``: where the listing goes on; ``store_time``: the Store's
    clock when it began; ``candidate``: the watermark that it may become; ``listed``: the listing has come to its end;
    ``reason``: why it waits or has failed; ``joined``: the pass that ran already when this one was asked for.
    """

    tenant_id: str
    sync_id: str
    full: bool
    basis: str
    started_on: datetime
    moved_on: datetime
    since: str = ""
    state: State = State.RUNNING
    ended_on: datetime | None = None
    token: str = ""
    store_time: datetime | None = None
    candidate: str = ""
    listed: bool = False
    restarts: int = 0
    tally: Tally = field(default_factory=Tally)
    reason: str = ""
    joined: str = ""
    etag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Todo:
    """A piece of work. ``payload`` says what is to be done; ``attempts`` counts tries that left something of it;
    ``claimed_until``: a worker is at it, ``claimed_by`` tells which one; ``claims``: workers who were, and of whom
    nothing came.
    """

    tenant_id: str
    sync_id: str
    name: str
    kind: Kind
    payload: bytes
    attempts: int = 0
    not_before: datetime | None = None
    claimed_until: datetime | None = None
    claimed_by: str = ""
    claims: int = 0
    etag: str | None = None

    @property
    def is_deadly(self) -> bool:
        """Whether it is given up, since so many workers have died or failed over it."""
        return self.claims > MAX_CLAIMS

    def is_due(self, now: datetime) -> bool:
        """Whether it need not wait any longer, and nobody is at it."""
        waits = self.not_before is not None and now < self.not_before
        claimed = self.claimed_until is not None and now < self.claimed_until <= now + CLAIM + CLOCK_ALLOWANCE
        return not waits and not claimed


def new_sync_id(now: datetime) -> str:
    """An id for a pass that is asked for now."""
    return f"{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def pass_row_name(sync_id: str) -> str:
    """The row key of a pass."""
    return f"pass|{sync_id}"


def todo_row_name(sync_id: str, name: str) -> str:
    """The row key of a piece of work."""
    return f"todo|{sync_id}|{name}"


def tenant_row(tenant_id: str, tenant: Tenant) -> dict[str, Any]:
    """The tenant's row."""
    return {
        "PartitionKey": tenant_id,
        "RowKey": TENANT_ROW,
        "watermark": tenant.watermark,
        "basis": tenant.basis,
        "running": tenant.running,
    }


def tenant_from(row: Row, etag: str) -> Tenant:
    """The inverse of :func:`tenant_row`."""
    return Tenant(row["watermark"], row["basis"], row["running"], etag)


def pass_row(sync: Pass) -> dict[str, Any]:
    """The pass's row."""
    return {
        "PartitionKey": sync.tenant_id,
        "RowKey": pass_row_name(sync.sync_id),
        "full": sync.full,
        "basis": sync.basis,
        "startedOn": to_iso(sync.started_on),
        "movedOn": to_iso(sync.moved_on),
        "endedOn": _text(sync.ended_on),
        "since": sync.since,
        "state": str(sync.state),
        "token": sync.token,
        "storeTime": _text(sync.store_time),
        "candidate": sync.candidate,
        "listed": sync.listed,
        "restarts": sync.restarts,
        "tally": msgspec.json.encode(sync.tally),
        "reason": sync.reason,
        "joined": sync.joined,
    }


def pass_from(tenant_id: str, row: Row, etag: str) -> Pass:
    """The inverse of :func:`pass_row`."""
    return Pass(
        tenant_id=tenant_id,
        sync_id=row["RowKey"].partition("|")[2],
        full=row["full"],
        basis=row["basis"],
        started_on=from_iso(row["startedOn"]),
        moved_on=from_iso(row["movedOn"]),
        ended_on=_time(row["endedOn"]),
        since=row["since"],
        state=State(row["state"]),
        token=row["token"],
        store_time=_time(row["storeTime"]),
        candidate=row["candidate"],
        listed=row["listed"],
        restarts=row["restarts"],
        tally=tally_from(row["tally"]),
        reason=row["reason"],
        joined=row["joined"],
        etag=etag,
    )


def todo_row(todo: Todo) -> dict[str, Any]:
    """The row of a piece of work."""
    return {
        "PartitionKey": todo.tenant_id,
        "RowKey": todo_row_name(todo.sync_id, todo.name),
        "kind": str(todo.kind),
        "attempts": todo.attempts,
        "notBefore": _text(todo.not_before),
        "claimedUntil": _text(todo.claimed_until),
        "claimedBy": todo.claimed_by,
        "claims": todo.claims,
        **pack("payload", todo.payload),
    }


def todo_from(row: Row, etag: str | None = None) -> Todo:
    """The inverse of :func:`todo_row`; without a payload where that was not read."""
    _, sync_id, name = row["RowKey"].split("|", 2)
    return Todo(
        tenant_id=row["PartitionKey"],
        sync_id=sync_id,
        name=name,
        kind=Kind(row["kind"]),
        payload=unpack("payload", row) if "payload0" in row else b"",
        attempts=row["attempts"],
        not_before=_time(row["notBefore"]),
        # Rows of before there were claims have no such property.
        claimed_until=_time(row.get("claimedUntil") or ""),
        claimed_by=row.get("claimedBy") or "",
        claims=row.get("claims") or 0,
        etag=etag,
    )


def tally_from(counted: bytes) -> Tally:
    """The counts of a row."""
    return msgspec.json.decode(counted, type=Tally)


def _text(moment: datetime | None) -> str:
    return to_iso(moment) if moment else ""


def _time(text: str) -> datetime | None:
    return from_iso(text) if text else None
