"""A bounded record of the requests that the emulated services received. Never bodies, tokens, keys or query strings."""

import re
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from sys import intern
from typing import NamedTuple

ENTRIES_KEPT = 200_000

DROPPED = 0
"""Status of a request whose connection a fault closed without an answer."""


class Entry(NamedTuple):
    """One answered request. ``time`` is the epoch second of its arrival, ``template`` the route's path pattern."""

    seq: int
    time: float
    service: str
    method: str
    path: str
    template: str
    status: int
    client_id: str | None
    duration_ms: float
    user_agent: str | None
    correlation_id: str | None

    def as_json(self) -> dict[str, object]:
        """Return the entry as the control API shows it; ``time`` in ISO 8601 UTC."""
        return {
            "seq": self.seq,
            "time": datetime.fromtimestamp(self.time, UTC).isoformat(),
            "service": self.service,
            "method": self.method,
            "path": self.path,
            "status": self.status,
            "clientId": self.client_id,
            "durationMs": round(self.duration_ms, 3),
            "userAgent": self.user_agent,
            "correlationId": self.correlation_id,
        }


@dataclass(frozen=True)
class Filter:
    """Which entries are wanted; ``since`` is the last ``seq`` already seen."""

    service: str | None = None
    path: re.Pattern[str] | None = None
    method: str | None = None
    since: int = 0

    def matches(self, entry: Entry) -> bool:
        """Say whether the entry is wanted."""
        return (
            entry.seq > self.since
            and (self.service is None or entry.service == self.service)
            and (self.method is None or entry.method == self.method)
            and (self.path is None or self.path.search(entry.path) is not None)
        )


class RequestLog:
    """The last ``ENTRIES_KEPT`` requests in order of their end; ``seq`` keeps rising when the log is cleared."""

    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=ENTRIES_KEPT)
        self.last_seq = 0

    def add(
        self,
        *,
        time: float,
        service: str,
        method: str,
        path: str,
        template: str,
        status: int,
        client_id: str | None,
        duration_ms: float,
        user_agent: str | None,
        correlation_id: str | None,
    ) -> None:
        """Append one entry."""
        self.last_seq += 1
        self._entries.append(
            Entry(
                self.last_seq,
                time,
                service,
                method,
                # The same few paths and clients fill the log; one copy of each keeps 200,000 entries small.
                intern(path),
                template,
                status,
                client_id,
                duration_ms,
                None if user_agent is None else intern(user_agent),
                correlation_id,
            )
        )

    def select(self, wanted: Filter) -> Iterator[Entry]:
        """Yield the matching entries, oldest first."""
        # Numbers have no gaps, so the entries that were seen before need no look.
        seen = max(0, wanted.since - self._entries[0].seq + 1) if self._entries else 0
        return (entry for entry in islice(self._entries, seen, None) if wanted.matches(entry))

    def summary(self) -> list[dict[str, object]]:
        """Return ``[{"service", "method", "path", "status", "count"}]`` by route template, in alphabetical order."""
        counts = Counter((entry.service, entry.method, entry.template, entry.status) for entry in self._entries)
        return [
            {"service": service, "method": method, "path": path, "status": status, "count": count}
            for (service, method, path, status), count in sorted(counts.items())
        ]

    def clear(self) -> None:
        """Forget all entries."""
        self._entries.clear()
