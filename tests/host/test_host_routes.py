"""Which function a path belongs to."""

import json

import pytest

from local.host.errors import StartError
from local.host.functions import parse
from local.host.routes import Router, decode


def _router(*routes: str | tuple[str, list[str]], prefix: str = "api") -> Router:
    functions = []
    for route in routes:
        template, methods = route if isinstance(route, tuple) else (route, None)
        raw = {"type": "httpTrigger", "name": "req", "direction": "IN", "route": template, "methods": methods}
        functions.append(parse(template, template, [json.dumps(raw)]))
    return Router(functions, prefix)


def _match(router: Router, path: str, method: str = "GET") -> tuple[str, dict[str, str]] | None:
    found = router.match(method, path)
    return (found[0].name, dict(found[1])) if found else None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/users/me/keys", ("users/me/keys", {})),
        ("/api/USERS/Me/keys/", ("users/me/keys", {})),
        ("/api/users/Ann/keys", ("users/{user}/keys", {"user": "Ann"})),
        ("/api/users/Ann/other", ("users/{user}/{kind}", {"user": "Ann", "kind": "other"})),
        ("/api/users/Ann", ("{*rest}", {"rest": "users/Ann"})),
        ("/api", ("{*rest}", {})),
        ("/users/Ann", None),
        ("/api/numbers/12", ("numbers/{number:int}", {"number": "12"})),
        ("/api/numbers/x", ("{*rest}", {"rest": "numbers/x"})),
        ("/api/reports/may.csv", ("reports/{name}.csv", {"name": "may"})),
        ("/api/reports/may.txt", ("reports/{name}", {"name": "may.txt"})),
        ("/api/pages", ("pages/{page?}", {})),
        ("/api/pages/2", ("pages/{page?}", {"page": "2"})),
        ("/api/users//keys", ("{*rest}", {"rest": "users//keys"})),
    ],
)
def test_the_most_literal_route_wins(path: str, expected: tuple[str, dict[str, str]] | None) -> None:
    routes = (
        *("{*rest}", "users/{user}/{kind}", "users/{user}/keys", "users/me/keys", "numbers/{number:int}"),
        *("reports/{name}", "reports/{name}.csv", "pages/{page?}"),
    )
    assert _match(_router(*routes), path) == expected
    assert _match(_router(*reversed(routes)), path) == expected


def test_a_method_that_does_not_fit_leaves_the_path_to_others() -> None:
    router = _router(("things/new", ["POST"]), ("things/{thing}", ["GET", "PUT"]))
    assert _match(router, "/api/things/new", "POST") == ("things/new", {})
    assert _match(router, "/api/things/new", "GET") == ("things/{thing}", {"thing": "new"})
    assert _match(router, "/api/things/new", "DELETE") is None


def test_without_a_prefix() -> None:
    assert _match(_router("a/{b}", prefix=""), "/a/1") == ("a/{b}", {"b": "1"})
    assert _match(_router("", prefix="api"), "/api") == ("", {})


@pytest.mark.parametrize(
    ("path", "decoded"),
    [
        ("/a", "/a"),
        ("/a%20b", "/a b"),
        ("/%C3%BC", "/ü"),
        ("/a%2Fb%2fc", "/a%2Fb%2fc"),
        ("/%252F", "/%2F"),
        ("/+", "/+"),
    ],
)
def test_paths_are_decoded_once(path: str, decoded: str) -> None:
    assert decode(path) == decoded


@pytest.mark.parametrize("route", ["{a", "{*a}/b", "{a?}/b", "{a:odd}", "{a b}", "a//{b}", "{a}/{a}", "x{*a}"])
def test_a_malformed_route_stops_the_start(route: str) -> None:
    with pytest.raises(StartError, match=r"function .*, route"):
        _router(route)
