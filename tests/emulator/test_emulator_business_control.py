"""Store for Business under control: the whole truth, products by the thousand, changes, and faults."""

import re
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from local.control import Control
from tests.emulator.tenants import Tenant, error, product
from tests.emulator.world import World


@pytest.fixture(autouse=True)
async def calm(control: Control) -> AsyncIterator[None]:
    yield
    await control.calm()


def without_signatures(text: str) -> str:
    return re.sub(r'\?e=\d+&s=[0-9a-f]+"', '"', text)


async def test_the_truth_is_what_the_service_says(control: Control, world: World) -> None:
    northwind = await Tenant.named(world, "northwind")
    entries = {product(entry): entry for entry in await northwind.inventory()}

    everything = await control.business_products("northwind")

    assert len(everything) == len(entries) == 40
    for known in everything:
        path = product(known)
        assert known["entry"] == entries[path]
        assert known["details"] == await northwind.body(f"/Products{path}")
        assert set(known["localized"]) == set(known["details"]["supportedLanguages"])
        for language, text in known["localized"].items():
            said = await northwind.get(f"/Products{path}/LocalizedDetails/{language}")
            assert httpx.Response(200, text=without_signatures(said.text)).json() == text
        if known["entry"]["status"] != "Removed":
            await same_as_owned(northwind, path, known)


async def same_as_owned(tenant: Tenant, path: str, known: dict[str, Any]) -> None:
    """Packages and licenses of an offline product, seats of an online one."""
    packages = await tenant.get(f"/Products{path}/Packages")
    assert httpx.Response(200, text=without_signatures(packages.text)).json() == known["packages"]
    for each in known["licenses"]:
        answer = await tenant.call("POST", f"/Products{path}/OfflineLicense/{each['contentId']}")
        assert answer.json() == each
    if known["entry"]["licenseType"].lower() == "online":
        pages = await tenant.pages(f"/Inventory{path}/Seats")
        assert [seat for page in pages for seat in page["seats"]] == known["seats"]


async def test_the_truth_in_parts(control: Control, contoso: Tenant) -> None:
    path = await contoso.add_online()
    _, product_id, sku_id = path.split("/")
    await contoso.bulk(path, "Assign", [contoso.user("ada")])

    one = await control.business_product("contoso", product_id, sku_id, "seats")
    by_id = await control.business_product(contoso.tenant_id, product_id, sku_id, "entry", "licenses")

    assert [seat["assignedTo"] for seat in one["seats"]] == [contoso.user("ada")]
    assert (set(one), set(by_id)) == (
        {"productKey", "vanished", "seats"},
        {"productKey", "vanished", "entry", "licenses"},
    )


async def test_products_to_measure(control: Control, contoso: Tenant) -> None:
    keys = await control.add_business_products(
        "contoso",
        30,
        licenseType="offline",
        packagesPerProduct=4,
        packageSize=12_345,
        images=False,
        languages=["de-de", "nl-nl"],
        enterpriseShare=0.5,
        capacity=9,
    )

    kinds = set()
    for key in keys:
        known = await control.business_product("contoso", key["productId"], key["skuId"])
        sizes = [package["fileSize"] for package in known["packages"]["productPackages"]]
        assert sizes == [12_345] * 4
        assert [text["images"] for text in known["localized"].values()] == [[], []]
        assert known["details"]["supportedLanguages"] == ["de-de", "nl-nl"]
        assert known["entry"]["seatCapacity"] == 9
        kinds.add(known["details"]["applicationType"].lower())
    assert kinds == {"store", "enterprise"}


async def test_shared_artwork_is_the_same_for_all(contoso: Tenant) -> None:
    async def logos(**options: Any) -> set[str]:
        paths = await contoso.add(3, **options)
        truths = [await contoso.truth(path) for path in paths]
        return {truth["localized"]["en-us"]["images"][0]["location"] for truth in truths}

    assert len(await logos(sharedArtwork=True)) == 1
    assert await logos(sharedArtwork=True) == await logos(sharedArtwork=True)
    assert len(await logos()) == 3


async def test_ten_thousand_products_take_a_moment(control: Control, world: World) -> None:
    started = time.monotonic()
    keys = await control.add_business_products("fabrikam", 10_000)
    took = time.monotonic() - started

    assert len({(key["productId"], key["skuId"]) for key in keys}) == 10_000
    assert took < 5
    fabrikam = await Tenant.named(world, "fabrikam")
    assert len(await fabrikam.inventory()) == 10_090


@pytest.mark.parametrize("part", ["details", "description", "artwork", "packages"])
async def test_renewed_parts_differ_and_the_entry_is_new(contoso: Tenant, part: str) -> None:
    path = await contoso.add_offline(packagesPerProduct=1)
    before = await contoso.truth(path)

    await contoso.change(path, renew=[part])
    after = await contoso.truth(path)

    held = {"details": "details", "description": "localized", "artwork": "localized", "packages": "packages"}
    changed = {
        name for name in ("details", "localized", "packages", "licenses", "seats") if before[name] != after[name]
    }
    assert changed == {held[part]}
    assert [product(entry) for entry in await contoso.inventory(modifiedSince=after["entry"]["lastModified"])] == [path]
    assert re.search(r"T[\d:]{8}\.\d{7}", after["entry"]["lastModified"])
    assert len(await contoso.inventory(modifiedSince=before["entry"]["lastModified"])) >= 1


async def test_updated_packages_keep_their_licenses(contoso: Tenant) -> None:
    path = await contoso.add_offline(packagesPerProduct=1)
    [before] = (await contoso.truth(path))["packages"]["productPackages"]

    await contoso.change(path, renew=["packages"])
    [after] = (await contoso.truth(path))["packages"]["productPackages"]

    assert after["packageId"] != before["packageId"]
    assert after["packageFullName"] != before["packageFullName"]
    assert after["contentId"] == before["contentId"]


async def test_capacity_and_policy(contoso: Tenant) -> None:
    path = await contoso.add_online()
    await contoso.bulk(path, "Assign", [contoso.user(name) for name in ("ada", "grace", "linus")])

    await contoso.change(path, capacity=2)
    restricted = await contoso.entry(path)
    await contoso.change(path, capacity=None)
    opened = await contoso.entry(path)

    assert [restricted[name] for name in ("distributionPolicy", "seatCapacity", "availableSeats")] == [
        "Restricted",
        2,
        0,
    ]
    assert (opened["distributionPolicy"], opened["availableSeats"]) == ("Open", 2_147_483_647 - 3)


async def test_a_new_language_ends_the_fallback(contoso: Tenant) -> None:
    path = await contoso.add_online(languages=["en-us"])
    assert (await contoso.body(f"/Products{path}/LocalizedDetails/de-de"))["language"] == "en-us"

    await contoso.change(path, languages=["en-us", "de-de"])

    assert (await contoso.body(f"/Products{path}/LocalizedDetails/de-de"))["language"] == "de-de"


async def test_random_changes_fall_on_what_they_fit_and_are_the_same_for_a_seed(
    control: Control, contoso: Tenant
) -> None:
    one = await control.change_business_products("contoso", count=9, seed=5, renew=["license"])
    two = await control.change_business_products("contoso", count=9, seed=5, renew=["license"])
    removed = await control.change_business_products("contoso", count=3, seed=1, removed=True)
    back = await control.change_business_products("contoso", count=2, seed=2, removed=False)

    assert one == two
    entries = {product(entry): entry for entry in await contoso.inventory()}
    offline = [entries[product({"productKey": key})]["licenseType"].lower() for key in one]
    assert offline == ["offline"] * 9
    statuses = [entries[product({"productKey": key})]["status"] for key in removed if key not in back]
    assert set(statuses) == {"Removed"}
    assert {entries[product({"productKey": key})]["status"].lower() for key in back} == {"active"}


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("tenants/contoso/products", {}, "count"),
        ("tenants/contoso/products", {"count": 0}, "count"),
        ("tenants/contoso/products", {"count": 1, "licenseType": "leased"}, "licenseType"),
        ("tenants/contoso/products", {"count": 1, "color": "red"}, "color"),
        ("tenants/contoso/changes", {"count": 1}, "renew"),
        ("tenants/contoso/changes", {"renew": ["details"]}, "count"),
        ("tenants/contoso/changes", {"count": 1, "renew": ["seats"]}, "renew"),
        ("tenants/contoso/changes", {"count": 100_000, "renew": ["details"]}, "fit"),
        ("seat-refusals", {"reason": "x"}, "userNames"),
        ("seat-refusals", {"reason": "x", "pattern": "("}, "regular expression"),
        ("cdn/disturbances", {}, "corrupt"),
        ("cdn/disturbances", {"corrupt": True, "dropAfterBytes": 1}, "corrupt"),
        ("cdn/disturbances", {"corrupt": True, "path": "("}, "regular expression"),
    ],
)
async def test_bad_requests_are_named(world: World, path: str, body: dict[str, Any], named: str) -> None:
    answer = await world.http.post(f"/_emulator/business/{path}", json=body)

    assert answer.status_code == 400
    assert named in answer.json()["error"]


async def test_unknown_tenants_products_and_parts(world: World) -> None:
    tenants = "/_emulator/business/tenants"
    for path, status in (
        (f"{tenants}/tailspin/products", 404),
        (f"{tenants}/contoso/products?productId=9NOTHERE0000&skuId=0010", 404),
        (f"{tenants}/contoso/products?parts=entry,price", 400),
    ):
        assert (await world.http.get(path)).status_code == status
    key = {"productId": "9NOTHERE0000", "skuId": "0010"}
    answer = await world.http.post(f"{tenants}/contoso/changes", json={"products": [key], "removed": True})
    assert answer.status_code == 404


async def test_faults_answer_in_the_services_shape(control: Control, contoso: Tenant) -> None:
    await control.disturb("business", {"status": 429, "retryAfter": 7}, times=1)
    await control.disturb("business", {"status": 503, "retryAfter": "Sat, 21 Nov 2026 14:00:00 GMT"}, times=1)

    throttled, unavailable, fine = [await contoso.get("/Inventory") for _ in range(3)]

    assert (error(throttled)[0], throttled.headers["Retry-After"]) == (429, "7")
    assert (error(unavailable)[0], unavailable.headers["Retry-After"]) == (503, "Sat, 21 Nov 2026 14:00:00 GMT")
    assert throttled.headers["MS-RequestId"]
    assert fine.status_code == 200


async def test_faults_strike_before_or_after_the_effect(control: Control, contoso: Tenant) -> None:
    path = await contoso.add_online()
    target = f"/Inventory{path}/Seats/{contoso.user('ada')}"

    async def has_seat() -> bool:
        return (await contoso.get(target)).status_code == 200

    await control.disturb("business", {"status": 500}, method="POST", times=1)
    assert (await contoso.call("POST", target)).status_code == 500
    assert not await has_seat()

    await control.disturb("business", {"status": 500, "when": "after"}, method="POST", path="/Seats/", times=1)
    assert (await contoso.call("POST", target)).status_code == 500
    assert await has_seat()

    await control.disturb("business", {"drop": "after"}, method="DELETE", times=1)
    with pytest.raises(httpx.TransportError):
        await contoso.call("DELETE", target)
    assert not await has_seat()


async def test_requests_are_counted_with_the_client(control: Control, contoso: Tenant) -> None:
    since = await control.last_seen()

    await contoso.get("/Inventory")

    [seen] = await control.requests(service="business", since=since)
    assert (seen["path"], seen["status"], seen["clientId"]) == ("/business/V1/Inventory", 200, contoso.client_id)
