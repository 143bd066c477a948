"""Free products, as operators grant them."""

import asyncio
from typing import Any
from uuid import uuid4

import httpx
import pytest

from local.control import Control
from tests.support.app import App, problem
from tests.support.entitling import a_player, a_product, get

GRANT = "/purchases/grant$"


class TestFreeProducts:
    """``POST /users/{userId}/free-products``."""

    @pytest.fixture
    async def gift(self, control: Control) -> dict[str, Any]:
        """A free product that nobody has yet."""
        return {
            "orderId": str(uuid4()),
            "productId": await a_product(control, "Durable", price=0),
            "skuId": "0010",
            "availabilityId": "9RTEXAMPLE01",
            "language": "en-us",
            "market": "US",
        }

    async def give(self, app: App, name: str, gift: dict[str, Any], **changes: Any) -> httpx.Response:
        headers = await app.operator()
        return await app.http.post(f"/users/{name}/free-products", headers=headers, json=gift | changes)

    async def test_a_free_product_is_granted_once(self, app: App, control: Control, gift: dict[str, Any]) -> None:
        name, since = await a_player(app), await control.last_seen()

        answers = [await self.give(app, name, gift) for _ in range(2)]
        answers.append(await self.give(app, name, gift, orderId=gift["orderId"].upper()))

        expected = {"orderId": gift["orderId"], "productId": gift["productId"], "status": "granted"}
        assert [(answer.status_code, answer.json()) for answer in answers] == [(200, expected)] * 3
        assert await control.count(path=GRANT, since=since) == 1
        owned = await get(app, await app.player(name), "/users/me/products", productId=gift["productId"])
        assert [item["orderId"] for item in owned.json()["items"]] == [gift["orderId"]]

    async def test_many_at_once_are_one(self, app: App, control: Control, gift: dict[str, Any]) -> None:
        name, since = await a_player(app), await control.last_seen()

        answers = await asyncio.gather(*(self.give(app, name, gift) for _ in range(12)))

        assert {answer.status_code for answer in answers} <= {200, 202}
        assert await control.count(path=GRANT, since=since) == 1

    async def test_the_same_order_with_another_content_is_refused(self, app: App, gift: dict[str, Any]) -> None:
        name = await a_player(app)
        await self.give(app, name, gift)

        for changes in ({"market": "DE"}, {"productId": "9NABCDEF0009"}, {"sandbox": "XDKS.1"}):
            problem(await self.give(app, name, gift, **changes), 409, "/orderId")

        assert (await self.give(app, await a_player(app), gift)).status_code == 200  # another player's is another order

    @pytest.mark.parametrize(
        "effect", [{"status": 500, "when": "after"}, {"drop": "after"}, {"drop": "before"}], ids=str
    )
    async def test_after_a_lost_answer_the_same_order_is_sent_again(
        self, app: App, control: Control, gift: dict[str, Any], effect: dict[str, Any]
    ) -> None:
        name = await a_player(app)
        await control.disturb("purchase", effect, path=GRANT, times=1)

        answer = await self.give(app, name, gift)

        assert (answer.status_code, answer.json()["status"]) == (200, "granted")
        books = (await control.store.books(name))[name]
        assert [order["orderId"] for order in books["orders"]] == [gift["orderId"]]

    async def test_an_order_that_nobody_knows_of_is_told_so_and_may_come_again(
        self, app: App, control: Control, gift: dict[str, Any]
    ) -> None:
        name = await a_player(app)
        await control.disturb("purchase", {"status": 500}, path=GRANT, times=2)

        first, again = [await self.give(app, name, gift) for _ in range(2)]

        assert (first.status_code, first.json()["status"]) == (202, "unknown")
        assert first.headers["retry-after"] == "5"
        assert (again.status_code, again.json()["status"]) == (200, "granted")

    async def test_a_refusal_after_a_lost_answer_says_nothing_of_it(
        self, app: App, control: Control, gift: dict[str, Any]
    ) -> None:
        name = await a_player(app)
        refusal = {"code": "Conflict", "innererror": {"code": "AlreadyOrdered", "message": "seen before"}}
        await control.disturb("purchase", {"drop": "after"}, path=GRANT, times=1)
        await control.disturb("purchase", {"status": 409, "body": refusal}, path=GRANT, times=1)

        first, again = [await self.give(app, name, gift) for _ in range(2)]

        assert (first.status_code, first.json()["status"]) == (202, "unknown")
        assert "seen before" in first.json()["reason"]
        assert (again.status_code, again.json()["status"]) == (200, "granted")

    async def test_what_is_not_free_is_refused_each_time_and_sent_once(
        self, app: App, control: Control, gift: dict[str, Any]
    ) -> None:
        name, since = await a_player(app), await control.last_seen()
        dear = await a_product(control, "Durable", price=9.99)

        answers = [await self.give(app, name, gift, productId=dear) for _ in range(2)]

        for answer in answers:
            assert "not free" in problem(answer, 422)["detail"]
        assert await control.count(path=GRANT, since=since) == 1

    async def test_an_order_that_is_not_carried_out_yet_is_pending(
        self, app: App, control: Control, gift: dict[str, Any]
    ) -> None:
        name = await a_player(app)
        pending = {"orderId": gift["orderId"], "orderState": "Pending", "orderLineItems": []}
        await control.disturb("purchase", {"status": 200, "body": pending}, path=GRANT, times=1)

        first, again = [await self.give(app, name, gift) for _ in range(2)]

        assert (first.status_code, first.json()["status"]) == (202, "pending")
        assert first.json()["reason"] == "the order is Pending, its line missing"
        assert (again.status_code, again.json()["status"]) == (200, "granted")

    async def test_who_has_no_key_is_told_and_the_order_may_come_again(
        self, app: App, control: Control, gift: dict[str, Any]
    ) -> None:
        name = await a_player(app, "collections")

        problem(await self.give(app, name, gift), 409)
        await app.keep(await app.player(name), "purchase", await control.store_id("purchase", name))

        assert (await self.give(app, name, gift)).status_code == 200

    @pytest.mark.parametrize(
        ("changes", "pointer"),
        [
            ({"orderId": "not a guid"}, "/orderId"),
            ({"orderId": "9d0e1f2a-3b4c-4d5e-8f60-718293a4b5c6\n"}, "/orderId"),
            ({"orderId": None}, "/orderId"),
            ({"productId": ""}, "/productId"),
            ({"skuId": "a b"}, "/skuId"),
            ({"availabilityId": 5}, "/availabilityId"),
            ({"language": "x" * 65}, "/language"),
            ({"market": "é"}, "/market"),
            ({"quantity": 2}, ""),
        ],
        ids=str,
    )
    async def test_a_bad_body(
        self, app: App, control: Control, gift: dict[str, Any], changes: dict[str, Any], pointer: str
    ) -> None:
        since = await control.last_seen()

        problem(await self.give(app, "nobody", gift, **changes), 400, pointer)

        assert await control.count(service="purchase", since=since) == 0

    async def test_players_grant_nothing(self, app: App, gift: dict[str, Any]) -> None:
        problem(await app.http.post("/users/me/free-products", headers=await app.player(), json=gift), 403)
