"""Whether every dependency answers, and how fast."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from shared.correlation import get_logger

TIMEOUT = 10.0
"""Seconds that one dependency has to answer."""

type Probe = Callable[[], Awaitable[object]]

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Finding:
    """What a probe found. ``detail`` says what was wrong, and is empty where nothing was."""

    name: str
    healthy: bool
    milliseconds: float
    detail: str


async def examine(probes: Mapping[str, Probe]) -> list[Finding]:
    """Run all probes side by side, in the order of their names."""
    return list(await asyncio.gather(*(_probe(name, probes[name]) for name in sorted(probes))))


async def _probe(name: str, probe: Probe) -> Finding:
    started = time.perf_counter()
    detail = ""
    try:
        async with asyncio.timeout(TIMEOUT):
            await probe()
    except TimeoutError:
        detail = f"no answer in {TIMEOUT:.0f} seconds"
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one dependency, the others are still reported
        _log.warning("%s is not ready: %s", name, error)
        detail = str(error) or type(error).__name__
    return Finding(name, not detail, round((time.perf_counter() - started) * 1000, 1), detail)
