"""One emulator for each test module: modules can rotate and break what they like."""

import uuid
from collections.abc import AsyncIterator

import pytest

from local.control import Control
from tests.emulator.market import Market
from tests.emulator.tenants import Tenant
from tests.emulator.world import World, running


@pytest.fixture(scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with running(tmp_path_factory.mktemp("emulator") / "state.json") as world:
        yield world


@pytest.fixture(scope="module")
async def control(world: World) -> AsyncIterator[Control]:
    control = Control(world.url, world.ca)
    yield control
    await control.close()


@pytest.fixture(scope="module")
async def contoso(world: World) -> Tenant:
    return await Tenant.named(world, "contoso")


@pytest.fixture
def player() -> str:
    return f"player-{uuid.uuid4()}"


@pytest.fixture
async def store_as_at_first(market: Market) -> AsyncIterator[None]:
    """For a module with a market: what a test sets is unset after it."""
    yield
    await market.store.reset()
