"""Servers for the tests that need no new ones."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from tests.faults.lives import Bench, bench


@pytest.fixture(scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    """Servers, and a gate before their storage."""
    async with bench(tmp_path_factory.mktemp("bench"), gated=True) as running:
        yield running


@pytest.fixture
async def gated(servers: Bench) -> AsyncIterator[Bench]:
    """The servers; what a test disturbs is calm again after it."""
    servers.clock.set(timedelta(0))
    yield servers
    servers.gate.loses = 0.0
    servers.gate.closed_for = lambda _: False
    await servers.control.calm()
