"""Who may do what."""

import base64
import uuid

import httpx
import pytest

from local.control import Control
from tests.support.app import App, problem, unique

ROUTES = [
    ("POST", "/tokens/collections"),
    ("PUT", "/users/me/store-ids/collections"),
    ("POST", "/users/me/store-ids/collections/from-xtoken"),
    ("GET", "/users/me/store-ids"),
    ("DELETE", "/users/me/store-ids/collections"),
    ("GET", "/health/ready"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_nothing_is_done_without_a_token(app: App, method: str, path: str) -> None:
    answer = await app.http.request(method, path)

    problem(answer, 401)
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "options",
    [
        {"algorithm": "none"},
        {"algorithm": "HS256"},
        {"signedBy": "unknown"},
        {"audience": "another"},
        {"expiresInSeconds": -120},
        {"claims": {"iss": "https://evil.example"}},
        {"omit": ["sub"]},
        {"omit": ["exp"]},
        {"omit": ["aud"]},
        {"omit": ["iss"]},
    ],
    ids=str,
)
async def test_a_token_that_does_not_hold_is_refused(app: App, options: dict[str, object]) -> None:
    for kind in ("player", "operator"):
        headers = await app.control.bearer(kind, "somebody", **options)
        problem(await app.http.post("/tokens/collections", headers=headers), 401)


@pytest.mark.parametrize("header", [b"Bearer \xff\xfe", b"Bearer a.b.c", b"Basic YTpi", b"Bearer " + b"a" * 17_000])
async def test_what_is_no_token_is_refused(app: App, header: bytes) -> None:
    problem(await app.http.post("/tokens/collections", headers={b"Authorization": header}), 401)


async def test_an_operator_without_the_role_is_refused(app: App) -> None:
    problem(await app.http.post("/tokens/collections", headers=await app.operator(roles=["Store.Reader"])), 403)


async def test_readiness_is_for_operators(app: App) -> None:
    problem(await app.http.get("/health/ready", headers=await app.player()), 403)


async def test_a_player_cannot_see_or_touch_another(app: App, control: Control) -> None:
    victim, thief = unique(), await app.player()
    await app.keep(await app.player(victim), "collections", await control.store_id("collections", victim))
    key = await control.store_id("collections", victim)

    problem(await app.http.get(f"/users/{victim}/store-ids", headers=thief), 404)
    problem(await app.put(thief, "collections", key, user=victim), 404)
    problem(await app.http.delete(f"/users/{victim}/store-ids/collections", headers=thief), 404)

    assert list(await app.kept(await app.player(victim))) == ["collections"]


async def test_a_player_may_name_themselves(app: App, control: Control) -> None:
    name = unique()
    player = await app.player(name)

    assert (await app.put(player, "purchase", await control.store_id("purchase", name), user=name)).status_code == 201
    assert (await app.kept(player))["purchase"]["userId"] == name


async def test_an_operator_acts_on_anyone_but_is_nobody(app: App, control: Control) -> None:
    operator, name = await app.operator(), unique()

    assert (await app.put(operator, "purchase", await control.store_id("purchase", name), user=name)).status_code == 201
    assert list(await app.kept(operator, name)) == ["purchase"]
    assert list(await app.kept(await app.player(name))) == ["purchase"]
    assert (await app.http.delete(f"/users/{name}/store-ids/purchase", headers=operator)).status_code == 204
    problem(await app.http.get("/users/me/store-ids", headers=operator), 404)


@pytest.mark.parametrize("name", ["a b", "é", "a'b", "a|b", "#?%", "x" * 256])
async def test_a_players_id_may_hold_anything(app: App, control: Control, name: str) -> None:
    name = (unique() + name)[:256]
    player = await app.player(name)
    await app.keep(player, "collections", await control.store_id("collections", name))

    assert (await app.kept(player))["collections"]["userId"] == name
    path = httpx.URL(f"{app.server.url}/api/").copy_with(raw_path=f"/api/users/{_escaped(name)}/store-ids".encode())
    answer = await app.http.get(path, headers=await app.operator())
    assert [each["userId"] for each in answer.json()["storeIds"]] == [name]


def _escaped(name: str) -> str:
    return "".join(f"%{byte:02X}" for byte in name.encode())


async def test_an_id_too_long_to_be_kept_is_refused(app: App) -> None:
    problem(await app.http.get("/users/me/store-ids", headers=await app.player("x" * 257)), 422, "userId")


class TestCorrelation:
    """The correlation id goes from the caller to the Store and back."""

    async def test_it_is_echoed_and_reaches_the_store(self, app: App, control: Control) -> None:
        given, since = f"test.{uuid.uuid4()}", await control.last_seen()
        body = {"xToken": await control.x_token("p", "purchase")}

        answer = await app.http.post(
            "/users/me/store-ids/purchase/from-xtoken",
            headers=await app.player() | {"x-correlation-id": given},
            json=body,
        )

        assert answer.status_code == 201
        assert answer.headers["x-correlation-id"] == given
        seen = await control.requests(service="purchase", since=since)
        assert given in [each["correlationId"] for each in seen]
        assert f"[{given}] create_store_id 201" in app.server.log.read_text("utf-8")

    @pytest.mark.parametrize("given", [b"", b"a b", b"x" * 129, b"\xff\xfe", b"<script>", b"a]b"])
    async def test_one_that_could_forge_is_replaced(self, app: App, given: bytes) -> None:
        answer = await app.http.get("/health", headers={b"x-correlation-id": given})

        assert uuid.UUID(answer.headers["x-correlation-id"])

    async def test_every_answer_has_one(self, app: App) -> None:
        for method, path in [*ROUTES, ("GET", "/health"), ("GET", "/openapi.json"), ("POST", "/tokens/service")]:
            assert uuid.UUID((await app.http.request(method, path)).headers["x-correlation-id"])


async def test_a_secret_in_a_header_of_ours_is_not_echoed(app: App) -> None:
    token = base64.b64encode(b"not a token but secret enough").decode()

    answer = await app.http.post("/tokens/collections", headers={"Authorization": f"Bearer {token}"})

    assert token not in answer.text
    assert token not in app.server.log.read_text("utf-8")
