"""Requests through the HTTP front into functions of the app ``http``."""

import asyncio
import io
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from yarl import URL

from local.processes import Server
from tests.host.hosts import Hosts, eventually


@pytest_asyncio.fixture(scope="module")
async def server(hosts: Hosts) -> AsyncIterator[Server]:
    async with hosts.running("http") as server:
        yield server


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("things/x", {"method": "GET", "thing": "x"}),
        ("things/x/", {"method": "GET", "thing": "x"}),
        ("Things/special", "special"),
        ("things/x/parts", {"thing": "x"}),
        ("things/x/parts/7", {"thing": "x", "part": "7"}),
        ("things/a%20b%C3%BC/parts/1%252F%2F", {"thing": "a bü", "part": "1%2F%2F"}),
        ("files/a/b%20c/d", {"path": "a/b c/d"}),
        ("files", {}),
    ],
)
async def test_route_parameters(http: aiohttp.ClientSession, server: Server, path: str, expected: object) -> None:
    async with http.get(URL(f"{server.url}/api/{path}", encoded=True)) as response:
        assert response.status == 200
        assert await response.json() == expected


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "api/nothing"), ("POST", "api/hello"), ("GET", "hello"), ("GET", "api/answer/x"), ("GET", "api//hello")],
)
async def test_unknown_routes_and_methods_are_404(
    http: aiohttp.ClientSession, server: Server, method: str, path: str
) -> None:
    async with http.request(method, f"{server.url}/{path}") as response:
        assert response.status == 404


async def test_a_request_arrives_whole(http: aiohttp.ClientSession, server: Server) -> None:
    headers = [
        ("X-Twice", "1"),
        ("X-Twice", "2"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ]
    url = URL(f"{server.url}/api/echo?id=a%20b&id=c&empty=&plus=1+2", encoded=True)
    async with http.post(url, data=b"\x00\xff" * 500, headers=headers) as response:
        seen = await response.json()
    assert seen["url"] == str(url)
    assert seen["ids"] == ["a b", "c"]
    assert seen["params"] == {"id": "a b,c", "plus": "1 2"}
    assert seen["headers"]["x-twice"] == "1,2"
    assert seen["length"] == 1000
    assert seen["name"] == "echo"
    assert seen["trace"].startswith("00-0af7")


async def test_bytes_survive_both_ways(http: aiohttp.ClientSession, server: Server) -> None:
    body = bytes(range(256)) * 8192  # 2 MiB
    async with http.post(
        f"{server.url}/api/bytes", data=io.BytesIO(body), headers={"Content-Encoding": "gzip"}
    ) as response:
        assert response.headers["Content-Type"] == "application/octet-stream"
        assert await response.read() == body[::-1]
    async with http.post(f"{server.url}/api/bytes", data=io.BytesIO(body), expect100=True) as response:
        assert await response.read() == body[::-1]


async def test_too_long_a_body_is_refused(http: aiohttp.ClientSession, server: Server) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(101):
            yield bytes(1024 * 1024)

    try:
        async with http.post(f"{server.url}/api/bytes", data=chunks()) as response:
            assert response.status == 413
    except aiohttp.ClientConnectionError:
        pass  # the server may close before all is sent


async def test_an_answer_arrives_whole(http: aiohttp.ClientSession, server: Server) -> None:
    async with http.get(f"{server.url}/api/answer/418") as response:
        assert response.status == 418
        assert response.headers["X-One"] == "1"
        assert response.headers["Content-Type"] == "text/html; charset=latin-1"
        assert await response.read() == "grün".encode("latin-1")
        assert [cookie.split(";")[0] for cookie in response.headers.getall("Set-Cookie")] == ["a=1", "b=2"]
    async with http.post(f"{server.url}/api/text") as response:
        assert (response.status, await response.text()) == (200, "plain")
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    async with http.head(f"{server.url}/api/things/x") as response:
        assert (response.status, await response.read()) == (200, b"")


@pytest.mark.parametrize("path", ["fails", "never", "leaves", "cancels"])
async def test_a_failed_invocation_is_500_without_a_body(
    http: aiohttp.ClientSession, server: Server, path: str
) -> None:
    async with http.get(f"{server.url}/api/{path}") as response:
        assert (response.status, await response.read()) == (500, b"")


async def test_a_failure_is_logged_once_with_its_invocation(http: aiohttp.ClientSession, hosts: Hosts) -> None:
    async with hosts.running("http") as server:
        for path in ("fails", "thread"):
            async with http.get(f"{server.url}/api/{path}"):
                pass
        await eventually(lambda: "in a thread" in server.tail())
        log = server.log.read_text("utf-8")
    about_to = next(line for line in log.splitlines() if "about to fail" in line)
    invocation = about_to.split("[")[1].split("/")[0]
    assert about_to.endswith(f"INFO sample [{invocation}/fails] about to fail")
    assert log.count("RuntimeError('as told')") == 1
    assert f"ERROR local.host [{invocation}/fails] failed after" in log
    assert log.count("Traceback") == 1
    assert log.count("in a thread") == 1
    assert "/thread] in a thread" in log


async def test_admin_routes(http: aiohttp.ClientSession, server: Server) -> None:
    async with http.get(f"{server.url}/admin/host/status") as response:
        assert (await response.json())["state"] == "Running"
    async with http.get(f"{server.url}/admin/functions") as response:
        listed = {each["name"]: each for each in await response.json()}
    assert listed["hello"]["trigger"] == "httpTrigger"
    assert listed["hello"]["route"] == "hello"
    async with http.post(f"{server.url}/admin/functions/hello") as response:
        assert response.status == 400
    async with http.post(f"{server.url}/admin/functions/nothing") as response:
        assert response.status == 404


async def test_sigterm_lets_a_running_request_end(http: aiohttp.ClientSession, hosts: Hosts) -> None:
    async with hosts.running("http") as server:
        async with http.get(f"{server.url}/api/hello") as response:
            assert response.status == 200
        # When it is told to stop in the midst of a request
        request = asyncio.create_task(_text(http, f"{server.url}/api/slow"))
        await eventually(lambda: "slow begins" in server.tail())
        server.process.terminate()
        # Then the request is answered, and the host ends well, with nothing left open
        assert await request == "done"
        assert await server.terminate() == 0
        assert "nclosed" not in server.tail()
        assert "Warning" not in server.tail()


async def _text(http: aiohttp.ClientSession, url: str) -> str:
    async with http.get(url) as response:
        return await response.text()
