"""One Azurite for all tests of the local host."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from local import azurite
from tests.host.hosts import Hosts


@pytest_asyncio.fixture(scope="session")
async def hosts(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Hosts]:
    directory = tmp_path_factory.mktemp("hosts")
    async with azurite.running(log=directory / "azurite.log") as storage:
        yield Hosts(directory, storage.connection_string)


@pytest_asyncio.fixture(scope="session")
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=15)) as session:
        yield session
