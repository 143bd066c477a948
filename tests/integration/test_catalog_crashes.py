"""The host is killed at each stage of a pass, and kept small: with a storage account that no other app works on."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from local import azurite
from local.control import Control
from local.stack import Servers
from shared.secret import Secret
from shared.settings import StorageAccount
from shared.storage.account import Account
from shared.wiring import Wiring
from tests.support.app import App, Headers, Storage, started
from tests.support.cataloguing import Cataloguing, Open, as_json, keys_of
from tests.support.polling import eventually

LANGUAGES = ("en-us",)
SETTINGS = {
    "CATALOG_LANGUAGES": ",".join(LANGUAGES),
    "CATALOG_SYNC_SCHEDULE": "0 0 0 1 1 *",
    "SWEEP_SCHEDULE": "0 0 0 1 1 *",
}
TENANT = "northwind"
SIZE = 300 * 1024 * 1024
LIMIT = 256 * 1024 * 1024
HELD_UP = {"latencyMs": 20_000}


@pytest.fixture(scope="module")
async def account(wiring: Wiring, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Account, Storage]]:
    """A storage account of this module's own."""
    async with azurite.running(log=tmp_path_factory.mktemp("catalog") / "azurite.log") as server:
        connection_string = server.connection_string
        account = Account(StorageAccount(Secret(connection_string), None), wiring.core.storage_identity)
        yield account, Storage(connection_string)
        await account.close()


@pytest.fixture
async def settings(account: tuple[Account, Storage]) -> dict[str, str]:
    """Those of an app on that account."""
    return SETTINGS | {"AzureWebJobsStorage": account[1].connection_string}


@pytest.fixture
async def catalogue(opened: Open, account: tuple[Account, Storage]) -> Cataloguing:
    """The app's own catalogue of the smallest tenant."""
    return await opened(TENANT, name="catalog", prefix="", languages=LANGUAGES, account=account[0])


@pytest.mark.parametrize(
    ("service", "path"), [("business", "/V1/Inventory$"), ("business", "/LocalizedDetails/"), ("cdn", "")]
)
async def test_a_pass_survives_its_host(
    stack: Servers,
    control: Control,
    catalogue: Cataloguing,
    account: tuple[Account, Storage],
    settings: dict[str, str],
    service: str,
    path: str,
) -> None:
    await control.change_business_products(catalogue.tenant_id, count=4, renew=["details", "artwork"])
    fault = await control.disturb(service, HELD_UP, path=path)

    async def reached() -> bool:
        return any(each["id"] == fault and each["applied"] for each in await control.faults())

    async with started(stack, "catalog-killed", settings) as app:
        operator = await app.operator()
        address = await begun(app, operator, catalogue)
        await eventually(reached)
        await app.server.kill()
    await control.calm()
    await account[1].free_leases("catalog")
    await catalogue.forget_claims()

    async with started(stack, "catalog-again", settings) as app:
        assert (await state(app, operator, address))["status"] == "running"

        # Whoever asks again has what the dead one left announced again, as the sweeper would in some minutes.
        assert await begun(app, operator, catalogue) == address
        found = await ended(app, operator, address)

    assert found["status"] == "completed", found
    await catalogue.equals_truth()
    events = [each for each in await account[1].told() if address.rpartition("/")[2] in str(each)]
    assert len(events) == 1


async def test_a_big_package_goes_through_a_small_process(
    stack: Servers, control: Control, catalogue: Cataloguing, settings: dict[str, str]
) -> None:
    (key,) = keys_of(
        await control.add_business_products(
            catalogue.tenant_id, 1, licenseType="offline", packagesPerProduct=1, packageSize=SIZE, images=False
        )
    )
    async with started(stack, "catalog-small", settings) as app:
        operator = await app.operator()
        found = await ended(app, operator, await begun(app, operator, catalogue))
        peak = _peak_memory(app.server.pid)
        query = {"tenantId": catalogue.tenant_id}
        address = f"/catalog/products/{key.product_id}/{key.sku_id}"
        page = (await app.http.get(address, headers=operator, params=query)).json()

    # So that no other test downloads it.
    await control.change_business_products(catalogue.tenant_id, products=[as_json(key)], removed=True)
    assert found["downloadedBytes"] >= SIZE
    assert [each["held"] for each in page["packages"]] == [True]
    assert peak < LIMIT


async def begun(app: App, operator: Headers, catalogue: Cataloguing) -> str:
    """The address of a pass that was begun, or ran already."""
    answer = await app.http.post("/catalog/syncs", headers=operator, json={"tenantId": catalogue.tenant_id})
    assert answer.status_code == 202, answer.text
    return answer.headers["location"].removeprefix("/api")


async def state(app: App, operator: Headers, address: str) -> dict[str, Any]:
    answer = await app.http.get(address, headers=operator)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def ended(app: App, operator: Headers, address: str) -> dict[str, Any]:
    """The pass, once it has ended."""

    async def over() -> dict[str, Any] | None:
        found = await state(app, operator, address)
        return found if found["status"] != "running" else None

    return await eventually(over, 60)


def _peak_memory(pid: int) -> int:
    """Bytes that a process had in memory at most."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))) * 1024
