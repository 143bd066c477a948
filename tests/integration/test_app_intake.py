"""Keys come in, are shown, are forgotten."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from local.control import Control, Kind
from tests.support.app import App, Headers, Storage, problem, unique
from tests.support.crafted import PREFIX, claims_of, jwt_of

KINDS: list[Kind] = ["collections", "purchase"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prefix", ["http", "https"])
async def test_a_first_key_is_kept(app: App, control: Control, storage: Storage, kind: Kind, prefix: str) -> None:
    name = unique()
    key = await control.store_id(kind, name, claimPrefix=prefix)

    answer = await app.put(await app.player(name), kind, key)

    assert answer.status_code == 201
    kept = answer.json()
    assert kept.keys() == {"userId", "kind", "status", "issuedOn", "expiresOn", "renewAfter"}
    assert (kept["userId"], kept["kind"], kept["status"]) == (name, kind, "active")
    issued, expires, renew = (datetime.fromisoformat(kept[each]) for each in ("issuedOn", "expiresOn", "renewAfter"))
    assert abs(datetime.now(UTC) - issued) < timedelta(seconds=30)
    assert expires - issued == timedelta(days=30)
    assert timedelta(days=14) <= renew - issued <= timedelta(days=14.5)
    due, own = await storage.rows_of(name)
    assert own["RowKey"].startswith("user|")
    assert due["RowKey"].startswith(f"due|{kept['renewAfter']}|")


async def test_a_newer_key_replaces_and_an_older_one_changes_nothing(app: App, control: Control) -> None:
    name = unique()
    player = await app.player(name)
    old, middle, new = [await control.store_id("collections", name, issuedDaysAgo=days) for days in (3, 2, 1)]

    first = await app.put(player, "collections", middle)
    late = await app.put(player, "collections", old)
    newer = await app.put(player, "collections", new)
    later = await app.put(player, "collections", middle)

    assert [answer.status_code for answer in (first, late, newer, later)] == [201, 200, 200, 200]
    assert late.json() == first.json()
    assert later.json() == newer.json() != first.json()
    assert (await app.kept(player))["collections"] == newer.json()


async def test_the_same_key_twice_is_one_key(app: App, control: Control, storage: Storage) -> None:
    name = unique()
    player, key = await app.player(name), await control.store_id("purchase", name)

    first, second = [await app.put(player, "purchase", key) for _ in range(2)]

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert len(await storage.rows_of(name)) == 2


async def test_both_kinds_at_once_are_both_kept(app: App, control: Control, storage: Storage) -> None:
    for _ in range(5):
        name = unique()
        player = await app.player(name)
        keys = {kind: await control.store_id(kind, name) for kind in KINDS}

        answers = await asyncio.gather(*(app.put(player, kind, key) for kind, key in keys.items()))

        assert [answer.status_code for answer in answers] == [201, 201]
        assert (await app.kept(player)).keys() == keys.keys()
        assert len(await storage.rows_of(name)) == 2


async def test_of_many_keys_at_once_the_newest_stays(app: App, control: Control, storage: Storage) -> None:
    name = unique()
    player = await app.player(name)
    keys = [await control.store_id("collections", name, issuedDaysAgo=days) for days in (5, 1, 4, 2)]

    answers = await asyncio.gather(*(app.put(player, "collections", key) for key in keys))

    assert {answer.status_code for answer in answers} <= {200, 201}
    kept = (await app.kept(player))["collections"]
    age = datetime.now(UTC) - datetime.fromisoformat(kept["issuedOn"])
    assert timedelta(days=0.9) < age < timedelta(days=1.1)
    assert len(await storage.rows_of(name)) == 2


async def test_who_has_no_key_has_an_empty_list(app: App) -> None:
    assert await app.kept(await app.player()) == {}


async def test_a_forgotten_key_is_gone_and_forgetting_again_is_no_error(
    app: App, control: Control, storage: Storage
) -> None:
    name = unique()
    player = await app.player(name)
    for kind in KINDS:
        await app.keep(player, kind, await control.store_id(kind, name))

    for kind in KINDS:
        for _ in range(2):
            answer = await app.http.delete(f"/users/me/store-ids/{kind}", headers=player)
            assert (answer.status_code, answer.content) == (204, b"")
        assert kind not in await app.kept(player)

    assert await storage.rows_of(name) == []
    key = await control.store_id("purchase", name)
    assert (await app.put(player, "purchase", key)).status_code == 201


async def test_a_key_never_comes_out_again(app: App, control: Control) -> None:
    name = unique()
    player, key = await app.player(name), await control.store_id("collections", name)

    answers = [await app.put(player, "collections", key), await app.http.get("/users/me/store-ids", headers=player)]

    assert not any(key.rpartition(".")[2] in answer.text + str(answer.headers) for answer in answers)


class TestFromXToken:
    """Keys that the Store makes for us from a delegated X-token."""

    @pytest.mark.parametrize("kind", KINDS)
    async def test_a_key_is_made_and_kept(self, app: App, control: Control, kind: Kind) -> None:
        name = unique()
        player = await app.player(name)
        body = {"xToken": await control.x_token(name, kind), "publisherUserId": name}
        path = f"/users/me/store-ids/{kind}/from-xtoken"

        first, again = [await app.http.post(path, headers=player, json=body) for _ in range(2)]

        assert (first.status_code, again.status_code) == (201, 200)
        assert (await app.kept(player))[kind] == again.json()
        assert first.json()["status"] == "active"

    @pytest.mark.parametrize(
        ("kind", "minted_for", "seconds", "reason"),
        [
            ("collections", "collections", -60, "Expired Token"),
            ("collections", "purchase", 3600, "Invalid Token"),
            ("purchase", "collections", 3600, "Invalid Token"),
        ],
    )
    async def test_the_stores_refusal_is_told_with_its_reason(
        self, app: App, control: Control, kind: Kind, minted_for: Kind, seconds: int, reason: str
    ) -> None:
        player = await app.player()
        x_token = await control.x_token("somebody", minted_for, expiresInSeconds=seconds)

        answer = await app.http.post(
            f"/users/me/store-ids/{kind}/from-xtoken", headers=player, json={"xToken": x_token}
        )

        assert reason in problem(answer, 422, "/xToken")["detail"]
        assert x_token.rpartition(";")[2] not in answer.text
        assert await app.kept(player) == {}

    async def test_a_store_that_is_away_is_an_outage(self, app: App, control: Control) -> None:
        body = {"xToken": await control.x_token("somebody", "purchase")}
        path, player = "/users/me/store-ids/purchase/from-xtoken", await app.player()
        for effect, wait in (
            ({"status": 429, "retryAfter": 37}, "37"),
            ({"status": 503, "retryAfter": 7}, "7"),
            ({"status": 500}, "5"),
            ({"drop": "before"}, "5"),
        ):
            await control.disturb("purchase", effect)
            answer = await app.http.post(path, headers=player, json=body)
            problem(answer, 503)
            assert answer.headers["retry-after"] == wait
            await control.calm()

        assert (await app.http.post(path, headers=player, json=body)).status_code == 201


class TestBadInput:
    """A problem document that names what is wrong, and nothing is changed."""

    @pytest.fixture
    async def me(self, app: App, control: Control, storage: Storage) -> tuple[Headers, str, list[dict[str, Any]]]:
        """A player with a key that must stay as it is: their header, their name, their rows."""
        name = unique()
        player = await app.player(name)
        await app.keep(player, "collections", await control.store_id("collections", name))
        return player, name, await storage.rows_of(name)

    async def send(self, app: App, player: Headers, body: bytes, content_type: str | None) -> httpx.Response:
        headers = player | ({"content-type": content_type} if content_type else {})
        return await app.http.put("/users/me/store-ids/collections", headers=headers, content=body)

    @pytest.mark.parametrize(
        ("body", "content_type", "status", "pointer", "words"),
        [
            (b'{"key":"not a key"}', "application/json", 422, "/key", "malformed"),
            (b'{"key":"a.b.c"}', "application/json", 422, "/key", "malformed"),
            ('{"key":"é.é.é"}'.encode(), "application/json", 422, "/key", "malformed"),
            (b'{"key":""}', "application/json", 422, "/key", "malformed"),
            (b'{"key":"' + b"a" * 16_385 + b'"}', "application/json", 422, "/key", "longer than"),
            (b'{"key":"' + b"a" * 1_000_000 + b'"}', "application/json", 413, "", "at most"),
            (b'{"key":"a"}', "text/plain", 415, "Content-Type", "application/json"),
            (b'{"key":"a"}', None, 415, "Content-Type", "application/json"),
            (b"key=a", "application/x-www-form-urlencoded", 415, "Content-Type", "application/json"),
            (b'{"key":"\xff"}', "application/json", 400, "", "not UTF-8"),
            (b'{"key":"a","key":"b"}', "application/json", 400, "", "given twice"),
            (b'{"key":"\\ud800"}', "application/json", 400, "", ""),
            (b'{"\\ud800":1}', "application/json", 400, "", ""),
            (b"", "application/json", 400, "", "not JSON"),
            (b"{", "application/json", 400, "", "not JSON"),
            (b"[" * 60_000, "application/json", 400, "", ""),
            (b"[]", "application/json", 400, "", "object"),
            (b"{}", "application/json", 400, "/key", "key"),
            (b'{"key":5}', "application/json", 400, "/key", "str"),
            (b'{"key":"a","more":1}', "application/json", 400, "", "more"),
        ],
        ids=lambda part: str(part)[:30],
    )
    async def test_a_bad_body(
        self,
        app: App,
        storage: Storage,
        me: tuple[Headers, str, list[dict[str, Any]]],
        body: bytes,
        content_type: str | None,
        status: int,
        pointer: str,
        words: str,
    ) -> None:
        player, name, rows = me

        document = problem(await self.send(app, player, body, content_type), status, pointer)

        assert words in document["errors"][0]["detail"]
        assert await storage.rows_of(name) == rows

    @pytest.mark.parametrize(
        ("minted", "words"),
        [
            ({"kind": "purchase"}, "a collections key is expected"),
            ({"clientId": "99999999-9999-4999-8999-999999999999"}, "another client id"),
            ({"issuedDaysAgo": 31}, "expired"),
            ({"issuedDaysAgo": 15, "lifetimeDays": 15}, "expired"),
            ({"issuedDaysAgo": -1}, "in the future"),
            ({"refreshUri": "https://evil.example/v6.0/b2b/keys/renew"}, "renewal address"),
            ({"refreshUri": "https://purchase.mp.microsoft.com/v6.0/b2b/keys/renew"}, "renewal address"),
            ({"refreshUri": "https://collections.mp.microsoft.com@evil.example/"}, "renewal address"),
        ],
        ids=str,
    )
    async def test_a_key_that_could_not_be_renewed(
        self,
        app: App,
        control: Control,
        storage: Storage,
        me: tuple[Headers, str, list[dict[str, Any]]],
        minted: dict[str, Any],
        words: str,
    ) -> None:
        player, name, rows = me
        key = await control.store_id(**{"kind": "collections", "user": name, **minted})

        answer = await app.put(player, "collections", key)

        assert words in problem(answer, 422, "/key")["errors"][0]["detail"]
        assert key.rpartition(".")[2] not in answer.text
        assert await storage.rows_of(name) == rows

    async def test_microsofts_documented_renewal_address_is_fine(self, app: App, control: Control) -> None:
        address = "https://collections.mp.microsoft.com/v6.0/b2b/keys/renew"
        key = await control.store_id("collections", "x", refreshUri=address)

        assert (await app.put(await app.player(), "collections", key)).status_code == 201

    async def test_a_forged_claim_set_that_contradicts_itself(
        self, app: App, me: tuple[Headers, str, list[dict[str, Any]]]
    ) -> None:
        other = PREFIX.replace("http:", "https:")

        answer = await app.put(me[0], "collections", jwt_of(claims_of() | claims_of(prefix=other, clientId="x")))

        assert "given twice" in problem(answer, 422, "/key")["detail"]

    @pytest.mark.parametrize("kind", ["service", "Collections", "%20", "..", "collections%2Fx"])
    async def test_an_unknown_kind(self, app: App, me: tuple[Headers, str, list[dict[str, Any]]], kind: str) -> None:
        for method in ("PUT", "DELETE"):
            path = f"{app.server.url}/api/users/me/store-ids/{kind}"
            answer = await app.http.request(method, path, headers=me[0], json={"key": "a"})
            assert answer.status_code == 404
            if kind != "..":  # which is another path, and none of ours
                problem(answer, 404)

    @pytest.mark.parametrize(
        ("body", "pointer"),
        [
            ({}, "/xToken"),
            ({"xToken": "Bearer abc"}, "/xToken"),
            ({"xToken": "XBL3.0 x=é;abc"}, "/xToken"),
            ({"xToken": "XBL3.0 x=1\x01;abc"}, "/xToken"),
            ({"xToken": "XBL3.0 x=1;abc\n"}, "/xToken"),
            ({"xToken": "XBL3.0 x=1;abc", "publisherUserId": ""}, "/publisherUserId"),
            ({"xToken": "XBL3.0 x=1;abc", "publisherUserId": 5}, "/publisherUserId"),
            ({"xToken": "XBL3.0 x=1;abc", "publisherUserId": "\ud800"}, ""),
            ({"xToken": "XBL3.0 x=1;abc", "userId": "other"}, ""),
        ],
        ids=str,
    )
    async def test_a_bad_x_token(self, app: App, control: Control, body: dict[str, Any], pointer: str) -> None:
        since = await control.last_seen()

        answer = await app.http.post(
            "/users/me/store-ids/purchase/from-xtoken",
            headers=await app.player() | {"content-type": "application/json"},
            content=json.dumps(body).encode("ascii"),
        )

        problem(answer, 400, pointer)
        assert await control.count(service="purchase", since=since) == 0

    async def test_an_x_token_that_the_store_does_not_know(self, app: App) -> None:
        answer = await app.http.post(
            "/users/me/store-ids/purchase/from-xtoken", headers=await app.player(), json={"xToken": "XBL3.0 x=1;abc"}
        )

        problem(answer, 422, "/xToken")


async def test_the_document_and_the_life_sign_are_for_everyone(app: App) -> None:
    health, document = [await app.http.get(path) for path in ("/health", "/openapi.json")]

    assert health.json() == {"status": "alive"}
    assert document.json()["openapi"].startswith("3.1")
    assert document.headers["content-type"].startswith("application/json")


async def test_readiness_names_every_dependency(app: App) -> None:
    answer = await app.http.get("/health/ready", headers=await app.operator())

    assert answer.status_code == 200
    names = [check["name"] for check in answer.json()["checks"]]
    ours = {"entra", "functions", "key-vault", "storage-queues", "storage-tables"}
    assert ours | {"store-collections", "store-purchase"} < set(names)
    assert sum(name.startswith("issuer ") for name in names) == 2
    assert all(check["status"] == "ready" and check["milliseconds"] >= 0 for check in answer.json()["checks"])
