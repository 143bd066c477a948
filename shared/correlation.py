"""The correlation id: from the caller or made here; on every log line, sent to the Store, returned to the caller."""

import logging
import re
import uuid
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

HEADER = "x-correlation-id"

_ACCEPTED = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_current: ContextVar[str] = ContextVar("correlation_id", default="-")


def current() -> str:
    """The id of the work that runs now; ``-`` outside of any."""
    return _current.get()


@contextmanager
def correlated(offered: str | None = None) -> Iterator[str]:
    """Run a block under ``offered``, or under a new id where the offer is absent or could forge log lines."""
    accepted = offered if offered and _ACCEPTED.fullmatch(offered) else str(uuid.uuid4())
    token = _current.set(accepted)
    try:
        yield accepted
    finally:
        _current.reset(token)


class _CorrelatedLogger(logging.LoggerAdapter[logging.Logger]):
    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return f"[{current()}] {msg}", kwargs


def get_logger(name: str) -> _CorrelatedLogger:
    """A logger whose every line opens with the correlation id."""
    return _CorrelatedLogger(logging.getLogger(name))
