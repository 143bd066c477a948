"""What players own, as callers see it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from local.control import Control
from tests.support.app import App, problem, unique
from tests.support.entitling import a_player, a_product, get

QUERY = "/publisherQuery$"


class TestProducts:
    """``GET /users/{userId}/products``."""

    async def test_a_player_sees_what_they_own_of_the_products_that_were_asked_for(
        self, app: App, control: Control
    ) -> None:
        name = await a_player(app)
        gems, sword = await a_product(control, "Consumable"), await a_product(control, "Durable")
        order = await control.store.buy(name, gems, 7)
        await control.store.buy(name, sword)

        answer = await get(app, await app.player(name), "/users/me/products", productId=[gems, "9NNOTOWNED000"])

        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert answer.json().keys() == {"items"}
        (item,) = answer.json()["items"]
        assert (
            item.items()
            >= {
                "productId": gems,
                "productKind": "Consumable",
                "quantity": 7,
                "status": "Active",
                "acquisitionType": "Single",
                "orderId": order["orderId"],
                "skuId": "0010",
            }.items()
        )
        assert item["endDate"] == "9999-12-31T23:59:59.9999999+00:00"

    async def test_an_operator_sees_any_players_in_chunks_of_a_hundred_and_all_pages(
        self, app: App, control: Control
    ) -> None:
        name = await a_player(app)
        product_ids = [f"9N{number:06}{uuid4().hex[:4].upper()}" for number in range(1000)]
        owned = product_ids[::111]
        for product_id in owned:
            await control.store.product(product_id, "Durable")
            await control.store.buy(name, product_id)
        since = await control.last_seen()

        answer = await get(app, await app.operator(), f"/users/{name}/products", productId=product_ids)

        assert answer.status_code == 200, answer.text
        assert [item["productId"] for item in answer.json()["items"]] == owned
        assert await control.count(path=QUERY, since=since) >= 10

    async def test_a_sandbox_of_its_own(self, app: App, control: Control) -> None:
        name = await a_player(app)
        gems = await a_product(control, "Consumable", sandbox="XDKS.1")
        await control.store.buy(name, gems, sandbox="XDKS.1")
        operator = await app.operator()

        retail = await get(app, operator, f"/users/{name}/products", productId=gems)
        there = await get(app, operator, f"/users/{name}/products", productId=gems, sandbox="XDKS.1")

        assert retail.json() == {"items": []}
        assert [item["productId"] for item in there.json()["items"]] == [gems]

    @pytest.mark.parametrize("spelling", ["recurrenceId", "recurrenceData", "recurrenceDataObject"])
    async def test_a_subscription_names_its_recurrence_however_the_store_spells_it(
        self, app: App, control: Control, spelling: str
    ) -> None:
        name = await a_player(app)
        season = await a_product(control, "Pass")
        subscription = await control.store.subscribe(name, season)
        await control.store.set(recurrenceField=spelling)
        try:
            answer = await get(app, await app.player(name), "/users/me/products", productId=season)
        finally:
            await control.store.reset()

        assert answer.json()["items"][0]["recurrenceId"] == subscription["id"]

    async def test_who_has_no_key_is_told_what_to_do(self, app: App, control: Control) -> None:
        name, since = await a_player(app, "purchase"), await control.last_seen()

        answer = await get(app, await app.player(name), "/users/me/products", productId="9NABCDEF0001")

        assert "have the game make one and PUT it" in problem(answer, 409)["detail"]
        assert await control.count(path=QUERY, since=since) == 0

    async def test_a_player_sees_nobody_elses(self, app: App) -> None:
        name = await a_player(app)

        problem(await get(app, await app.player(), f"/users/{name}/products", productId="9NABCDEF0001"), 404)
        problem(await get(app, await app.operator(), "/users/me/products", productId="9NABCDEF0001"), 404)
        problem(await get(app, {}, f"/users/{name}/products", productId="9NABCDEF0001"), 401)

    @pytest.mark.parametrize(
        ("query", "pointer", "words"),
        [
            ({}, "?productId", "is required"),
            ({"productId": ""}, "?productId", "is required"),
            ({"productId": "x" * 65}, "?productId", "at most 64"),
            ({"productId": ["9NABCDEF0001", "a b"]}, "?productId", "visible"),
            ({"productId": [f"9N{number}" for number in range(1001)]}, "?productId", "at most 1000"),
            ({"productId": "9N", "sandbox": ["A", "B"]}, "?sandbox", "twice"),
            ({"productId": "9N", "sandbox": "x" * 65}, "?sandbox", "at most 64"),
            ({"productId": "9N", "productID": "9N"}, "?productID", "no such parameter"),
        ],
        ids=lambda part: str(part)[:40],
    )
    async def test_a_bad_query(self, app: App, query: dict[str, Any], pointer: str, words: str) -> None:
        answer = await get(app, await app.player(), "/users/me/products", **query)

        assert words in problem(answer, 400, pointer)["errors"][0]["detail"]

    async def test_one_player_that_is_throttled_holds_up_no_other(self, app: App, control: Control) -> None:
        ada, bob = [await app.player(await a_player(app)) for _ in range(2)]
        await control.disturb("collections", {"status": 429, "retryAfter": 30}, path=QUERY, times=1)
        since = await control.last_seen()

        answers = [await get(app, ada, "/users/me/products", productId="9NABCDEF0001") for _ in range(2)]
        other = await get(app, bob, "/users/me/products", productId="9NABCDEF0001")

        for answer in answers:
            problem(answer, 503)
            assert 1 <= int(answer.headers["retry-after"]) <= 30
        assert other.status_code == 200
        assert await control.count(path=QUERY, since=since) == 2

    async def test_a_query_without_an_answer_is_made_again(self, app: App, control: Control) -> None:
        player = await app.player(await a_player(app))
        for effect in ({"status": 500}, {"drop": "before"}, {"status": 200, "body": "<html>"}):
            await control.disturb("collections", effect, path=QUERY, times=2)
            answer = await get(app, player, "/users/me/products", productId="9NABCDEF0001")
            assert answer.status_code == 200, answer.text

        await control.disturb("collections", {"status": 500, "retryAfter": 9}, path=QUERY)
        answer = await get(app, player, "/users/me/products", productId="9NABCDEF0001")
        problem(answer, 503)
        assert answer.headers["retry-after"] == "9"

    async def test_what_the_store_refuses_is_told_with_its_reason(self, app: App, control: Control) -> None:
        refusal = {"code": "BadRequest", "innererror": {"code": "InvalidParameter", "message": "productSkuIds is odd"}}
        await control.disturb("collections", {"status": 400, "body": refusal}, path=QUERY, times=1)

        answer = await get(app, await app.player(await a_player(app)), "/users/me/products", productId="9NABCDEF0001")

        assert "InvalidParameter, productSkuIds is odd" in problem(answer, 422)["detail"]

    async def test_a_key_that_is_due_is_renewed_before_it_is_used(self, app: App, control: Control) -> None:
        name = unique()
        player = await app.player(name)
        await app.keep(player, "collections", await control.store_id("collections", name, issuedDaysAgo=20))

        for _ in range(2):
            answer = await get(app, player, "/users/me/products", productId="9NABCDEF0001")
            assert answer.status_code == 200, answer.text

        kept = (await app.kept(player))["collections"]
        assert datetime.now(UTC) - datetime.fromisoformat(kept["issuedOn"]) < timedelta(minutes=1)

    async def test_a_revoked_key_is_told_like_a_missing_one(self, app: App, control: Control) -> None:
        name = unique()
        player = await app.player(name)
        key = await control.store_id("collections", name)
        await app.keep(player, "collections", key)
        await control.revoke(key)

        answer = await get(app, player, "/users/me/products", productId="9NABCDEF0001")

        assert "no longer takes" in problem(answer, 409)["detail"]
