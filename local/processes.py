"""Child processes of a local run: started, waited for, stopped in order, never left behind.

A child writes to its own log file and runs in a session of its own, so that Ctrl-C in a terminal reaches the parent
alone and the parent stops its children in the order it knows to be right. Should the parent die without that chance,
Linux ends the child (``PR_SET_PDEATHSIG``); elsewhere ``atexit`` does what can be done.
"""

import asyncio
import atexit
import contextlib
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

READY = re.compile(r"^ready (\S+)$", re.MULTILINE)
"""What a server of this project prints once it serves."""

_POLL_SECONDS = 0.02
_DEADLINE_SECONDS = 60.0

# The child asks the kernel to be ended with its parent (with the thread that started it, to be exact: start servers
# from a thread that lasts, such as the main one), then becomes the command; the pid stays the same. Not done by
# ``preexec_fn``, which is unsafe in a process with threads.
_FOLLOW_PARENT = (
    "import ctypes, os, signal, sys\n"
    "ctypes.CDLL(None).prctl(1, signal.SIGTERM)\n"
    "sys.exit('the parent is gone') if os.getppid() != int(sys.argv[1]) else os.execvp(sys.argv[2], sys.argv[2:])\n"
)

_alive: dict[int, asyncio.subprocess.Process] = {}


class ServerError(RuntimeError):
    """A server did not start: which one, why, and the end of its log."""

    def __init__(self, name: str, reason: str, log: Path) -> None:
        super().__init__(f"{name} {reason}; the end of {log}:\n{tail(log)}")
        self.name = name
        self.log = log


@dataclass(slots=True)
class Server:
    """A running child that serves."""

    name: str
    process: asyncio.subprocess.Process
    url: str
    """Where it serves; what stood after ``ready`` in its log, or what the readiness check answered."""
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.returncode is None

    async def terminate(self, grace: float = 35.0) -> int:
        """Asks the child to end, ends it after ``grace`` seconds (the host drains for up to 30); its exit code."""
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace):
                await self.process.wait()
        except TimeoutError:
            self._signal(signal.SIGKILL)
        return await self._ended()

    async def kill(self) -> int:
        """Ends the child at once, as a crash would."""
        self._signal(signal.SIGKILL)
        return await self._ended()

    def tail(self, lines: int = 40) -> str:
        return tail(self.log, lines)

    def _signal(self, number: signal.Signals) -> None:
        if self.running:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    async def _ended(self) -> int:
        code = await self.process.wait()
        _alive.pop(self.process.pid, None)
        return code


type Check = Callable[[str], Awaitable[str | None]]
"""Given the log so far: where the server serves, or None while it does not yet."""


async def ready_line(log: str) -> str | None:
    """The usual readiness check: a line ``ready URL``."""
    found = READY.search(log)
    return found[1] if found else None


async def start(
    name: str,
    command: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    check: Check = ready_line,
    deadline: float = _DEADLINE_SECONDS,
) -> Server:
    """Starts ``command`` with its output in ``log`` (begun anew) and waits until it serves.

    :param env: the whole environment of the child; None hands ours on.
    :raises ServerError: it ended, or did not serve within ``deadline`` seconds; it is not left running.
    """
    process = await _spawn(command, log, env, cwd)
    server = Server(name, process, "", log)
    try:
        async with asyncio.timeout(deadline):
            server.url = await _served(server, check)
    except TimeoutError as error:
        await server.kill()
        raise ServerError(name, f"did not serve within {deadline:g} seconds", log) from error
    except BaseException:
        await server.kill()
        raise
    return server


async def _served(server: Server, check: Check) -> str:
    while True:
        running_before = server.running  # read first: what it said before it ended counts
        if url := await check(read_log(server.log)):
            return url
        if not running_before:
            code = server.process.returncode
            raise ServerError(server.name, f"ended with exit code {code} before it served", server.log)
        await asyncio.sleep(_POLL_SECONDS)


class _Stoppable(Protocol):
    async def terminate(self) -> object: ...


def as_context[**P, S: _Stoppable](start: Callable[P, Awaitable[S]]) -> Callable[P, AbstractAsyncContextManager[S]]:
    """What ``start`` starts, as a context: stopped on the way out, whatever the reason."""

    @asynccontextmanager
    async def running(*args: P.args, **options: P.kwargs) -> AsyncIterator[S]:
        server = await start(*args, **options)
        try:
            yield server
        finally:
            await server.terminate()

    return running


running = as_context(start)


async def finish(command: Sequence[str], *, log: Path, deadline: float = _DEADLINE_SECONDS) -> int:
    """Runs ``command`` to its end and returns its exit code: for commands that are expected to stop by themselves."""
    server = Server(command[0], await _spawn(command, log, None, None), "", log)
    try:
        async with asyncio.timeout(deadline):
            await server.process.wait()
    finally:
        await server.kill()
    return server.process.returncode if server.process.returncode is not None else -1


def tail(log: Path, lines: int = 40) -> str:
    """The last lines of a log; says so when there is none."""
    text = read_log(log).splitlines()
    return "\n".join(text[-lines:]) if text else "(the log is empty)"


async def _spawn(
    command: Sequence[str], log: Path, env: Mapping[str, str] | None, cwd: Path | None
) -> asyncio.subprocess.Process:
    arguments = list(command)
    if sys.platform == "linux":
        arguments = [sys.executable, "-I", "-S", "-c", _FOLLOW_PARENT, str(os.getpid()), *command]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=env,
            cwd=cwd,
            start_new_session=True,
        )
    _alive[process.pid] = process
    return process


def read_log(log: Path) -> str:
    """The whole log; empty when there is none."""
    try:
        return log.read_text("utf-8", errors="replace")
    except FileNotFoundError:
        return ""


@atexit.register
def _end_what_is_left() -> None:
    for pid, process in _alive.items():
        if process.returncode is None:  # not waited for yet, so the pid is still its own
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
