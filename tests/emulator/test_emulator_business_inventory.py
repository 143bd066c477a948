"""Store for Business: who may ask, and the inventory in pages and since a moment."""

import json
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.emulator.business import world as business_world
from local.emulator.persistence import StateError
from tests.emulator.tenants import Tenant, error, product
from tests.emulator.world import VAULT, World, running, shape
from tests.support.fixtures import business
from tests.support.polling import eventually


@pytest.fixture(scope="module")
async def fabrikam(world: World) -> Tenant:
    return await Tenant.named(world, "fabrikam")


async def first_inventory(state: Path) -> list[dict[str, Any]]:
    async with running(state) as world:
        return await (await Tenant.named(world, "northwind")).inventory()


async def test_three_tenants_have_a_few_hundred_products(world: World) -> None:
    tenants = (await world.http.get("/_emulator/business/tenants")).json()["tenants"]

    assert [(tenant["name"], tenant["domain"], tenant["products"]) for tenant in tenants] == [
        ("contoso", "contoso.example", 180),
        ("fabrikam", "fabrikam.example", 90),
        ("northwind", "northwind.example", 40),
    ]


async def test_the_settings_name_the_tenants_and_the_secrets_of_the_vault(world: World) -> None:
    settings = world.settings
    token = await world.token(VAULT, client_id=settings["AZURE_CLIENT_ID"], secret=settings["AZURE_CLIENT_SECRET"])

    for tenant in json.loads(settings["BUSINESS_TENANTS"]):
        kind, name = tenant["credential"].split(":")
        kept = await world.http.get(
            f"/secrets/{name}", params={"api-version": "7.6"}, headers={"Authorization": f"Bearer {token}"}
        )
        form = {
            "grant_type": "client_credentials",
            "client_id": tenant["clientId"],
            "client_secret": kept.json()["value"],
            "scope": "https://onestore.microsoft.com/.default",
        }
        issued = await world.http.post(f"/{tenant['tenantId']}/oauth2/v2.0/token", data=form)
        headers = {"Authorization": f"Bearer {issued.json()['access_token']}"}

        answer = await world.http.get(f"{settings['STORE_BUSINESS_URL']}/V1/Inventory", headers=headers)

        assert (kind, answer.status_code) == ("secret", 200)


async def test_a_tenant_sees_what_it_owns(contoso: Tenant, fabrikam: Tenant) -> None:
    theirs, others = await contoso.inventory(), await fabrikam.inventory()

    assert (len(theirs), len(others)) == (180, 90)
    only_theirs = {product(entry) for entry in theirs} - {product(entry) for entry in others}
    assert error(await fabrikam.get(f"/Products{min(only_theirs)}"))[0] == 404


async def test_one_product_can_belong_to_several_tenants_and_be_owned_twice(contoso: Tenant, fabrikam: Tenant) -> None:
    theirs = [entry["productKey"]["productId"] for entry in await contoso.inventory()]
    others = {entry["productKey"]["productId"] for entry in await fabrikam.inventory()}

    assert set(theirs) & others
    twice = [product_id for product_id, times in Counter(theirs).items() if times == 2]
    assert len(twice) == 6
    licenses = {
        entry["licenseType"].lower()
        for entry in await contoso.inventory()
        if entry["productKey"]["productId"] == twice[0]
    }
    assert licenses == {"online", "offline"}


async def test_two_first_starts_have_the_same_products(tmp_path: Path) -> None:
    one = await first_inventory(tmp_path / "one" / "state.json")
    two = await first_inventory(tmp_path / "two" / "state.json")

    assert one == two


async def test_entries_are_as_the_documentation_shows_them(contoso: Tenant) -> None:
    entries = await contoso.inventory()

    assert {str(shape(entry)) for entry in entries} == {str(shape(business("inventory-page-1")["inventoryEntries"][0]))}
    assert {entry["licenseType"] for entry in entries} == {"Online", "online", "Offline", "offline"}
    assert {entry["distributionPolicy"] for entry in entries} == {"Open", "Restricted"}
    assert {entry["status"] for entry in entries} == {"Active", "active", "Removed"}
    for entry in entries:
        unlimited = entry["seatCapacity"] == 2_147_483_647
        assert unlimited == (entry["distributionPolicy"] == "Open")
        assert 0 <= entry["availableSeats"] <= entry["seatCapacity"]


async def test_times_have_seven_digits_and_different_offsets(contoso: Tenant) -> None:
    times = [entry["lastModified"] for entry in await contoso.inventory()]

    assert [time for time in times if not re.fullmatch(r"[\d-]{10}T[\d:]{8}(\.\d{7})?(Z|[+-]\d\d:\d\d)", time)] == []
    assert {re.sub(r".*[\d:]{8}(\.\d{7})?", "", time) for time in times} >= {"Z", "-07:00", "+05:30"}
    assert {"." in time for time in times} == {True, False}


async def test_a_page_has_25_entries_unless_told_otherwise(contoso: Tenant) -> None:
    assert len((await contoso.body("/Inventory"))["inventoryEntries"]) == 25
    assert len((await contoso.body("/Inventory", maxResults=7))["inventoryEntries"]) == 7
    assert len((await contoso.body("/Inventory", maxResults=1000))["inventoryEntries"]) == 180


async def test_the_last_page_has_no_token_and_all_pages_together_are_everything(contoso: Tenant) -> None:
    pages = await contoso.pages("/Inventory", maxResults=60)

    assert [len(page["inventoryEntries"]) for page in pages] == [60, 60, 60]
    assert ["continuationToken" in page for page in pages] == [True, True, False]
    assert [entry for page in pages for entry in page["inventoryEntries"]] == await contoso.inventory()


async def test_license_types(contoso: Tenant) -> None:
    everything = await contoso.inventory()
    online = [entry for entry in everything if entry["licenseType"].lower() == "online"]

    assert await contoso.inventory(licenseTypes="online") == online
    assert await contoso.inventory(licenseTypes="ONLINE") == online
    assert await contoso.inventory(licenseTypes="Offline") == [each for each in everything if each not in online]
    assert await contoso.inventory(licenseTypes=["online", "offline"]) == everything


async def test_modified_since_is_inclusive_to_the_last_digit(contoso: Tenant) -> None:
    path = await contoso.add_online()
    changed = (await contoso.entry(path))["lastModified"]
    moment = re.fullmatch(r"(.{19})\.(\d{7})(.+)", changed)
    assert moment is not None
    later = f"{moment[1]}.{int(moment[2]) + 1:07}{moment[3]}"

    assert path in [product(entry) for entry in await contoso.inventory(modifiedSince=changed)]
    assert path not in [product(entry) for entry in await contoso.inventory(modifiedSince=later)]


async def test_modified_since_reads_every_offset(fabrikam: Tenant) -> None:
    path = await fabrikam.add_online()
    hour = timedelta(hours=1)
    now = datetime.now(UTC)

    for offset in ("Z", "+05:30", "-07:00"):
        zone = datetime.fromisoformat(f"2000-01-01T00:00:00{offset}").tzinfo
        before, after = (f"{moment.astimezone(zone):%Y-%m-%dT%H:%M:%S}{offset}" for moment in (now - hour, now + hour))
        assert [product(entry) for entry in await fabrikam.inventory(modifiedSince=before)] == [path]
        assert await fabrikam.inventory(modifiedSince=after) == []


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ({"modifiedSince": "yesterday"}, "modifiedSince"),
        ({"modifiedSince": "2015-07-13"}, "modifiedSince"),
        ({"modifiedSince": "2015-07-13T14:02:25"}, "modifiedSince"),
        ({"modifiedSince": "2015-07-13T14:02:25.68633821Z"}, "modifiedSince"),
        ({"modifiedSince": "2015-13-13T14:02:25Z"}, "modifiedSince"),
        ({"licenseTypes": "leased"}, "licenseTypes"),
        ({"maxResults": "0"}, "maxResults"),
        ({"maxResults": "many"}, "maxResults"),
        ({"maxResults": "-1"}, "maxResults"),
        ({"continuationToken": "garbage"}, "continuationToken"),
        ({"continuationToken": "MjU="}, "continuationToken"),
        ({"continuationToken": ""}, "continuationToken"),
    ],
)
async def test_bad_parameters_are_named(contoso: Tenant, query: dict[str, str], name: str) -> None:
    status, data = error(await contoso.get("/Inventory", **query))

    assert (status, data["parameterName"], data["reason"]) == (400, name, "Invalid parameter")


async def test_a_plus_sign_must_be_encoded(contoso: Tenant) -> None:
    raw = await contoso.call("GET", "/Inventory?modifiedSince=2015-07-13T14:02:25+02:00")
    encoded = await contoso.call("GET", "/Inventory?modifiedSince=2015-07-13T14:02:25%2B02:00")

    assert (raw.status_code, encoded.status_code) == (400, 200)


async def test_a_token_is_of_one_query_of_one_tenant(contoso: Tenant, fabrikam: Tenant) -> None:
    token = (await contoso.body("/Inventory"))["continuationToken"]

    assert (await contoso.get("/Inventory", continuationToken=token)).status_code == 200
    for tenant, query in (
        (contoso, {"licenseTypes": "online"}),
        (contoso, {"modifiedSince": "2000-01-01T00:00:00Z"}),
        (fabrikam, {}),
    ):
        status, data = error(await tenant.get("/Inventory", continuationToken=token, **query))
        assert (status, data["parameterName"]) == (400, "continuationToken")


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer garbage", "Basic dXNlcjpwYXNz"])
async def test_without_a_token_nothing_is_said(world: World, header: str | None) -> None:
    answer = await world.http.get("/business/V1/Inventory", headers={"Authorization": header} if header else {})

    assert error(answer)[0] == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_token_of_a_tenant_without_store_for_business_is_refused(world: World) -> None:
    headers = {"Authorization": f"Bearer {await world.token()}"}

    assert error(await world.http.get("/business/V1/Inventory", headers=headers))[0] == 401


async def test_a_token_for_another_audience_is_refused(world: World, contoso: Tenant) -> None:
    path = f"/_emulator/tenants/{contoso.tenant_id}"
    before = (await world.http.patch(path, json={})).json()
    await world.http.patch(path, json={"audiences": [*before["audiences"], VAULT]})
    secret = (await world.control(f"apps/{contoso.client_id}/secrets"))["secret"]
    form = {
        "grant_type": "client_credentials",
        "client_id": contoso.client_id,
        "client_secret": secret,
        "resource": VAULT,
    }
    token = (await world.http.post(f"/{contoso.tenant_id}/oauth2/token", data=form)).json()["access_token"]

    answer = await world.http.get("/business/V1/Inventory", headers={"Authorization": f"Bearer {token}"})

    assert error(answer)[0] == 401
    await world.http.patch(path, json=before)


async def test_answers_carry_ids_and_the_date(contoso: Tenant) -> None:
    def ids(answer: httpx.Response) -> tuple[str, str]:
        return answer.headers["MS-RequestId"], answer.headers["MS-CorrelationId"]

    good, bad = await contoso.get("/Inventory"), await contoso.get("/Products/9NOTHERE/0010")

    assert (good.status_code, bad.status_code) == (200, 404)
    assert len({*ids(good), *ids(bad)}) == 4
    assert good.headers["Date"].endswith("GMT")


async def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    async with running(state) as world:
        before = await Tenant.named(world, "contoso")
        path = await before.add_online(capacity=3)
        removed = await before.add_offline()
        await before.bulk(path, "Assign", [before.user("ada"), before.user("grace")])
        await before.change(removed, removed=True)
        page = await before.body("/Inventory")
        inventory, truth = await before.inventory(), await before.truth(path)

    async with running(state) as world:
        after = await Tenant.named(world, "contoso")
        assert await after.inventory() == inventory
        assert (await after.truth(path))["seats"] == truth["seats"]
        token = page["continuationToken"]
        assert (await after.get("/Inventory", continuationToken=token)).status_code == 200
        assert (await after.add_online()) not in {product(entry) for entry in inventory}


async def test_seats_are_on_disk_without_a_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(business_world, "SAVE_DELAY_SECONDS", 0.01)
    kept = tmp_path / "business.json"
    async with running(tmp_path / "state.json") as world:
        tenant = await Tenant.named(world, "contoso")
        path = await tenant.add_online()
        for number in range(20):
            await tenant.bulk(path, "Assign", [tenant.user(f"user{number}")])

        async def written() -> bool:
            stock = json.loads(kept.read_text())["stocks"][tenant.tenant_id]
            return len(stock["seats"].get(path[1:], [])) == 20

        assert await eventually(written, 5)
    assert kept.stat().st_mode & 0o777 == 0o600


async def test_a_broken_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "business.json").write_text("{}")

    with pytest.raises(StateError, match=r"business\.json"):
        async with running(tmp_path / "state.json"):
            pass


async def test_a_file_of_another_version_is_named(tmp_path: Path) -> None:
    state, kept = tmp_path / "state.json", tmp_path / "business.json"
    async with running(state):
        pass
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"version": 99}))

    with pytest.raises(StateError, match="version 99"):
        async with running(state):
            pass


async def test_a_state_of_before_gets_its_business_tenants(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    async with running(state):
        pass
    content = json.loads(state.read_text())
    for tenant in content.pop("businessTenants"):
        del content["tenants"][tenant["tenantId"]], content["vault"][tenant["secretName"]]
    state.write_text(json.dumps(content))

    async with running(state) as world:
        # What was kept of the tenants that are no more is not mistaken for theirs.
        assert len(await (await Tenant.named(world, "northwind")).inventory()) == 40
        assert {tenant["tenantId"] for tenant in json.loads(world.settings["BUSINESS_TENANTS"])} == {
            tenant["tenantId"] for tenant in json.loads(state.read_text())["businessTenants"]
        }
