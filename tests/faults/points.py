"""Where the app can die: at every await. The points are those that a run crosses; nobody lists them.

``sys.monitoring`` tells whenever a coroutine of ours gives way to the event loop (``out``) and whenever it goes on
(``back``). A process changes the world by requests alone, and each is made between two such moments: it is in flight
at the first ``out`` of its await, and answered at the ``back``. To die at all of these is to die before and after each
storage request, each message and each call to the Store.

A point is named by the chain of our coroutines that await each other, with their lines; ``#2`` is the second time
that the same await gives way. Every crossing is a line in the report: the last one is where the process died.
"""

import asyncio
import inspect
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from weakref import WeakKeyDictionary

MOST_OF_AN_AWAIT = 2
"""Times that one await gives way which are told apart."""

_OF_THE_HOST = {"Poller._process", "Lease.delete"}
"""A message is deleted by the host: a commit point, too."""

_EVENTS = sys.monitoring.events
_TOOL = 4


@dataclass(frozen=True)
class Aim:
    """Die at the ``number``-th crossing of the point ``name``."""

    name: str
    number: int


@dataclass(slots=True)
class _Await:
    """The await at which a task stands."""

    chain: str = ""
    times: int = 0
    is_out: bool = False


class Points:
    """Watches this process from :meth:`watch` on."""

    def __init__(self, root: Path, report: Path, aim: Aim | None) -> None:
        self._ours = (f"{root / 'shared'}{os.sep}", f"{root / 'functions'}{os.sep}")
        self._hosts = f"{root / 'local' / 'host'}{os.sep}"
        self._report = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._aim = aim
        self._left = aim.number if aim else 0
        self._awaits: WeakKeyDictionary[asyncio.Task[object], _Await] = WeakKeyDictionary()

    def watch(self) -> None:
        """Begin."""
        sys.monitoring.use_tool_id(_TOOL, "points")
        for event, callback in (
            (_EVENTS.PY_YIELD, self._gave_way),
            (_EVENTS.PY_RESUME, self._went_on),
            (_EVENTS.PY_THROW, self._went_on),
        ):
            sys.monitoring.register_callback(_TOOL, event, callback)
        sys.monitoring.set_events(_TOOL, _EVENTS.PY_YIELD | _EVENTS.PY_RESUME | _EVENTS.PY_THROW)

    def _gave_way(self, code: CodeType, _: int, __: object) -> object:
        if not self._is_point(code):
            return sys.monitoring.DISABLE
        at = self._await()
        if at is None or at.is_out:
            return None  # the innermost coroutine has told it; those that await it follow
        chain = self._chain(sys._getframe(1))
        at.times = at.times + 1 if chain == at.chain else 1
        at.chain, at.is_out = chain, True
        self._crossed(at, "out")
        return None

    def _went_on(self, code: CodeType, _: int, thrown: object = None) -> object:
        if not self._is_point(code):
            return None if thrown else sys.monitoring.DISABLE
        at = self._await()
        if at and at.is_out:
            at.is_out = False
            self._crossed(at, "back")
        return None

    def _is_point(self, code: CodeType) -> bool:
        if not code.co_flags & inspect.CO_COROUTINE:
            return False
        if code.co_filename.startswith(self._hosts):
            return code.co_qualname in _OF_THE_HOST
        return code.co_filename.startswith(self._ours)

    def _await(self) -> _Await | None:
        try:
            task = asyncio.current_task()
        except RuntimeError:
            return None
        return self._awaits.setdefault(task, _Await()) if task else None

    def _chain(self, frame: FrameType | None) -> str:
        names: list[str] = []
        while frame:
            if self._is_point(frame.f_code):
                names.append(f"{frame.f_code.co_qualname}:{frame.f_lineno}")
            frame = frame.f_back
        return " > ".join(reversed(names))

    def _crossed(self, at: _Await, way: str) -> None:
        name = f"{at.chain} #{min(at.times, MOST_OF_AN_AWAIT)} {way}"
        os.write(self._report, f"{name}\n".encode())
        if self._aim and name == self._aim.name:
            self._left -= 1
            if not self._left:
                os.kill(os.getpid(), signal.SIGKILL)
