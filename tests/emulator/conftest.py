"""One emulator for each test module: modules can rotate and break what they like."""

from collections.abc import AsyncIterator

import pytest

from tests.emulator.world import World, running


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with running(tmp_path_factory.mktemp("emulator") / "state.json") as world:
        yield world
