"""Store for Business: seats assigned, reclaimed, counted and listed, one by one and many at once."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.emulator.tenants import Tenant, error
from tests.emulator.world import World, shape
from tests.support.fixtures import business


@pytest.fixture
async def path(contoso: Tenant) -> str:
    """An Open online product without seats."""
    return await contoso.add_online()


@pytest.fixture(autouse=True)
async def no_refusals_left(world: World) -> AsyncIterator[None]:
    yield
    await world.http.delete("/_emulator/business/seat-refusals")


def seat(path: str, user: str) -> str:
    return f"/Inventory{path}/Seats/{quote(user, safe='')}"


async def users_of(tenant: Tenant, path: str) -> list[str]:
    pages = await tenant.pages(f"/Inventory{path}/Seats", maxResults=100)
    return [each["assignedTo"] for page in pages for each in page["seats"]]


async def test_assign_read_reclaim(contoso: Tenant, path: str) -> None:
    ada = contoso.user("ada")

    assigned = await contoso.call("POST", seat(path, ada))
    read = await contoso.get(seat(path, ada))
    reclaimed = await contoso.call("DELETE", seat(path, ada))
    gone = await contoso.get(seat(path, ada))

    assert (assigned.status_code, reclaimed.status_code) == (200, 200)
    assert shape(assigned.json()) == shape(business("seat"))
    assert (assigned.json()["assignedTo"], assigned.json()["state"]) == (ada, "Active")
    assert re.fullmatch(r"[\d-]{10}T[\d:]{8}\.\d{7}Z", assigned.json()["dateAssigned"])
    assert read.json() == assigned.json()
    assert reclaimed.json() == {**assigned.json(), "state": "Revoked"}
    assert error(gone) == (404, {"itemType": "Seat", "values": [f"{path[1:]}/{ada}"]})


async def test_assigning_again_is_success_and_changes_nothing(contoso: Tenant, path: str) -> None:
    first = (await contoso.call("POST", seat(path, contoso.user("ada")))).json()
    entry = await contoso.entry(path)

    again = await contoso.call("POST", seat(path, contoso.user("ada")))

    assert (again.status_code, again.json()) == (200, first)
    assert await contoso.entry(path) == entry


async def test_reclaiming_what_is_not_there_is_not_found(contoso: Tenant, path: str) -> None:
    status, data = error(await contoso.call("DELETE", seat(path, contoso.user("ada"))))

    assert (status, data["itemType"]) == (404, "Seat")


async def test_user_names_have_no_case(contoso: Tenant, path: str) -> None:
    assigned = (await contoso.call("POST", seat(path, "Ada@Contoso.EXAMPLE"))).json()

    assert (await contoso.get(seat(path, "aDA@contoso.example"))).json() == assigned
    assert (await contoso.body("/Users/ADA@CONTOSO.EXAMPLE/Seats"))["seats"]
    assert (await contoso.call("DELETE", seat(path, "ada@contoso.example"))).json()["assignedTo"] == (
        "Ada@Contoso.EXAMPLE"
    )


@pytest.mark.parametrize("name", ["tag+more", "o'neil", "zoë", "50%off", "a#ext#b", "semi;colon", "q?a=b&c"])
async def test_user_names_are_percent_decoded(contoso: Tenant, path: str, name: str) -> None:
    user = contoso.user(name)

    assert (await contoso.call("POST", seat(path, user))).json()["assignedTo"] == user
    assert [each["assignedTo"] for each in (await contoso.body(f"/Users/{quote(user, safe='')}/Seats"))["seats"]] == [
        user
    ]


@pytest.mark.parametrize("user", ["nobody@contoso.example", "Unknown7@contoso.example", "ada@fabrikam.example"])
async def test_who_is_no_user_of_the_tenant_is_not_found(contoso: Tenant, path: str, user: str) -> None:
    for method, target in (
        ("POST", seat(path, user)),
        ("GET", seat(path, user)),
        ("DELETE", seat(path, user)),
        ("GET", f"/Users/{user}/Seats"),
    ):
        assert error(await contoso.call(method, target)) == (404, {"itemType": "User", "values": [user]})


async def test_what_is_no_user_name_is_a_bad_parameter(contoso: Tenant, path: str) -> None:
    for method, target in (("POST", seat(path, "ada")), ("GET", "/Users/ada/Seats")):
        status, data = error(await contoso.call(method, target))
        assert (status, data["parameterName"]) == (400, "username")


async def test_seats_of_offline_products_are_refused(contoso: Tenant) -> None:
    path = await contoso.add_offline()
    body = {"userNames": [contoso.user("ada")], "seatAction": "Assign"}

    for method, target in (
        ("GET", f"/Inventory{path}/Seats"),
        ("GET", seat(path, contoso.user("ada"))),
        ("POST", seat(path, contoso.user("ada"))),
        ("DELETE", seat(path, contoso.user("ada"))),
    ):
        assert error(await contoso.call(method, target)) == (409, {"reason": "Not online"})
    assert error(await contoso.call("POST", f"/Inventory{path}/Seats", json=body)) == (409, {"reason": "Not online"})


@pytest.mark.parametrize("removed", [True, False])
async def test_seats_of_what_is_not_in_the_inventory(contoso: Tenant, path: str, *, removed: bool) -> None:
    if removed:
        await contoso.change(path, removed=True)
    wanted = path if removed else "/9NOTHERE0000/0010"

    for method, target in (("POST", seat(wanted, contoso.user("ada"))), ("GET", f"/Inventory{wanted}/Seats")):
        assert error(await contoso.call(method, target)) == (
            404,
            {"itemType": "Inventory", "values": [wanted.removeprefix("/")]},
        )


async def test_capacity_counts(contoso: Tenant) -> None:
    path = await contoso.add_online(capacity=2)
    first, second, third = (contoso.user(name) for name in ("ada", "grace", "linus"))
    assert (await contoso.entry(path))["availableSeats"] == 2

    assert (await contoso.call("POST", seat(path, first))).status_code == 200
    assert (await contoso.entry(path))["availableSeats"] == 1
    assert (await contoso.call("POST", seat(path, second))).status_code == 200
    assert error(await contoso.call("POST", seat(path, third))) == (409, {"reason": "No seats available"})
    assert (await contoso.call("POST", seat(path, first))).status_code == 200
    assert (await contoso.entry(path))["availableSeats"] == 0

    await contoso.call("DELETE", seat(path, first))
    assert (await contoso.call("POST", seat(path, third))).status_code == 200
    assert await users_of(contoso, path) == [second, third]


async def test_capacity_holds_against_many_at_once(contoso: Tenant) -> None:
    path = await contoso.add_online(capacity=7)

    answers = await asyncio.gather(
        *(contoso.call("POST", seat(path, contoso.user(f"user{number}"))) for number in range(30))
    )

    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [409] * 23
    assert len(await users_of(contoso, path)) == 7


async def test_seats_change_the_entry(contoso: Tenant, path: str) -> None:
    before = await contoso.entry(path)

    await contoso.call("POST", seat(path, contoso.user("ada")))
    after = await contoso.entry(path)
    [changed] = await contoso.inventory(modifiedSince=after["lastModified"])

    assert after["availableSeats"] == before["availableSeats"] - 1
    assert after["lastModified"] != before["lastModified"]
    assert changed == after


async def test_bulk_reports_each_user(contoso: Tenant) -> None:
    path = await contoso.add_online(capacity=2)
    names = ["ada", "nobody", "grace", "linus"]

    answer = await contoso.bulk(path, "Assign", [contoso.user(name) for name in names])

    assert shape(answer) == shape(business("bulk-response-partial"))
    assert [each["assignedTo"] for each in answer["seatDetails"]] == [contoso.user("ada"), contoso.user("grace")]
    assert [(each["userName"], each["failureReason"]) for each in answer["failedSeatOperations"]] == [
        (contoso.user("nobody"), "UserNotFound"),
        (contoso.user("linus"), "NoSeatsAvailable"),
    ]


async def test_bulk_again_and_back(contoso: Tenant, path: str) -> None:
    users = [contoso.user("ada"), contoso.user("grace")]
    first = await contoso.bulk(path, "assign", users)
    again = await contoso.bulk(path, "ASSIGN", users)

    back = await contoso.bulk(path, "Reclaim", [*users, contoso.user("linus")])
    twice = await contoso.bulk(path, "Reclaim", users)

    assert again == first
    assert back["seatDetails"] == [{**each, "state": "Revoked"} for each in first["seatDetails"]]
    assert [each["failureReason"] for each in back["failedSeatOperations"]] == ["SeatNotFound"]
    assert [each["failureReason"] for each in twice["failedSeatOperations"]] == ["SeatNotFound"] * 2
    assert await users_of(contoso, path) == []


async def test_bulk_of_nobody_in_particular(contoso: Tenant, path: str) -> None:
    answer = await contoso.bulk(path, "Assign", ["", "ada", "a@b@contoso.example", contoso.user("")])

    assert [each["failureReason"] for each in answer["failedSeatOperations"]] == ["UserNotFound"] * 4
    assert await contoso.bulk(path, "Assign", []) == {"seatDetails": [], "failedSeatOperations": []}


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"userNames": ["ada@contoso.example"], "seatAction": "Lend"}, "seatAction"),
        ({"seatAction": "Assign"}, "body"),
        ({"userNames": "ada@contoso.example", "seatAction": "Assign"}, "body"),
    ],
)
async def test_bad_bulk_requests(contoso: Tenant, path: str, body: dict[str, Any], name: str) -> None:
    status, data = error(await contoso.call("POST", f"/Inventory{path}/Seats", json=body))

    assert (status, data["parameterName"]) == (400, name)


async def test_pages_of_seats(contoso: Tenant, path: str) -> None:
    users = [contoso.user(f"user{number:03}") for number in range(230)]
    await contoso.bulk(path, "Assign", users)

    pages = await contoso.pages(f"/Inventory{path}/Seats")

    assert shape(pages[0]) == shape(business("seats-page-1"))
    assert [len(page["seats"]) for page in pages] == [25] * 9 + [5]
    assert [each["assignedTo"] for page in pages for each in page["seats"]] == users
    assert [len(page["seats"]) for page in await contoso.pages(f"/Inventory{path}/Seats", maxResults=100)] == [
        100,
        100,
        30,
    ]


async def test_a_full_last_page_has_no_token(contoso: Tenant, path: str) -> None:
    await contoso.bulk(path, "Assign", [contoso.user(f"user{number}") for number in range(25)])

    assert "continuationToken" not in await contoso.body(f"/Inventory{path}/Seats")


async def test_seats_that_change_between_pages_hide_no_others(contoso: Tenant, path: str) -> None:
    users = [contoso.user(f"user{number:03}") for number in range(400)]
    await contoso.bulk(path, "Assign", users)
    first = await contoso.body(f"/Inventory{path}/Seats", maxResults=100)

    await contoso.bulk(path, "Reclaim", users[:390:2])
    await contoso.bulk(path, "Assign", users[:10:2])
    rest: list[dict[str, Any]] = []
    token = first["continuationToken"]
    while token:
        page = await contoso.body(f"/Inventory{path}/Seats", maxResults=50, continuationToken=token)
        rest, token = rest + page["seats"], page.get("continuationToken")

    assert [each["assignedTo"] for each in rest] == users[101:390:2] + users[390:] + users[:10:2]


@pytest.mark.parametrize("size", ["101", "0", "x"])
async def test_a_page_holds_at_most_100_seats(contoso: Tenant, path: str, size: str) -> None:
    for target in (f"/Inventory{path}/Seats", f"/Users/{contoso.user('ada')}/Seats"):
        status, data = error(await contoso.get(target, maxResults=size))
        assert (status, data["parameterName"]) == (400, "maxResults")


async def test_a_token_is_of_one_products_seats(contoso: Tenant, path: str) -> None:
    other = await contoso.add_online()
    await contoso.bulk(path, "Assign", [contoso.user(f"user{number}") for number in range(30)])
    token = (await contoso.body(f"/Inventory{path}/Seats"))["continuationToken"]

    assert len((await contoso.body(f"/Inventory{path}/Seats", continuationToken=token))["seats"]) == 5
    assert error(await contoso.get(f"/Inventory{other}/Seats", continuationToken=token))[0] == 400
    assert error(await contoso.get("/Inventory", continuationToken=token))[0] == 400


async def test_seats_of_a_user_in_pages(contoso: Tenant) -> None:
    user = contoso.user("collector")
    paths = await contoso.add(30, licenseType="online")
    for path in paths:
        await contoso.call("POST", seat(path, user))
    await contoso.call("DELETE", seat(paths[3], user))

    pages = await contoso.pages(f"/Users/{user}/Seats", maxResults=10)

    assert [len(page["seats"]) for page in pages] == [10, 10, 9]
    keys = [each["productKey"] for page in pages for each in page["seats"]]
    assert [f"/{key['productId']}/{key['skuId']}" for key in keys] == paths[:3] + paths[4:]
    assert len((await contoso.body(f"/Users/{user}/Seats"))["seats"]) == 25
    assert await contoso.body(f"/Users/{contoso.user('new')}/Seats") == {"seats": []}


async def test_seats_are_apart_from_other_tenants(world: World, contoso: Tenant) -> None:
    northwind = await Tenant.named(world, "northwind")
    path = await northwind.add_online()
    await northwind.call("POST", seat(path, northwind.user("ada")))

    assert error(await contoso.get(f"/Inventory{path}/Seats"))[0] == 404
    assert error(await contoso.get(f"/Users/{northwind.user('ada')}/Seats"))[0] == 404


async def test_refusals_strike_whom_they_name_as_often_as_they_say(world: World, contoso: Tenant, path: str) -> None:
    users = [contoso.user(name) for name in ("ada", "grace", "grace.h")]
    await world.control("business/seat-refusals", reason="LicensingBusy", userNames=[users[1].upper()], times=2)

    once = await contoso.bulk(path, "Assign", users)
    single = await contoso.call("POST", seat(path, users[1]))
    third = await contoso.call("POST", seat(path, users[1]))

    assert [(each["userName"], each["failureReason"]) for each in once["failedSeatOperations"]] == [
        (users[1], "LicensingBusy")
    ]
    assert error(single) == (409, {"reason": "LicensingBusy"})
    assert third.status_code == 200


async def test_refusals_by_pattern_of_one_product(world: World, contoso: Tenant, path: str) -> None:
    other = await contoso.add_online()
    _, product_id, sku_id = path.split("/")
    users = [contoso.user(f"user{number}") for number in range(10)]
    await world.control(
        "business/seat-refusals",
        reason="Blocked",
        pattern="user[0-4]@.*",
        product={"productId": product_id, "skuId": sku_id},
        status=403,
    )

    struck, spared = await contoso.bulk(path, "Assign", users), await contoso.bulk(other, "Assign", users)

    assert [each["userName"] for each in struck["failedSeatOperations"]] == users[:5]
    assert len(spared["seatDetails"]) == 10
    assert error(await contoso.call("POST", seat(path, users[0]))) == (403, {"reason": "Blocked"})
    await world.http.delete("/_emulator/business/seat-refusals")
    assert (await contoso.call("POST", seat(path, users[0]))).status_code == 200
