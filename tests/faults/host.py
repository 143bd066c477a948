"""``python -m tests.faults.host``: lives of the local host, each a process of its own that dies where it is told to.

Everything is imported once, then each life is a fork of that: it starts in a tenth of a second. On stdin come orders,
one JSON object a line; on stdout go ``{"began": pid}`` in answer to each, and ``{"ended": pid}``. With stdin ends all.

The clock of the app is the machine's plus the seconds in the file that all lives map: a claim of 90 seconds has run
out when a test says so. Messages come back after seconds where Azure takes minutes.
"""

import argparse
import json
import mmap
import os
import signal
import struct
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

from local.host import settings

ROOT = Path(__file__).resolve().parents[2]
LEASE_SECONDS = 1
GRACE_SECONDS = 1.0
WINDOW_SECONDS = 1
"""How long a message of the clawback queue is hidden."""

CLOSING_SECONDS = 0.2
"""For how long the rows of what has ended are gathered."""

PUT_BACK_SECONDS = 1
"""For how long a message is hidden that found the tables away."""

_PARTS = (
    "function_app",
    "shared.wiring",
    "httpx",
    "azure.data.tables.aio",
    "azure.storage.queue.aio",
    "azure.identity.aio",
    "local.host.run",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.host")
    parser.add_argument("--settings", type=Path, required=True, metavar="FILE")
    parser.add_argument("--clock", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args()
    settings.load(arguments.settings)
    _bend_time(arguments.clock)
    for name in _PARTS:
        import_module(name)
    _serve()


def _bend_time(file: Path) -> None:
    with file.open("r+b") as opened:
        ahead = mmap.mmap(opened.fileno(), 8)

    def shifted() -> datetime:
        return datetime.now(UTC) + timedelta(seconds=struct.unpack("d", ahead[:8])[0])

    # Before anybody else has imported them: all take them from there.
    import_module("shared.clock").utc_now = shifted  # type: ignore[attr-defined]
    import_module("shared.ledger.closing").PAUSE = CLOSING_SECONDS  # type: ignore[attr-defined]
    import_module("shared.fulfillment.intake").PUT_BACK_FOR = PUT_BACK_SECONDS  # type: ignore[attr-defined]
    drain = import_module("shared.refunds.drain")
    drain.VISIBILITY, drain.MARGIN = WINDOW_SECONDS, WINDOW_SECONDS / 4  # type: ignore[attr-defined]


def _serve() -> None:
    lives: set[int] = set()
    signal.signal(signal.SIGCHLD, lambda *_: _bury(lives))
    for line in sys.stdin:
        # Nobody is buried before it is known to have begun.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        pid = os.fork()
        if pid == 0:
            _live(json.loads(line))
        lives.add(pid)
        _say(began=pid)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for pid in lives:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _bury(lives: set[int]) -> None:
    for pid in tuple(lives):
        with suppress(ChildProcessError):
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                lives.discard(pid)
                _say(ended=pid)


def _say(**fact: int) -> None:
    os.write(1, f"{json.dumps(fact)}\n".encode())


def _live(order: dict[str, Any]) -> None:
    from tests.faults.points import Aim, Points  # noqa: PLC0415 - here alone

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, target in ((0, nothing), (1, log), (2, log)):
        os.dup2(target, number)
    code = 1
    try:
        aim = Aim(**order["aim"]) if order["aim"] else None
        Points(ROOT, Path(order["report"]), aim).watch()
        run: Callable[..., int] = import_module("local.host.run").run
        code = run(app=ROOT, port=0, log_level=None, queue_lease_seconds=LEASE_SECONDS, grace_seconds=GRACE_SECONDS)
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stderr.flush()
        os._exit(code)  # whatever happens, it does not go on as the one that it was forked from


if __name__ == "__main__":
    main()
