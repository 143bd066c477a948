"""What players subscribe to, and what operators change of it, as callers see it."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from local.control import Control
from tests.support.app import App, Headers, problem, unique
from tests.support.entitling import a_player, a_product, get
from tests.support.polling import eventually

CHANGE = "/change$"


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
