"""What players own and subscribe to, what operators change of it, and free products, as callers see them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import pytest

from local.control import Control, Kind
from tests.support.app import App, Headers, problem, unique
from tests.support.polling import eventually

QUERY, CHANGE, GRANT = "/publisherQuery$", "/change$", "/purchases/grant$"
RECURRENCES = "/recurrences/query$"


async def a_product(control: Control, kind: str, **options: Any) -> str:
    """A product that no other test knows."""
    product_id = f"9N{uuid4().hex[:10].upper()}"
    await control.store.product(product_id, kind, **options)
    return product_id


async def a_player(app: App, *kinds: Kind) -> str:
    """A player whose keys are kept."""
    name = unique()
    player = await app.player(name)
    for kind in kinds or ("collections", "purchase"):
        await app.keep(player, kind, await app.control.store_id(kind, name))
    return name


async def get(app: App, headers: Headers, path: str, **query: Any) -> httpx.Response:
    return await app.http.get(path, headers=headers, params=query)


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


class TestSubscriptions:
    """``GET /users/{userId}/subscriptions``."""

    async def test_all_pages_each_with_whether_it_entitles(self, app: App, control: Control) -> None:
        name = await a_player(app)
        expected = {}
        for number in range(28):
            subscription = await control.store.subscribe(name, await a_product(control, "Pass"))
            expected[subscription["id"]] = number % 4 in {0, 1}
            match number % 4:
                case 1:
                    await control.store.lapse(subscription["id"])
                case 2:
                    await control.store.lapse(subscription["id"], graceDays=1, endedDaysAgo=2)
                case 3:
                    await control.store.end(subscription["id"], "Canceled")

        answer = await get(app, await app.player(name), "/users/me/subscriptions")

        assert answer.status_code == 200, answer.text
        items = answer.json()["items"]
        assert {each["recurrenceId"]: each["entitled"] for each in items} == expected
        assert {each["state"] for each in items} == {"Active", "InDunning", "Canceled"}
        first = items[0]
        assert first.keys() >= {"productId", "skuId", "startTime", "expirationTime", "expirationTimeWithGrace"}

    async def test_a_state_that_lags_entitles_nobody(self, app: App, control: Control) -> None:
        name = await a_player(app)
        await control.store.subscribe(name, await a_product(control, "Pass"), days=-30)

        (item,) = (await get(app, await app.operator(), f"/users/{name}/subscriptions")).json()["items"]

        assert (item["state"], item["entitled"]) == ("Active", False)

    async def test_who_has_no_purchase_key_is_told(self, app: App) -> None:
        name = await a_player(app, "collections")

        document = problem(await get(app, await app.player(name), "/users/me/subscriptions"), 409)

        assert document["detail"].startswith("A purchase key of this user is needed")


class Subscriber:
    """A player with a subscription, and an operator."""

    def __init__(self, app: App, headers: Headers, name: str, subscription: dict[str, Any]) -> None:
        self.app, self.headers, self.name, self.id = app, headers, name, subscription["id"]
        self.path = f"/users/{name}/subscriptions/{self.id}/changes"

    async def change(self, change_type: str, change_id: str | None = None, **more: Any) -> httpx.Response:
        body = {"changeId": change_id or unique("change"), "changeType": change_type, **more}
        return await self.app.http.post(self.path, headers=self.headers, json=body)

    async def now(self) -> dict[str, Any]:
        answer = await get(self.app, self.headers, f"/users/{self.name}/subscriptions")
        found: dict[str, Any] = next(each for each in answer.json()["items"] if each["recurrenceId"] == self.id)
        return found

    async def end(self) -> datetime:
        return datetime.fromisoformat((await self.now())["expirationTime"])


@pytest.fixture
async def subscriber(app: App, control: Control) -> Subscriber:
    name = await a_player(app)
    subscription = await control.store.subscribe(name, await a_product(control, "Pass"))
    return Subscriber(app, await app.operator(), name, subscription)


class TestChanges:
    """``POST /users/{userId}/subscriptions/{recurrenceId}/changes``."""

    @pytest.mark.parametrize("shape", ["single", "items"])
    @pytest.mark.parametrize("days", [5, -3])
    async def test_an_extension_is_carried_out_once(
        self, control: Control, subscriber: Subscriber, shape: str, days: int
    ) -> None:
        before, since = await subscriber.end(), await control.last_seen()
        await control.store.set(changeAnswer=shape)
        try:
            answers = [await subscriber.change("Extend", "once", extensionTimeInDays=days) for _ in range(3)]
        finally:
            await control.store.reset()

        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert answers[0].json() == answers[1].json() == answers[2].json()
        told = answers[0].json()
        assert told["status"] == "done"
        assert datetime.fromisoformat(told["expirationTime"]) == before + timedelta(days=days)
        assert datetime.fromisoformat(told["expirationTimeBefore"]) == before
        assert await subscriber.end() == before + timedelta(days=days)
        assert await control.count(path=CHANGE, since=since) == 1

    async def test_many_at_once_are_one(self, control: Control, subscriber: Subscriber) -> None:
        before, since = await subscriber.end(), await control.last_seen()

        answers = await asyncio.gather(*(subscriber.change("Extend", "once", extensionTimeInDays=5) for _ in range(12)))

        assert {answer.status_code for answer in answers} <= {200, 202}
        assert 200 in {answer.status_code for answer in answers}
        assert await subscriber.end() == before + timedelta(days=5)
        assert await control.count(path=CHANGE, since=since) == 1

    async def test_two_changes_are_two(self, subscriber: Subscriber) -> None:
        before = await subscriber.end()

        for _ in range(2):
            assert (await subscriber.change("Extend", extensionTimeInDays=5)).status_code == 200

        assert await subscriber.end() == before + timedelta(days=10)

    async def test_the_same_id_with_another_content_is_refused(self, subscriber: Subscriber) -> None:
        await subscriber.change("Extend", "once", extensionTimeInDays=5)
        before = await subscriber.end()

        for other in (
            await subscriber.change("Extend", "once", extensionTimeInDays=6),
            await subscriber.change("Refund", "once"),
            await subscriber.change("Extend", "once", extensionTimeInDays=5, sandbox="XDKS.1"),
        ):
            problem(other, 409, "/changeId")

        assert await subscriber.end() == before

    @pytest.mark.parametrize("effect", [{"status": 500, "when": "after"}, {"drop": "after"}], ids=str)
    async def test_an_extension_whose_answer_was_lost_is_found_and_not_repeated(
        self, control: Control, subscriber: Subscriber, effect: dict[str, Any]
    ) -> None:
        before, since = await subscriber.end(), await control.last_seen()
        await control.disturb("purchase", effect, path=CHANGE)

        answers = [await subscriber.change("Extend", "once", extensionTimeInDays=5) for _ in range(2)]

        assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(200, "done")] * 2
        assert await subscriber.end() == before + timedelta(days=5)
        assert await control.count(path=CHANGE, since=since) == 1

    async def test_an_extension_that_nobody_knows_of_is_told_so_and_bars_others(
        self, control: Control, subscriber: Subscriber
    ) -> None:
        await control.disturb("purchase", {"drop": "before"}, path=CHANGE, times=1)

        first, again = [await subscriber.change("Extend", "lost", extensionTimeInDays=5) for _ in range(2)]

        assert [(answer.status_code, answer.json()["status"]) for answer in (first, again)] == [(202, "unknown")] * 2
        assert 60 < int(again.headers["retry-after"]) <= 300
        other = await subscriber.change("Extend", extensionTimeInDays=5)
        assert "change lost of this subscription (Extend by 5 days) is not settled" in problem(other, 409)["detail"]

    async def test_a_refund_whose_answer_was_lost_shows_itself(self, control: Control, subscriber: Subscriber) -> None:
        since = await control.last_seen()
        await control.disturb("purchase", {"drop": "after"}, path=CHANGE)

        answer = await subscriber.change("Refund", "once")

        assert (answer.status_code, answer.json()["status"]) == (200, "done")
        assert answer.json()["state"] in {"Canceled", "Inactive"}
        assert await control.count(path=CHANGE, since=since) == 1

    async def test_a_refund_that_nobody_knows_of_is_never_repeated(
        self, control: Control, subscriber: Subscriber
    ) -> None:
        since = await control.last_seen()
        await control.disturb("purchase", {"status": 503}, path=CHANGE, times=1)

        answers = [await subscriber.change("Refund", "once") for _ in range(3)]

        assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(202, "unknown")] * 3
        assert await control.count(path=CHANGE, since=since) == 1
        await control.store.end(subscriber.id, "Canceled")
        later = await subscriber.change("Refund", "once")
        assert (later.status_code, later.json()["status"]) == (200, "done")

    @pytest.mark.parametrize("change_type", ["Cancel", "ToggleAutoRenew"])
    async def test_what_may_be_repeated_ends_well(
        self, control: Control, subscriber: Subscriber, change_type: str
    ) -> None:
        await control.disturb("purchase", {"drop": "after"}, path=CHANGE, times=1)

        answer = await subscriber.change(change_type, "once")

        assert (answer.status_code, answer.json()["status"]) == (200, "done")
        now = await subscriber.now()
        assert now["autoRenew"] is False
        assert now["entitled"] is (change_type == "ToggleAutoRenew")

    async def test_what_the_store_refuses_is_told_each_time_and_sent_once(
        self, control: Control, subscriber: Subscriber
    ) -> None:
        await control.store.end(subscriber.id, "Inactive")
        since = await control.last_seen()

        answers = [await subscriber.change("Extend", "once", extensionTimeInDays=5) for _ in range(2)]

        for answer in answers:
            assert "the subscription has ended" in problem(answer, 422)["detail"]
        assert await control.count(path=CHANGE, since=since) == 1
        problem(await subscriber.change("Extend", extensionTimeInDays=5), 422)

    async def test_a_throttled_change_was_not_carried_out_and_may_come_again(
        self, app: App, control: Control, subscriber: Subscriber
    ) -> None:
        before = await subscriber.end()
        await control.disturb("purchase", {"status": 429, "retryAfter": 1}, path=CHANGE, times=1)

        throttled = await subscriber.change("Extend", "once", extensionTimeInDays=5)
        problem(throttled, 503)
        assert throttled.headers["retry-after"] == "1"

        async def carried_out() -> bool:
            return (await subscriber.change("Extend", "once", extensionTimeInDays=5)).status_code == 200

        await eventually(carried_out)
        assert await subscriber.end() == before + timedelta(days=5)

    async def test_no_such_subscription(self, control: Control, subscriber: Subscriber) -> None:
        since = await control.last_seen()
        for other in ("mdr:0:nobodys", "a%2F..%2Fb", "%C3%A9"):
            path = f"/users/{subscriber.name}/subscriptions/{other}/changes"
            body = {"changeId": unique(), "changeType": "Refund"}
            problem(await subscriber.app.http.post(path, headers=subscriber.headers, json=body), 404)
        assert await control.count(path=CHANGE, since=since) == 0

    async def test_players_change_nothing(self, app: App, subscriber: Subscriber) -> None:
        subscriber.headers = await app.player(subscriber.name)

        problem(await subscriber.change("Extend", extensionTimeInDays=5), 403)

    @pytest.mark.parametrize(
        ("body", "status", "pointer"),
        [
            ({"changeType": "Extend"}, 422, "/extensionTimeInDays"),
            ({"changeType": "Extend", "extensionTimeInDays": 0}, 422, "/extensionTimeInDays"),
            ({"changeType": "Cancel", "extensionTimeInDays": 5}, 422, "/extensionTimeInDays"),
            ({"changeType": "Extend", "extensionTimeInDays": 3661}, 400, "/extensionTimeInDays"),
            ({"changeType": "Extend", "extensionTimeInDays": "5"}, 400, "/extensionTimeInDays"),
            ({"changeType": "Extend", "extensionTimeInDays": 1.5}, 400, "/extensionTimeInDays"),
            ({"changeType": "extend", "extensionTimeInDays": 5}, 400, "/changeType"),
            ({}, 400, "/changeType"),
            ({"changeType": "Refund", "changeId": None}, 400, "/changeId"),
            ({"changeType": "Refund", "changeId": ""}, 400, "/changeId"),
            ({"changeType": "Refund", "changeId": "a/b"}, 400, "/changeId"),
            ({"changeType": "Refund", "changeId": "a\n"}, 400, "/changeId"),
            ({"changeType": "Refund", "changeId": "a" * 129}, 400, "/changeId"),
            ({"changeType": "Refund", "sandbox": ""}, 400, "/sandbox"),
            ({"changeType": "Refund", "more": 1}, 400, ""),
        ],
        ids=str,
    )
    async def test_a_bad_body(
        self, app: App, control: Control, body: dict[str, Any], status: int, pointer: str
    ) -> None:
        since = await control.last_seen()
        path, headers = "/users/nobody/subscriptions/mdr:0:x/changes", await app.operator()

        problem(await app.http.post(path, headers=headers, json={"changeId": "c-1"} | body), status, pointer)

        assert await control.count(service="purchase", since=since) == 0


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
