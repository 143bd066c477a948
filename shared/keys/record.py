"""What is kept of one player, and how it is written as a table row. Pure."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from shared.auth.tokens import StoreIdKind
from shared.clock import from_iso, to_iso
from shared.keys.status import Status
from shared.storage.rows import Row
from shared.storage.sealing import Sealed

SHARDS = 64
"""Partitions over which players are spread. Each takes 2,000 row operations a second (Azure Tables)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKey:
    """One key.

    ``duty_on`` is when something must next be done about it: a renewal or, where ``unannounced``, telling the owner
    that it is dead. ``attempts`` counts failures in a row; ``doubted`` says that it was once refused together with all
    others, and asked for again.
    """

    status: Status
    issued_on: datetime
    expires_on: datetime
    renew_after: datetime
    sealed: Sealed | None
    duty_on: datetime | None
    attempts: int = 0
    unannounced: bool = False
    doubted: bool = False

    def status_at(self, now: datetime) -> Status:
        """The status, which expiry changes whether or not a worker has come by."""
        return Status.EXPIRED if self.status is Status.ACTIVE and self.expires_on <= now else self.status


@dataclass(frozen=True, slots=True)
class Record:
    """A player's keys.

    ``filed_under`` is the row key of the copy in the due index, if it has one. ``etag`` is that of the player's own
    row where the record was read from there.
    """

    user_id: str
    keys: Mapping[StoreIdKind, StoredKey] = field(default_factory=dict)
    filed_under: str | None = None
    etag: str | None = None

    @property
    def duty_on(self) -> datetime | None:
        """When the first of its keys has a duty."""
        return min((key.duty_on for key in self.keys.values() if key.duty_on), default=None)

    def with_key(self, kind: StoreIdKind, key: StoredKey) -> "Record":
        """The same record with one key put in place."""
        return replace(self, keys={**self.keys, kind: key})

    def without_key(self, kind: StoreIdKind) -> "Record":
        """The same record without one kind of key."""
        return replace(self, keys={held: key for held, key in self.keys.items() if held is not kind})


def shard_of(user_id: str) -> str:
    """The partition of a player: two hexadecimal digits."""
    return f"{hashlib.sha256(user_id.encode()).digest()[0] % SHARDS:02x}"


def row_name(user_id: str) -> str:
    """A player's id in characters that a row key may hold."""
    return base64.urlsafe_b64encode(user_id.encode()).decode().rstrip("=")


def to_properties(record: Record) -> dict[str, Any]:
    """The record's properties; one group a kind, named ``collectionsStatus`` and so on.

    What says nothing (no attempts, not doubted) is left out: each property has its price in every transaction.
    """
    properties: dict[str, Any] = {"userId": record.user_id}
    if record.filed_under:
        properties["filedUnder"] = record.filed_under
    for kind, key in record.keys.items():
        properties |= {
            f"{kind}Status": str(key.status),
            f"{kind}IssuedOn": to_iso(key.issued_on),
            f"{kind}ExpiresOn": to_iso(key.expires_on),
            f"{kind}RenewAfter": to_iso(key.renew_after),
        }
        exceptional = {
            "DutyOn": to_iso(key.duty_on) if key.duty_on else None,
            "Attempts": key.attempts,
            "Unannounced": key.unannounced,
            "Doubted": key.doubted,
        }
        properties |= {f"{kind}{name}": value for name, value in exceptional.items() if value}
        if key.sealed:
            properties |= {f"{kind}Sealed": key.sealed.data, f"{kind}KeyVersion": key.sealed.key_version}
    return properties


def from_row(row: Row, etag: str | None = None) -> Record:
    """The inverse of :func:`to_properties`."""
    keys = {kind: _key(row, kind) for kind in StoreIdKind if f"{kind}Status" in row}
    return Record(row["userId"], keys, row.get("filedUnder"), etag)


def _key(row: Row, kind: StoreIdKind) -> StoredKey:
    data = row.get(f"{kind}Sealed")
    duty_on = row.get(f"{kind}DutyOn")
    return StoredKey(
        status=Status(row[f"{kind}Status"]),
        issued_on=from_iso(row[f"{kind}IssuedOn"]),
        expires_on=from_iso(row[f"{kind}ExpiresOn"]),
        renew_after=from_iso(row[f"{kind}RenewAfter"]),
        sealed=Sealed(data, row[f"{kind}KeyVersion"]) if data is not None else None,
        duty_on=from_iso(duty_on) if duty_on else None,
        attempts=row.get(f"{kind}Attempts", 0),
        unannounced=row.get(f"{kind}Unannounced", False),
        doubted=row.get(f"{kind}Doubted", False),
    )
