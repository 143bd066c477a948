"""Store for Business: details, localized details, packages and licenses, and what is refused."""

import base64
import hashlib
from typing import Any

import pytest

from tests.emulator.tenants import Tenant, error
from tests.emulator.world import World, shape
from tests.support.fixtures import business

LANGUAGES = ["en-us", "fr-fr", "ja-jp"]


async def packages(tenant: Tenant, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await tenant.body(f"/Products{path}/Packages"))["productPackages"]
    return found


def without_signatures(value: Any) -> Any:
    """An answer with its addresses as the control API gives them."""
    if isinstance(value, dict):
        return {key: without_signatures(each) for key, each in value.items()}
    if isinstance(value, list):
        return [without_signatures(each) for each in value]
    return value.split("?")[0] if isinstance(value, str) and value.startswith("https://localhost") else value


async def test_details_are_as_the_documentation_shows_them(contoso: Tenant) -> None:
    for path in await contoso.add(20):
        details = await contoso.body(f"/Products{path}")

        example = business("product-details")
        details["alternateIds"] = details["alternateIds"] or example["alternateIds"]
        assert shape(details) == shape(example)
        assert f"/{details['productKey']['productId']}/{details['productKey']['skuId']}" == path
        assert details["packageFamilyName"].endswith(f"_{details['publisherId']}")


async def test_line_of_business_apps_are_the_tenants_own(contoso: Tenant) -> None:
    own, bought = (await contoso.add(enterpriseShare=1))[0], (await contoso.add())[0]

    assert (await contoso.body(f"/Products{own}"))["applicationType"] == "Enterprise"
    assert (await contoso.body(f"/Products{bought}"))["applicationType"].lower() == "store"
    publisher = (await contoso.body(f"/Products{own}/LocalizedDetails/en-us"))["publisher"]
    assert publisher["publisherName"] == "Contoso IT"


async def test_localized_details_in_each_language(contoso: Tenant) -> None:
    path = await contoso.add_online(languages=LANGUAGES)

    texts = {each: await contoso.body(f"/Products{path}/LocalizedDetails/{each}") for each in LANGUAGES}

    assert [text["language"] for text in texts.values()] == LANGUAGES
    assert {str(shape(text)) for text in texts.values()} == {str(shape(business("localized-product-details")))}
    assert len({text["displayName"] for text in texts.values()}) == 3
    assert all(text["displayName"] in text["description"] for text in texts.values())
    logos = [text["images"][0] for text in without_signatures(texts).values()]
    assert [logo["purpose"] for logo in logos] == ["logo"] * 3
    assert len({logo["location"] for logo in logos}) == 1


async def test_another_language_falls_back_to_english_and_says_so(contoso: Tenant) -> None:
    path = await contoso.add_online(languages=LANGUAGES)

    for asked, given in (("de-de", "en-us"), ("FR-FR", "fr-fr"), ("zh-hans-cn", "en-us"), ("xx", "en-us")):
        assert (await contoso.body(f"/Products{path}/LocalizedDetails/{asked}"))["language"] == given


async def test_without_english_the_first_language_is_the_fallback(contoso: Tenant) -> None:
    path = await contoso.add_online(languages=["ja-jp", "fr-fr"])

    assert (await contoso.body(f"/Products{path}/LocalizedDetails/en-us"))["language"] == "ja-jp"


@pytest.mark.parametrize("language", ["e", "english", "en_us", "en-", "12-34"])
async def test_what_is_no_language_is_not_found(contoso: Tenant, language: str) -> None:
    path = await contoso.add_online()

    answer = await contoso.get(f"/Products{path}/LocalizedDetails/{language}")

    assert error(answer) == (404, {"itemType": "Language", "values": [language]})


async def test_descriptions_go_up_to_ten_thousand_characters(contoso: Tenant) -> None:
    longest = 0
    for path in await contoso.add(40):
        text = await contoso.body(f"/Products{path}/LocalizedDetails/en-us")
        longest = max(longest, len(text["description"]))

    assert longest == 10_000


async def test_packages_are_as_the_documentation_shows_them(contoso: Tenant) -> None:
    example = business("product-packages")["productPackages"][0]
    seen = set()
    for path in await contoso.add(16, licenseType="offline", packagesPerProduct=2):
        found = await contoso.body(f"/Products{path}/Packages")
        assert set(found) == set(business("product-packages"))
        for package in found["productPackages"]:
            expected = shape(example)
            assert isinstance(expected, dict)
            hashes = {"fileHash", "fileHashAlgorithm"}
            assert set(expected) - hashes <= set(package) <= set(expected)
            assert 20_000 <= package["fileSize"] < 200_000
            seen.add((package["packageFormat"], package["architectures"][0], hashes <= set(package)))

    assert {form for form, _, _ in seen} == {"Appx", "appx", "appxBundle", "AppxBundle"}
    assert {"neutral", "Neutral", "Arm", "arm"} <= {architecture for _, architecture, _ in seen}
    assert {hashed for _, _, hashed in seen} == {True, False}


async def test_products_share_framework_packages(contoso: Tenant) -> None:
    frameworks: dict[str, list[dict[str, Any]]] = {}
    for path in await contoso.add(12, licenseType="offline", packagesPerProduct=1):
        for package in await packages(contoso, path):
            for framework in without_signatures(package["frameworkDependencyPackages"]):
                frameworks.setdefault(framework["packageId"], []).append(framework)

    shared = [each for each in frameworks.values() if len(each) > 1]
    assert shared
    assert all(each == same[0] for same in shared for each in same)


async def test_one_package_is_the_same_as_among_all(contoso: Tenant) -> None:
    path = await contoso.add_offline(packagesPerProduct=3)

    for package in await packages(contoso, path):
        one = await contoso.body(f"/Products{path}/Packages/{package['packageId']}")
        assert without_signatures(one) == without_signatures(package)


async def test_an_unknown_package_is_not_found(contoso: Tenant) -> None:
    path = await contoso.add_offline()

    status, data = error(await contoso.get(f"/Products{path}/Packages/pkg-unknown"))

    assert (status, data["itemType"]) == (404, "Package")


async def test_files_have_the_size_and_hash_that_was_said(world: World, contoso: Tenant) -> None:
    path = await contoso.add_offline(packagesPerProduct=2)

    for package in await packages(contoso, path):
        for each in (package, *package["frameworkDependencyPackages"]):
            content = (await world.http.get(each["location"]["url"])).content
            assert len(content) == each["fileSize"]
            if "fileHash" in each:
                digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
                assert (each["fileHash"], each["fileHashAlgorithm"]) == (digest, "SHA256")


async def test_online_products_have_no_packages(contoso: Tenant) -> None:
    assert await packages(contoso, await contoso.add_online()) == []


async def test_a_license_is_of_one_package(contoso: Tenant) -> None:
    path = await contoso.add_offline(packagesPerProduct=2)
    ids = [package["contentId"] for package in await packages(contoso, path)]

    licenses = [(await contoso.call("POST", f"/Products{path}/OfflineLicense/{each}")).json() for each in ids]

    assert {str(shape(each)) for each in licenses} == {str(shape(business("offline-license")))}
    assert [each["contentId"] for each in licenses] == ids
    assert {each["requestorId"] for each in licenses} == {"contoso.example"}
    blobs = {each["licenseBlob"] for each in licenses}
    assert len(blobs) == 2
    assert all(base64.b64decode(blob).startswith(b"<License") for blob in blobs)


async def test_a_renewed_license_is_another_instance(contoso: Tenant) -> None:
    path = await contoso.add_offline(packagesPerProduct=1)
    content_id = (await packages(contoso, path))[0]["contentId"]

    async def license_now() -> dict[str, Any]:
        answer: dict[str, Any] = (await contoso.call("POST", f"/Products{path}/OfflineLicense/{content_id}")).json()
        return answer

    first, again = await license_now(), await license_now()
    await contoso.change(path, renew=["license"])
    renewed = await license_now()

    assert first == again
    assert renewed["licenseInstanceId"] != first["licenseInstanceId"]
    assert renewed["licenseBlob"] != first["licenseBlob"]


async def test_license_blobs_are_secrets(world: World, contoso: Tenant) -> None:
    path = await contoso.add_offline(packagesPerProduct=1)
    content_id = (await packages(contoso, path))[0]["contentId"]

    blob = (await contoso.call("POST", f"/Products{path}/OfflineLicense/{content_id}")).json()["licenseBlob"]

    secrets = (await world.http.get("/_emulator/secrets-in-use")).json()["secrets"]
    assert {"kind": "licenseBlob", "value": blob} in secrets


async def test_licenses_are_for_packages_of_offline_products(contoso: Tenant) -> None:
    online = await contoso.add_online()
    assert error(await contoso.call("POST", f"/Products{online}/OfflineLicense/any")) == (
        409,
        {"reason": "Not offline"},
    )

    for path in await contoso.add(8, licenseType="offline", packagesPerProduct=2):
        frameworks = [
            each for package in await packages(contoso, path) for each in package["frameworkDependencyPackages"]
        ]
        for content_id in ["unknown", *(framework["contentId"] for framework in frameworks)]:
            status, data = error(await contoso.call("POST", f"/Products{path}/OfflineLicense/{content_id}"))
            assert (status, data["itemType"]) == (404, "Content")


@pytest.mark.parametrize("part", ["", "/LocalizedDetails/en-us", "/Packages", "/Packages/pkg-1"])
async def test_an_unknown_product(contoso: Tenant, part: str) -> None:
    assert error(await contoso.get(f"/Products/9NOTHERE0000/0010{part}")) == (
        404,
        {"itemType": "Product/SKU", "values": ["9NOTHERE0000/0010"]},
    )
    path = await contoso.add_offline()
    other = f"/{path.split('/')[1]}/9999"
    assert error(await contoso.get(f"/Products{other}{part}"))[0] == 404


@pytest.mark.parametrize(("path", "name"), [("/9_BAD!/0010", "productId"), ("/9NBLGGH4R2R6/0%2010", "skuId")])
async def test_an_id_that_cannot_be_one(contoso: Tenant, path: str, name: str) -> None:
    status, data = error(await contoso.get(f"/Products{path}"))

    assert (status, data["parameterName"]) == (400, name)


async def test_ids_have_no_case(contoso: Tenant) -> None:
    path = await contoso.add_online()

    assert await contoso.body(f"/Products{path.lower()}") == await contoso.body(f"/Products{path}")


async def test_packages_and_licenses_of_removed_products_are_not_owned(contoso: Tenant) -> None:
    path = await contoso.add_offline(packagesPerProduct=1)
    package = (await packages(contoso, path))[0]
    calls = [
        ("GET", f"/Products{path}/Packages"),
        ("GET", f"/Products{path}/Packages/{package['packageId']}"),
        ("POST", f"/Products{path}/OfflineLicense/{package['contentId']}"),
    ]
    await contoso.change(path, removed=True)

    for method, target in calls:
        assert error(await contoso.call(method, target)) == (409, {"reason": "Not owned"})
    assert (await contoso.entry(path))["status"] == "Removed"
    assert (await contoso.get(f"/Products{path}")).status_code == 200

    await contoso.change(path, removed=False)
    assert {(await contoso.call(method, target)).status_code for method, target in calls} == {200}


async def test_a_vanished_product_is_listed_and_nothing_else(contoso: Tenant) -> None:
    path = await contoso.add_offline(packagesPerProduct=1)
    content_id = (await packages(contoso, path))[0]["contentId"]
    await contoso.change(path, vanished=True)

    assert (await contoso.entry(path))["status"].lower() == "active"
    for method, target in (
        ("GET", f"/Products{path}"),
        ("GET", f"/Products{path}/LocalizedDetails/en-us"),
        ("GET", f"/Products{path}/Packages"),
        ("POST", f"/Products{path}/OfflineLicense/{content_id}"),
        ("GET", f"/Inventory{path}/Seats"),
    ):
        assert error(await contoso.call(method, target))[0] == 404


async def test_a_path_of_no_operation(contoso: Tenant) -> None:
    assert (await contoso.get("/Products")).status_code == 404
    assert (await contoso.call("DELETE", "/Inventory")).status_code == 405
