"""``host.json``: what of it the local host heeds, with Azure's defaults.

A setting ``AzureFunctionsJobHost__extensions__queues__batchSize`` overrides the value at that place, as in Azure.
"""

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from local.host.errors import StartError
from local.host.settings import read_json

MAX_BATCH = 32  # of the storage service
_OVERRIDE = "AzureFunctionsJobHost__"
_TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):([0-5]?\d)(?::([0-5]?\d(?:\.\d{1,7})?))?")
_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "information": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "none": logging.CRITICAL + 10,
}

type Encoding = Literal["base64", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSettings:
    """``extensions.queues``. Times in seconds."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    visibility_timeout: float = 0.0
    max_polling_interval: float = 60.0
    message_encoding: Encoding = "base64"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConfig:
    route_prefix: str = "api"
    queues: QueueSettings = QueueSettings()
    function_timeout: float | None = 1800.0
    """Seconds a function may run; None for ever."""
    log_levels: Mapping[str, int]
    """Python level by logger name; ``default`` is the root's."""


def load(file: Path) -> HostConfig:
    """Reads ``host.json``.

    :raises StartError: missing, malformed, or a value out of its range (named).
    """
    content = read_json(file, "host.json")
    if content.get("version") != "2.0":
        raise StartError(f'{file}: "version" must be "2.0"')
    for name in sorted(os.environ):
        if name.startswith(_OVERRIDE):
            _override(content, name.removeprefix(_OVERRIDE).split("__"), os.environ[name])
    return parse(content)


def parse(content: Mapping[str, Any]) -> HostConfig:
    """The configuration out of the content of ``host.json``.

    :raises StartError: a value is out of its range.
    """
    extensions = _object(content, "extensions")
    levels = _object(_object(content, "logging"), "logLevel")
    return HostConfig(
        route_prefix=str(_object(extensions, "http").get("routePrefix", "api")).strip("/"),
        queues=_queues(_object(extensions, "queues")),
        function_timeout=_timeout(content.get("functionTimeout", "00:30:00")),
        log_levels={"default": logging.INFO} | {name: level(value) for name, value in levels.items()},
    )


def level(name: object) -> int:
    """Python's level for a name of .NET's (``Information``) or of Python's own (``INFO``)."""
    text = str(name).lower()
    if text in _LEVELS:
        return _LEVELS[text]
    known = logging.getLevelNamesMapping().get(text.upper())
    if known is None:
        raise StartError(f"log level {name!r} is unknown; expected one of {', '.join(_LEVELS)}")
    return known


def time_span(text: object, where: str) -> float:
    """Seconds of a .NET TimeSpan: ``[days.]hh:mm[:ss[.fff]]``."""
    found = _TIME_SPAN.fullmatch(str(text))
    if found is None:
        raise StartError(f"{where}: {text!r} is no time span of the form hh:mm:ss")
    days, hours, minutes, seconds = found.groups(default="0")
    return (int(days) * 24 + int(hours)) * 3600.0 + int(minutes) * 60 + float(seconds)


def _queues(queues: Mapping[str, Any]) -> QueueSettings:
    batch = _integer(queues, "batchSize", 16, 1, MAX_BATCH)
    encoding = str(queues.get("messageEncoding", "base64")).lower()
    if encoding not in ("base64", "none"):
        raise StartError(f"host.json: extensions.queues.messageEncoding is {encoding!r}; expected base64 or none")
    polling = _span(queues, "maxPollingInterval", "00:01:00")
    if polling < 0.1:
        raise StartError("host.json: extensions.queues.maxPollingInterval must be at least 00:00:00.100")
    return QueueSettings(
        batch_size=batch,
        new_batch_threshold=_integer(queues, "newBatchThreshold", batch // 2, 0, 1000),
        max_dequeue_count=_integer(queues, "maxDequeueCount", 5, 1, 1000),
        visibility_timeout=_span(queues, "visibilityTimeout", "00:00:00"),
        max_polling_interval=polling,
        message_encoding="base64" if encoding == "base64" else "none",
    )


def _integer(queues: Mapping[str, Any], name: str, default: int, least: int, most: int) -> int:
    value = queues.get(name, default)
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = least - 1
    if not least <= number <= most:
        raise StartError(f"host.json: extensions.queues.{name} is {value!r}; expected {least} to {most}")
    return number


def _span(queues: Mapping[str, Any], name: str, default: str) -> float:
    return time_span(queues.get(name, default), f"host.json: extensions.queues.{name}")


def _timeout(value: object) -> float | None:
    return None if str(value) == "-1" else time_span(value, "host.json: functionTimeout")


def _object(parent: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = parent.get(name, {})
    if not isinstance(value, dict):
        raise StartError(f"host.json: {name} is not an object")
    return value


def _override(content: dict[str, Any], path: list[str], value: str) -> None:
    for part in path[:-1]:
        child = content.setdefault(part, {})
        if not isinstance(child, dict):
            raise StartError(f"the setting {_OVERRIDE}{'__'.join(path)} does not fit host.json")
        content = child
    content[path[-1]] = value
