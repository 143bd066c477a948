"""Logging to stderr: one line a record, ``time level logger [invocation/function] message``; a traceback follows it."""

import asyncio
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import override

from local.host import library
from local.host.config import level

running: dict[str, str] = {}
"""Function name by invocation id, of every invocation that runs now."""

# What these write at their lower levels are the headers and addresses of every call.
_QUIET = ("azure.core.pipeline", "azure.storage")


class _Formatter(logging.Formatter):
    @override
    def format(self, record: logging.LogRecord) -> str:
        invocation = getattr(record, "invocation", None) or library.invocation_id.get()
        function = getattr(record, "function", None) or running.get(invocation, "-")
        where = f" [{invocation}/{function}]" if invocation else ""
        time = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        message = record.getMessage().replace("\n", " | ")
        line = f"{time}Z {record.levelname} {record.name}{where} {message}"
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        detail = getattr(record, "detail", None)
        return f"{line}\n{detail}" if detail else line


def told(task: "asyncio.Task[None]") -> None:
    """Logs what ended a task of the host itself: for ``add_done_callback``, so that none dies in silence."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logging.getLogger("local.host").critical("%s ended: %r", task.get_name(), error, exc_info=error)


def _not_told_twice(record: logging.LogRecord) -> bool:
    """The library logs a failed invocation without saying whose; ``invocations`` logs it with all that is known."""
    return not record.getMessage().startswith("Native invocation failed")


def configure(levels: Mapping[str, int], overriding: str | None = None) -> None:
    """Sets the levels of ``host.json``; ``overriding`` is the root's in place of ``default``."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level(overriding) if overriding else levels.get("default", logging.INFO))
    for name, value in levels.items():
        if name != "default":
            logging.getLogger(name).setLevel(value)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("azure.functions").addFilter(_not_told_twice)
    logging.captureWarnings(capture=True)
