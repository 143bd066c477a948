"""Collections: queries, their pages, and who may call."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.emulator.market import CONSUME, V8, V9, Market, inner, opened
from tests.emulator.world import World, fixture, shape

NO_END = "9999-12-31T23:59:59.9999999+00:00"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}\+00:00")

pytestmark = pytest.mark.usefixtures("store_as_at_first")


@pytest.fixture(scope="module")
async def market(world: World) -> AsyncIterator[Market]:
    async with opened(world) as market:
        store = market.store
        await store.product("GEMS", "Consumable", title="Gems")
        await store.product("POTION", "UnmanagedConsumable")
        await store.product("LEVELS", "Durable")
        await store.product("GAME", "Game", price=29.99)
        await store.product("STARTER", "Durable", contains={"GEMS": 5, "LEVELS": 1})
        await store.product("PASS", "Pass", contains={"LEVELS": 1})
        await store.product("ONLY-DEV", "Consumable", sandbox="XDKS.1")
        yield market


# Queries


async def test_an_item_has_the_published_shape(market: Market, player: str) -> None:
    order = await market.store.buy(player, "GEMS", 7)

    item = await market.item(player, "GEMS")

    assert shape(item) == shape(fixture("collections-v9-query-response-page-1")["items"][0])
    assert (item["productId"], item["quantity"], item["status"]) == ("GEMS", 7, "Active")
    assert (item["transactionId"], item["endDate"]) == (order["orderId"], NO_END)
    assert all(TIME.fullmatch(item[name]) for name in ("acquiredDate", "startDate", "modifiedDate"))
    assert re.fullmatch("[0-9a-f]{32}", item["id"])


async def test_a_v8_item_has_the_published_shape(market: Market, player: str) -> None:
    await market.store.buy(player, "GEMS", 7)
    await market.store.subscribe(player, "PASS")

    gems, subscription = await market.items(player, path=V8, expandSatisfyingItems=False)

    published = fixture("collections-v8-query-response")["items"]
    assert shape(gems) == shape(published[0])
    assert shape(subscription) == shape(published[1])
    assert gems["beneficiary"] == {"identityType": "pub", "identityValue": player}
    assert gems["localTicketReference"] == "ticket-1"


async def test_both_spellings_of_the_query_are_one(market: Market, player: str) -> None:
    await market.store.buy(player, "GEMS", 3)

    documented = await market.items(player, "GEMS")
    library = await market.items(player, "GEMS", path=V9.replace("publisher", "Publisher"))

    assert documented == library != []


async def test_nothing_bought_is_an_empty_answer(market: Market, player: str) -> None:
    answer = await market.query(player, "GEMS")

    assert answer.json() == fixture("collections-query-response-empty")


async def test_what_was_not_asked_for_is_not_listed(market: Market, player: str) -> None:
    await market.store.buy(player, "GEMS")
    await market.store.buy(player, "POTION")

    assert [item["productId"] for item in await market.items(player, "POTION")] == ["POTION"]
    sku = [{"productId": "POTION", "skuId": "0099"}]
    assert (await market.query(player, productSkuIds=sku)).json()["items"] == []


async def test_sandboxes_are_apart(market: Market, player: str) -> None:
    await market.store.buy(player, "GEMS", 2, sandbox="XDKS.1")

    assert await market.items(player, "GEMS") == []
    assert (await market.item(player, "GEMS", sbx="XDKS.1"))["quantity"] == 2


async def test_what_is_not_in_retail_is_sold_in_its_sandbox_alone(market: Market, player: str) -> None:
    await market.store.buy(player, "ONLY-DEV", sandbox="XDKS.1")

    with pytest.raises(RuntimeError, match="not published to RETAIL"):
        await market.store.buy(player, "ONLY-DEV")


@pytest.mark.parametrize(
    ("path", "change", "named"),
    [
        (V9, {"productSkuIds": None}, "productSkuIds"),
        (V9, {"productSkuIds": []}, "productSkuIds"),
        (V9, {"productSkuIds": [{"productId": f"P{n}"} for n in range(101)]}, "productSkuIds"),
        (V9, {"productSkuIds": [{"skuId": "0010"}]}, "productId"),
        (V9, {"maxPageSize": 201}, "maxPageSize"),
        (V9, {"maxPageSize": 0}, "maxPageSize"),
        (V9, {"validityType": "Good"}, "validityType"),
        (V9, {"beneficiaries": []}, "beneficiaries"),
        (V9, {"continuationToken": "{"}, "continuationToken"),
        (V9, {"sbx": 1}, "sbx"),
        (V8, {"market": None}, "market"),
        (V8, {"maxPageSize": 101}, "maxPageSize"),
        (V8, {"entitlementFilters": ["Game"]}, "entitlementFilters"),
    ],
)
async def test_a_wrong_query_is_told_its_field(
    market: Market, player: str, path: str, change: dict[str, object], named: str
) -> None:
    answer = await market.query(player, "GEMS", path=path, **change)

    assert inner(answer) == (400, "InvalidParameter")
    assert answer.json()["innererror"]["details"][0]["target"] == named


async def test_a_hundred_products_and_two_hundred_items_are_not_too_many(market: Market, player: str) -> None:
    products = [f"P{n}" for n in range(99)]

    assert (await market.query(player, "GEMS", *products, maxPageSize=200)).status_code == 200


async def test_validity(market: Market, player: str) -> None:
    await market.store.buy(player, "GEMS")
    order = await market.store.buy(player, "LEVELS")
    await market.store.refund(player, order["orderId"])

    async def found(validity: str) -> list[tuple[str, str]]:
        items = await market.items(player, "GEMS", "LEVELS", validityType=validity)
        return [(item["productId"], item["status"]) for item in items]

    assert await found("All") == [("GEMS", "Active"), ("LEVELS", "Revoked")]
    assert await found("valid") == [("GEMS", "Active")]
    assert await found("Invalid") == [("LEVELS", "Revoked")]
    assert len(await found("NotYetEnded")) == 2
    assert await found("NotYetStarted") == []


async def test_entitlement_filters_and_market_are_of_v8(market: Market, player: str) -> None:
    await market.store.buy(player, "GEMS")
    await market.store.buy(player, "POTION")
    await market.store.buy(player, "GAME")

    items = await market.items(player, path=V8, entitlementFilters=["*:Game", "*:UnmanagedConsumable"])

    assert sorted(item["productId"] for item in items) == ["GAME", "POTION"]


async def test_a_trial_tells_its_time(market: Market, player: str) -> None:
    await market.store.buy(player, "GAME", trialSeconds=3600)

    item = await market.item(player, "GAME")

    assert shape(item["trialData"]) == shape(fixture("collections-v9-query-response-page-1")["items"][1]["trialData"])
    assert item["trialData"]["isTrial"]
    assert item["trialData"]["isInTrialPeriod"]
    assert item["trialData"]["trialTimeRemaining"].startswith("00:59:")


async def test_a_trial_that_is_over(market: Market, player: str) -> None:
    await market.store.buy(player, "GAME", trialSeconds=-1)

    item = await market.item(player, "GAME")

    assert item["status"] == "Expired"
    assert item["trialData"] == {
        "isInTrialPeriod": False,
        "isTrial": True,
        "trialTimeRemaining": "00:00:00.0000000",
    }


async def test_a_bundle_satisfies_what_it_contains(market: Market, player: str) -> None:
    await market.store.buy(player, "STARTER")

    gems, levels, bundle = await market.items(player, "GEMS", "LEVELS", "STARTER")

    assert (gems["quantity"], gems["satisfiedByProductIds"]) == (5, [])
    assert (levels["satisfiedByProductIds"], levels["status"]) == (["STARTER"], "Active")
    assert bundle["satisfiedByProductIds"] == []
    assert gems["transactionId"] == levels["transactionId"] == bundle["transactionId"]
    assert len({gems["id"], levels["id"], bundle["id"]}) == 3


async def test_v8_looks_for_satisfying_items_when_it_is_told_to(market: Market, player: str) -> None:
    await market.store.buy(player, "STARTER")

    assert await market.items(player, "LEVELS", path=V8) == []
    [item] = await market.items(player, "LEVELS", path=V8, expandSatisfyingItems=True)
    assert item["satisfiedByProductIds"] == ["STARTER"]


async def test_duplicates_are_left_out_a_page_at_a_time(market: Market, player: str) -> None:
    await market.store.buy(player, "LEVELS")
    await market.store.buy(player, "STARTER")
    await market.store.subscribe(player, "PASS")

    async def found(**more: Any) -> list[list[str]]:
        return [item["satisfiedByProductIds"] for item in await market.items(player, "LEVELS", **more)]

    assert await found() == [[], ["STARTER"], ["PASS"]]
    assert await found(excludeDuplicates=True) == [[]]
    assert await found(excludeDuplicates=True, maxPageSize=2) == [[], ["PASS"]]


async def test_an_active_duplicate_goes_before_a_revoked_one(market: Market, player: str) -> None:
    order = await market.store.buy(player, "LEVELS")
    await market.store.refund(player, order["orderId"])
    await market.store.subscribe(player, "PASS")

    item = await market.item(player, "LEVELS", excludeDuplicates=True)

    assert (item["status"], item["satisfiedByProductIds"], item["acquisitionType"]) == (
        "Active",
        ["PASS"],
        "Conditional",
    )


async def test_pages(market: Market, player: str) -> None:
    for product in ("GEMS", "POTION", "LEVELS"):
        await market.store.buy(player, product)
    products = ("GEMS", "POTION", "LEVELS")

    first = (await market.query(player, *products, maxPageSize=2)).json()
    token = first["continuationToken"]
    second = (await market.query(player, *products, maxPageSize=2, continuationToken=token)).json()
    third = (await market.query(player, *products, maxPageSize=2, continuationToken=second["continuationToken"])).json()

    assert token.startswith('{"checkSatisfactionIndex":2')
    assert [item["productId"] for item in first["items"]] == ["GEMS", "POTION"]
    assert second["items"] == []
    assert [item["productId"] for item in third["items"]] == ["LEVELS"]
    assert "continuationToken" not in third


async def test_empty_pages_can_be_left_out(market: Market, player: str) -> None:
    await market.store.buy(player, "GEMS")
    await market.store.buy(player, "POTION")
    await market.store.set(emptyPages=False)

    first = (await market.query(player, "GEMS", "POTION", maxPageSize=1)).json()
    second = await market.query(player, "GEMS", "POTION", maxPageSize=1, continuationToken=first["continuationToken"])

    assert [item["productId"] for item in second.json()["items"]] == ["POTION"]
    assert "continuationToken" not in second.json()


async def test_a_token_wants_the_same_body_but_for_the_key(market: Market, player: str) -> None:
    await market.store.buy(player, "GEMS")
    await market.store.buy(player, "POTION")
    first = await market.query(player, "GEMS", "POTION", maxPageSize=1)
    token = first.json()["continuationToken"]

    changed = await market.query(player, "GEMS", "POTION", maxPageSize=2, continuationToken=token)
    other_key = await market.identity(player) | {"identityValue": await market.world.key(publisherUserId=player)}
    renewed = await market.query(
        player, "GEMS", "POTION", maxPageSize=1, continuationToken=token, beneficiaries=[other_key]
    )

    assert inner(changed) == (400, "InvalidParameter")
    assert renewed.status_code == 200


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("recurrenceId", ("recurrenceId", str)),
        ("recurrenceData", ("recurrenceData", str)),
        ("recurrenceDataObject", ("recurrenceData", dict)),
    ],
)
async def test_a_subscription_is_named_in_every_way_that_was_published(
    market: Market, player: str, spelling: str, expected: tuple[str, type]
) -> None:
    subscription = await market.store.subscribe(player, "PASS")
    await market.store.set(recurrenceField=spelling)

    item = await market.item(player, "PASS")

    name, kind = expected
    assert isinstance(item[name], kind)
    assert subscription["id"] in str(item[name])
    assert {"recurrenceId", "recurrenceData"} & item.keys() == {name}
    assert item["acquisitionType"] == "Recurring"


async def test_a_v8_item_may_call_its_kind_a_type(market: Market, player: str) -> None:
    await market.store.buy(player, "GEMS")
    await market.store.set(kindField="productType")

    [item] = await market.items(player, path=V8)

    assert item["productType"] == "Consumable"
    assert "productKind" not in item


# Who may call


@pytest.mark.parametrize("path", [V9, V8, CONSUME])
async def test_calls_need_a_service_token(market: Market, player: str, path: str) -> None:
    body = {"beneficiaries": [await market.identity(player)], "beneficiary": await market.identity(player)}
    another = await market.world.token("https://onestore.microsoft.com/b2b/keys/create/collections")

    without = await market.world.http.post(path, json=body)
    wrong = await market.post(path, body, token=another)

    assert inner(without) == (401, "PartnerAadTicketRequired")
    assert inner(wrong) == (401, "AuthenticationTokenInvalid")
    assert without.headers["MS-CorrelationId"]


@pytest.mark.parametrize(
    "options",
    [{"kind": "purchase"}, {"issuedDaysAgo": 31}, {"clientId": "another-client"}],
    ids=["purchase", "expired", "another client's"],
)
async def test_calls_need_a_good_key(market: Market, player: str, options: dict[str, Any]) -> None:
    key = await market.world.key(**({"kind": "collections", "publisherUserId": player} | options))
    identity = await market.identity(player) | {"identityValue": key}

    answer = await market.query(player, "GEMS", beneficiaries=[identity])

    expected = "InconsistentClientId" if "clientId" in options else "AuthenticationTokenInvalid"
    assert inner(answer) == (401, expected)


async def test_a_revoked_key_is_refused(market: Market, player: str) -> None:
    await market.key(player, "collections")
    await market.world.control("store-ids/revocations", publisherUserId=player, kind="collections")

    assert inner(await market.consume(player, "GEMS", 1)) == (401, "AuthenticationTokenInvalid")


async def test_an_app_that_is_not_listed_sees_nothing_and_no_error(market: Market, player: str) -> None:
    await market.store.buy(player, "GEMS")
    admin = (await market.world.http.get("/_emulator/admin")).json()
    token = await market.world.token(client_id=admin["clientId"], secret=admin["clientSecret"])
    key = await market.world.key(publisherUserId=player, clientId=admin["clientId"])
    identity = await market.identity(player) | {"identityValue": key}

    answer = await market.post(V9, {"beneficiaries": [identity], "productSkuIds": [{"productId": "GEMS"}]}, token=token)

    assert (answer.status_code, answer.json()) == (200, {"items": []})
