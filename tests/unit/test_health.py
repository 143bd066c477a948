"""Readiness: every dependency is reported, whatever the others do."""

import asyncio

import pytest

from shared import health
from shared.errors import UnavailableError


async def fine() -> None:
    await asyncio.sleep(0)


async def away() -> None:
    raise UnavailableError("vault", "is away")


async def silent() -> None:
    raise RuntimeError


async def hanging() -> None:
    await asyncio.sleep(3600)


async def test_each_dependency_is_reported_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "TIMEOUT", 0.05)

    findings = await health.examine({"d": hanging, "b": away, "c": silent, "a": fine})

    assert [(finding.name, finding.healthy, finding.detail) for finding in findings] == [
        ("a", True, ""),
        ("b", False, "vault: is away"),
        ("c", False, "RuntimeError"),
        ("d", False, "no answer in 0 seconds"),
    ]
    assert findings[3].milliseconds >= 50


async def test_dependencies_are_asked_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "TIMEOUT", 0.1)

    async with asyncio.timeout(1):
        assert len(await health.examine({str(number): hanging for number in range(50)})) == 50
