"""The file of the books: read at start, written whole and atomically, never on the path of a request."""

import asyncio
import time
from pathlib import Path

import msgspec

from local.emulator.market.records import BOOKS_VERSION, BooksRecord
from local.emulator.persistence import StateError, write_private

SHORTEST_DELAY_SECONDS = 0.5

SHARE = 25
"""A write may take one part in so many of the time: the bigger the books, the less often they are written."""


class BooksFile:
    """Holds the :class:`BooksRecord` and keeps its file in step. A crash can lose the last moments."""

    def __init__(self, path: Path) -> None:
        """Load ``path``, or begin empty books when it does not exist.

        :raises StateError: the file is not of this version.
        """
        self.path = path
        self.record = _load(path) if path.exists() else BooksRecord()
        self._pending: asyncio.TimerHandle | None = None
        self._delay = SHORTEST_DELAY_SECONDS
        self._changed = False

    def touch(self) -> None:
        """Note a change; must be called on the event loop. Many changes make one write."""
        self._changed = True
        if self._pending is None:
            self._pending = asyncio.get_running_loop().call_later(self._delay, self._save)

    def close(self) -> None:
        """Write what is not written, and cancel what was planned."""
        if self._pending is not None:
            self._pending.cancel()
        if self._changed:
            self._save()

    def _save(self) -> None:
        started = time.perf_counter()
        self._pending, self._changed = None, False
        write_private(self.path, msgspec.json.encode(self.record))
        self._delay = max(SHORTEST_DELAY_SECONDS, SHARE * (time.perf_counter() - started))


def _load(path: Path) -> BooksRecord:
    try:
        record = msgspec.json.decode(path.read_bytes(), type=BooksRecord)
    except msgspec.DecodeError as error:
        raise StateError(f"{path} is not the Store's books ({error}); remove it to start afresh") from error
    if record.version != BOOKS_VERSION:
        found = f"version {record.version}, expected {BOOKS_VERSION}"
        raise StateError(f"{path} was written by another version of the emulator ({found}); remove it to start afresh")
    return record
