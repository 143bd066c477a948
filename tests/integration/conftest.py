"""One Azurite, one emulator and one app for all integration tests; where a server is missing, the tests fail."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from local.control import Control
from local.stack import Servers, servers
from shared.settings import Settings
from shared.wiring import Wiring
from tests.support.app import App, Storage, started
from tests.support.cataloguing import Cataloguing, Open, tenant_id
from tests.support.keeping import Keeping
from tests.support.trusting import trusted


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Servers]:
    """Azurite and the emulator."""
    async with servers(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="session")
def storage(stack: Servers) -> Storage:
    """The storage account of every app here."""
    return Storage(stack.azurite.connection_string)


@pytest.fixture(scope="session")
async def app(stack: Servers) -> AsyncIterator[App]:
    """The app that every test may use and none may break."""
    async with started(stack, "app") as running:
        yield running


@pytest.fixture
async def control(stack: Servers) -> AsyncIterator[Control]:
    """The emulator's control API; what a test disturbs is calm again after it."""
    yield stack.control
    await stack.control.calm()


@pytest.fixture(scope="module")
async def wiring(stack: Servers) -> AsyncIterator[Wiring]:
    """The app's parts in this process, against the real servers."""
    values = await stack.control.settings() | {"AzureWebJobsStorage": stack.azurite.connection_string}
    with trusted(values["SSL_CERT_FILE"]) as environment:
        for name, value in values.items():
            if name.startswith("AZURE_"):
                environment.setenv(name, value)
        parts = Wiring(Settings.load(values))
        yield parts
        await parts.close()


@pytest.fixture
def keeping(wiring: Wiring, control: Control, storage: Storage) -> Keeping:
    """The keeping of keys with a table, queues and a clock of its own."""
    return Keeping(wiring, control, storage)


@pytest.fixture
async def opened(
    wiring: Wiring, control: Control, storage: Storage, request: pytest.FixtureRequest
) -> AsyncIterator[Open]:
    """Opens the catalogue of a tenant, in a table and containers of its own."""
    catalogues: list[Cataloguing] = []
    of_all = "files-of-all-" if request.node.get_closest_marker("files_of_all") else None

    async def open_one(tenant: str, /, **options: Any) -> Cataloguing:
        options.setdefault("prefix", of_all)
        catalogues.append(Cataloguing(wiring, control, storage, await tenant_id(control, tenant), **options))
        return catalogues[-1]

    yield open_one
    await control.set_address_lifetime(600)
    for each in catalogues:
        await each.close()


@pytest.fixture
async def catalogue(opened: Open) -> Cataloguing:
    """The catalogue of the smallest tenant."""
    return await opened("northwind")
