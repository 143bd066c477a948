"""The catalogue as the app does it: routes, queues, crashes of the whole host."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import azurite
from local.control import Control
from local.stack import Servers
from shared.store.models.business import ProductKey
from tests.support.app import App, Headers, Storage, problem, started
from tests.support.cataloguing import Cataloguing, Open, tenant_id
from tests.support.polling import eventually

LANGUAGES = ("en-us", "fr-fr")
SETTINGS = {
    "CATALOG_LANGUAGES": ",".join(LANGUAGES),
    "CATALOG_SYNC_SCHEDULE": "0 0 0 1 1 *",
    "SWEEP_SCHEDULE": "0 0 0 1 1 *",
}
SMALL = "northwind"
OWN = {"name": "catalog", "prefix": "", "languages": LANGUAGES}
"""The app's own table and containers."""


@pytest.fixture(scope="module")
async def catalog_app(stack: Servers) -> AsyncIterator[App]:
    """An app of this module's own: it may be killed."""
    async with started(stack, "catalog", SETTINGS) as running:
        yield running


@pytest.fixture
async def operator(catalog_app: App) -> Headers:
    return await catalog_app.operator()


@pytest.fixture
async def synced(catalog_app: App, operator: Headers, opened: Open) -> Cataloguing:
    """The smallest tenant's catalogue, in step."""
    catalogue = await opened(SMALL, **OWN)
    await ended(catalog_app, operator, await begun(catalog_app, operator, catalogue.tenant_id))
    return catalogue


async def begun(app: App, operator: Headers, tenant: str | None = None, **options: Any) -> str:
    """The address of a pass that was begun, or ran already."""
    body = options | ({"tenantId": tenant} if tenant else {})
    answer = await app.http.post("/catalog/syncs", headers=operator, json=body)
    assert answer.status_code == 202, answer.text
    return answer.headers["location"].removeprefix("/api")


async def state(app: App, operator: Headers, address: str) -> dict[str, Any]:
    answer = await app.http.get(address, headers=operator)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def ended(app: App, operator: Headers, address: str, status: str = "completed") -> dict[str, Any]:
    """The pass, once it has ended as it should."""

    async def over() -> dict[str, Any] | None:
        found = await state(app, operator, address)
        return found if found["status"] != "running" else None

    found = await eventually(over, 60)
    assert found["status"] == status, found
    return found


class TestRoutes:
    """What an operator sees."""

    async def test_a_pass_tells_how_far_it_is(self, catalog_app: App, operator: Headers, synced: Cataloguing) -> None:
        found = await ended(catalog_app, operator, await begun(catalog_app, operator, synced.tenant_id, full=True))

        (tenant,) = found["tenants"]
        assert tenant["tenantId"] == synced.tenant_id
        assert found["seen"] == tenant["fetched"] == len(await synced.truth())
        assert found["pages"] == 1
        assert (found["failed"], found["downloadedBytes"]) == (0, 0)
        assert found["endedOn"]

    async def test_all_of_the_catalogue_is_listed_page_by_page(
        self, catalog_app: App, operator: Headers, synced: Cataloguing
    ) -> None:
        truth = {_pair(key): each for key, each in (await synced.truth()).items()}
        seen: list[dict[str, Any]] = []
        query: dict[str, Any] = {"tenantId": synced.tenant_id, "pageSize": 7, "language": "fr-fr"}
        while True:
            answer = await catalog_app.http.get("/catalog/products", headers=operator, params=query)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            assert len(page["products"]) <= 7
            seen += page["products"]
            if "continuationToken" not in page:
                break
            query["continuationToken"] = page["continuationToken"]

        assert [_of(each) for each in seen] == sorted(truth)
        for each in seen:
            expected = truth[_of(each)]
            entry, localized = expected["entry"], expected["localized"]
            assert each["lastModified"] == entry["lastModified"]
            assert each["seatCapacity"] == entry["seatCapacity"]
            assert each["name"] == (localized.get("fr-fr") or localized["en-us"])["displayName"]

    async def test_filters_filter(self, catalog_app: App, operator: Headers, synced: Cataloguing) -> None:
        entries = [each["entry"] for each in (await synced.truth()).values()]
        for name, field in (("licenseType", "licenseType"), ("status", "status")):
            for value in {each[field].capitalize() for each in entries}:
                query = {"tenantId": synced.tenant_id, "pageSize": 200, name: value}
                answer = await catalog_app.http.get("/catalog/products", headers=operator, params=query)
                expected = {_of(each["productKey"]) for each in entries if each[field].capitalize() == value}
                assert {_of(each) for each in answer.json()["products"]} == expected

        wanted = next(iter((await synced.truth()).values()))["localized"]["en-us"]["displayName"]
        query = {"tenantId": synced.tenant_id, "pageSize": 200, "search": wanted.swapcase()}
        answer = await catalog_app.http.get("/catalog/products", headers=operator, params=query)
        assert wanted in [each["name"] for each in answer.json()["products"]]

    async def test_a_product_is_shown_with_all_that_is_held_of_it(
        self, catalog_app: App, operator: Headers, synced: Cataloguing
    ) -> None:
        key, truth = await offline(synced)

        answer = await catalog_app.http.get(_address(key), headers=operator, params={"tenantId": synced.tenant_id})

        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page["details"]["packageFamilyName"] == truth["details"]["packageFamilyName"]
        assert [each["requestedLanguage"] for each in page["localized"]] == list(LANGUAGES)
        assert [each["fallback"] for each in page["localized"]] == [
            language not in truth["localized"] for language in LANGUAGES
        ]
        assert [each["packageId"] for each in page["packages"]] == [
            each["packageId"] for each in truth["packages"]["productPackages"]
        ]
        assert all(each["held"] for each in page["packages"])
        assert all(each["held"] for one in page["packages"] for each in one["frameworkDependencyPackages"])
        assert "licenseBlob" not in answer.text
        async with httpx.AsyncClient() as anyone:
            for image in page["localized"][0]["images"]:
                shown = await anyone.get(image["url"])
                assert shown.status_code == 200
                assert shown.headers["content-type"] == "image/png"
                assert len(shown.content) == image["fileSize"]
            assert (await anyone.delete(image["url"])).status_code == 403

    async def test_a_package_is_handed_out_with_its_hash(
        self, catalog_app: App, operator: Headers, synced: Cataloguing
    ) -> None:
        key, truth = await offline(synced)
        package = truth["packages"]["productPackages"][0]
        address = f"{_address(key)}/packages/{package['packageId']}/content"

        answer = await catalog_app.http.get(address, headers=operator, params={"tenantId": synced.tenant_id})

        assert answer.status_code == 302
        async with httpx.AsyncClient() as anyone:
            content = (await anyone.get(answer.headers["location"])).content
        assert len(content) == package["fileSize"]
        digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
        assert answer.headers["digest"] == f"sha-256={digest}"

    async def test_a_license_is_handed_out_in_the_clear_and_rests_sealed(
        self, catalog_app: App, operator: Headers, synced: Cataloguing, storage: Storage
    ) -> None:
        key, truth = await offline(synced)
        license_ = truth["licenses"][0]
        address = f"{_address(key)}/offline-licenses/{license_['contentId']}"

        answer = await catalog_app.http.get(address, headers=operator, params={"tenantId": synced.tenant_id})

        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json()["licenseBlob"] == license_["licenseBlob"]
        assert answer.json()["licenseInstanceId"] == license_["licenseInstanceId"]
        held = (await storage.everything()).values()
        assert not [each for each in held if license_["licenseBlob"].encode() in each]

    async def test_bad_questions_are_told_what_is_wrong_with_them(
        self, catalog_app: App, operator: Headers, synced: Cataloguing
    ) -> None:
        http, tenant = catalog_app.http, {"tenantId": synced.tenant_id}
        (key, _), online = await offline(synced), await an_online(synced)

        async def ask(address: str, **query: Any) -> httpx.Response:
            return await http.get(address, headers=operator, params=query)

        problem(await ask("/catalog/products"), 422, "?tenantId")
        problem(await ask("/catalog/products", tenantId="nobody"), 404)
        problem(await ask("/catalog/products", **tenant, licenseType="either"), 400, "?licenseType")
        problem(await ask("/catalog/products", **tenant, pageSize=0), 400, "?pageSize")
        problem(await ask("/catalog/products", **tenant, continuationToken="AAAA"), 400, "?continuationToken")
        problem(await ask("/catalog/products/9NOSUCHTHING/0010", **tenant), 404)
        problem(await ask(_address(key), **tenant, language="xx"), 400, "?language")
        problem(await ask(f"{_address(key)}/packages/none/content", **tenant), 404)
        problem(await ask(f"{_address(online)}/packages/none/content", **tenant), 409)
        problem(await ask(f"{_address(online)}/offline-licenses/none", **tenant), 409)
        problem(await ask(f"{_address(key)}/offline-licenses/none", **tenant), 404)
        problem(await ask("/catalog/syncs/none"), 404)
        problem(await http.post("/catalog/syncs", headers=operator, json={"tenantId": "nobody"}), 404)
        problem(await http.post("/catalog/syncs", headers=operator, json={"all": True}), 400, "")
        page = (await ask("/catalog/products", **tenant, pageSize=2)).json()
        other = await ask("/catalog/products", **tenant, status="Active", continuationToken=page["continuationToken"])
        problem(other, 400, "?continuationToken")

    async def test_it_is_for_operators(self, catalog_app: App) -> None:
        player = await catalog_app.player()

        for address in ("/catalog/products", "/catalog/syncs/1", "/catalog/products/a/b"):
            problem(await catalog_app.http.get(address, headers=player), 403)
            problem(await catalog_app.http.get(address), 401)

    async def test_what_it_depends_on_is_asked(self, catalog_app: App, operator: Headers, synced: Cataloguing) -> None:
        answer = await catalog_app.http.get("/health/ready", headers=operator)

        names = {each["name"]: each["status"] for each in answer.json()["checks"]}
        assert names["storage-blobs"] == names["store-business"] == names[f"entra {synced.tenant_id}"] == "ready"


class TestTenants:
    """Each alone."""

    async def test_one_whose_credential_is_wrong_fails_alone_and_says_why(
        self, stack: Servers, control: Control, tmp_path: Path
    ) -> None:
        right, wrong = await tenant_id(control, SMALL), await tenant_id(control, "fabrikam")
        configured = json.loads((await control.settings())["BUSINESS_TENANTS"])
        tenants = [each for each in configured if each["tenantId"] in {right, wrong}]
        next(each for each in tenants if each["tenantId"] == wrong)["credential"] = "secret:no-such-secret"
        # In an account of its own: another app that reads the same queues would have the right credential.
        async with azurite.running(log=tmp_path / "azurite.log") as own:
            account = {"AzureWebJobsStorage": own.connection_string, "BUSINESS_TENANTS": json.dumps(tenants)}
            found = await self._pass_of_an_app(stack, account)

        states = {each["tenantId"]: each for each in found["tenants"]}
        assert (states[right]["status"], states[wrong]["status"]) == ("completed", "failed")
        assert "no-such-secret" in states[wrong]["reason"]

    async def _pass_of_an_app(self, stack: Servers, account: dict[str, str]) -> dict[str, Any]:
        async with started(stack, "catalog-wrong", SETTINGS | account) as app:
            operator = await app.operator()
            return await ended(app, operator, await begun(app, operator), "completedWithFailures")

    async def test_a_message_for_a_tenant_that_nobody_configured_is_poison_with_its_reason(
        self, catalog_app: App, operator: Headers, storage: Storage
    ) -> None:
        message = '{"version":1,"tenantId":"nobody","syncId":"20260101T000000Z-00000000","todo":"listing"}'
        await storage.send("catalog-passes", message)

        async def told() -> list[str]:
            found = (await catalog_app.http.get("/poison", headers=operator)).json()["messages"]
            return [each["reason"] for each in found if each["content"] == message]

        (reason,) = await eventually(told)
        assert "nobody is not configured" in reason


async def offline(catalogue: Cataloguing) -> tuple[ProductKey, dict[str, Any]]:
    """An offline product of the tenant that has packages and artwork, and all the truth about it."""
    return next(
        (key, each)
        for key, each in (await catalogue.truth()).items()
        if each["entry"]["licenseType"].lower() == "offline"
        and each["entry"]["status"].lower() == "active"
        and each["packages"]["productPackages"]
        and each["localized"]["en-us"]["images"]
    )


async def an_online(catalogue: Cataloguing) -> ProductKey:
    return next(
        key for key, each in (await catalogue.truth()).items() if each["entry"]["licenseType"].lower() == "online"
    )


def _address(key: ProductKey) -> str:
    return f"/catalog/products/{key.product_id}/{key.sku_id}"


def _of(product: dict[str, Any]) -> tuple[str, str]:
    return product["productId"], product["skuId"]


def _pair(key: ProductKey) -> tuple[str, str]:
    return key.product_id, key.sku_id
