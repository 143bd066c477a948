"""The state file: read at start, written whole and atomically, never on the path of a request."""

import asyncio
import os
from pathlib import Path

import msgspec

from local.emulator.seeds import add_business_tenants, first_state
from local.emulator.state import STATE_VERSION, State

SAVE_DELAY_SECONDS = 0.2


class StateError(Exception):
    """The state file exists but cannot be used; the text names the file and the way out."""


class StateFile:
    """Holds the :class:`State` and keeps its file in step.

    Changes are made in memory and announced with :meth:`touch`; the file follows within ``SAVE_DELAY_SECONDS`` and at
    :meth:`close`. A crash can therefore lose the last moments, which a developer's tool may.
    """

    def __init__(self, path: Path) -> None:
        """Load ``path``, or make the seeds of a first start when it does not exist.

        :raises StateError: the file is not a state of this version.
        """
        self.path = path
        self._pending: asyncio.TimerHandle | None = None
        if path.exists():
            self.state = _load(path)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.state = first_state()
        self._save()

    def touch(self) -> None:
        """Note a change; must be called on the event loop. Many changes make one write."""
        if self._pending is None:
            self._pending = asyncio.get_running_loop().call_later(SAVE_DELAY_SECONDS, self._save)

    def close(self) -> None:
        """Write now and cancel what was planned."""
        if self._pending is not None:
            self._pending.cancel()
        self._save()

    def _save(self) -> None:
        self._pending = None
        write_private(self.path, msgspec.json.encode(self.state))


def write_private(path: Path, content: bytes) -> None:
    """Write a file whole and atomically."""
    temporary = path.with_name(path.name + ".tmp")
    # The mode is given at creation: the file holds private keys and must never be readable by others, even briefly.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    temporary.replace(path)


def _load(path: Path) -> State:
    try:
        state = msgspec.json.decode(path.read_bytes(), type=State)
    except msgspec.DecodeError as error:
        raise StateError(f"{path} is not a state of this emulator ({error}); remove it to start afresh") from error
    if state.version != STATE_VERSION:
        found = f"version {state.version}, expected {STATE_VERSION}"
        raise StateError(f"{path} was written by another version of the emulator ({found}); remove it to start afresh")
    if not state.business_tenants:  # written before there was Store for Business
        add_business_tenants(state)
    return state
