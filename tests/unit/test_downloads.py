"""Downloads from a real HTTPS server: whole, from an offset, through redirects, and every way to fail."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from shared.store import downloads as module
from shared.store.downloads import AddressExpiredError, Download, Downloads
from shared.store.errors import StoreError, StoreUnknownError
from tests.support.polling import eventually
from tests.support.trusting import trusted

FILE = bytes(range(256)) * 1000

type Serving = Callable[[web.BaseRequest], web.StreamResponse | None]


@dataclass
class Cdn:
    """Serves what it is told to; None answers with the file and heeds ranges."""

    url: str = ""
    serve: Serving | None = None
    seen: list[web.BaseRequest] = field(default_factory=list)
    pause: asyncio.Event = field(default_factory=asyncio.Event)
    sent: int = 0

    @property
    def targets(self) -> list[str]:
        return [request.raw_path for request in self.seen]

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.seen.append(request)
        match request.path:
            case "/cut":
                return await self._cut(request)
            case "/silent":
                return await self._silent(request)
            case "/endless":
                return await self._endless(request)
        return (self.serve and self.serve(request)) or file(request)

    async def _cut(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(FILE))})
        await response.prepare(request)
        await response.write(FILE[:100_000])
        assert request.transport is not None
        request.transport.close()
        return response

    async def _silent(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(FILE))})
        await response.prepare(request)
        await response.write(FILE[:100])
        await self.pause.wait()
        return response

    async def _endless(self, request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(65_536))
            self.sent += 65_536


def file(request: web.BaseRequest) -> web.Response:
    start = request.http_range.start
    if not start:
        return web.Response(body=FILE, content_type="application/appx")
    if start >= len(FILE):
        return web.Response(status=416, headers={"Content-Range": f"bytes */{len(FILE)}"})
    headers = {"Content-Range": f"bytes {start}-{len(FILE) - 1}/{len(FILE)}"}
    return web.Response(status=206, body=FILE[start:], headers=headers)


@asynccontextmanager
async def serving(handle: web.RequestHandler | object, context: ssl.SSLContext | None) -> AsyncIterator[str]:
    runner = web.ServerRunner(web.Server(handle), shutdown_timeout=0.1)  # type: ignore[arg-type]
    await runner.setup()
    await web.TCPSite(runner, "localhost", 0, ssl_context=context).start()
    yield f"{'https' if context else 'http'}://localhost:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.fixture
async def cdn(tmp_path: Path) -> AsyncIterator[Cdn]:
    cdn = Cdn()
    authority = trustme.CA()
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(tls)
    async with serving(cdn.handle, tls) as url:
        cdn.url = url
        with trusted(str(ca)):
            yield cdn
        cdn.pause.set()


@pytest.fixture
async def downloads(cdn: Cdn) -> AsyncIterator[Downloads]:
    downloads = Downloads(2)
    yield downloads
    await downloads.close()


async def content(download: Download) -> bytes:
    return b"".join([chunk async for chunk in download.chunks()])


async def fill(received: bytearray, download: Download) -> None:
    async for chunk in download.chunks():
        received += chunk


async def failed(downloads: Downloads, url: str, offset: int = 0) -> StoreError:
    with pytest.raises(StoreError) as refusal:
        async with downloads.open(url, offset=offset) as download:
            await content(download)
    return refusal.value


async def test_a_file_is_read_to_its_end(cdn: Cdn, downloads: Downloads) -> None:
    async with downloads.open(f"{cdn.url}/app.appx") as download:
        assert (download.size, download.offset, download.content_type) == (len(FILE), 0, "application/appx")
        assert await content(download) == FILE

    (request,) = cdn.seen
    assert request.method == "GET"
    assert {name.lower() for name in request.headers} == {"host", "user-agent", "accept-encoding"}
    assert request.headers["Accept-Encoding"] == "identity"


@pytest.mark.parametrize("offset", [1, 100_000, len(FILE) - 1])
async def test_a_file_is_read_from_an_offset(cdn: Cdn, downloads: Downloads, offset: int) -> None:
    async with downloads.open(f"{cdn.url}/app.appx", offset=offset) as download:
        assert (download.size, download.offset) == (len(FILE), offset)
        assert await content(download) == FILE[offset:]

    assert cdn.seen[0].headers["Range"] == f"bytes={offset}-"


@pytest.mark.parametrize(("etag", "offset"), [('"v1"', 1000), ('"v0"', 0)])
async def test_only_the_same_file_is_read_from_an_offset(
    cdn: Cdn, downloads: Downloads, etag: str, offset: int
) -> None:
    def serve(request: web.BaseRequest) -> web.Response:
        answer = file(request) if request.headers["If-Range"] == '"v1"' else web.Response(body=FILE)
        answer.headers["ETag"] = '"v1"'
        return answer

    cdn.serve = serve
    async with downloads.open(f"{cdn.url}/pkg", offset=1000, etag=etag) as download:
        assert (download.offset, download.etag) == (offset, '"v1"')
        assert await content(download) == FILE[offset:]


@pytest.mark.parametrize("etag", [None, 'W/"v1"', "v1", '""', f'"{"x" * 300}"'])
async def test_an_etag_that_does_not_tell_every_byte_is_none(cdn: Cdn, downloads: Downloads, etag: str | None) -> None:
    cdn.serve = lambda _: web.Response(body=FILE, headers={"ETag": etag} if etag else {})

    async with downloads.open(f"{cdn.url}/pkg") as download:
        assert download.etag is None


async def test_a_server_that_knows_no_ranges_gives_the_file_from_its_start(cdn: Cdn, downloads: Downloads) -> None:
    cdn.serve = lambda _: web.Response(body=FILE)

    async with downloads.open(f"{cdn.url}/app.appx", offset=5) as download:
        assert (download.size, download.offset) == (len(FILE), 0)
        assert await content(download) == FILE


@pytest.mark.parametrize("offset", [len(FILE), len(FILE) + 5])
async def test_a_file_that_has_nothing_at_the_offset_is_read_from_its_start(
    cdn: Cdn, downloads: Downloads, offset: int
) -> None:
    async with downloads.open(f"{cdn.url}/app.appx", offset=offset) as download:
        assert download.offset == 0
        assert await content(download) == FILE

    assert len(cdn.seen) == 2


async def test_a_size_that_nobody_says_is_not_known(cdn: Cdn, downloads: Downloads) -> None:
    def unsized(request: web.BaseRequest) -> web.StreamResponse:
        if "Range" in request.headers:
            return web.Response(status=206, body=b"3", headers={"Content-Range": "bytes 2-2/*"})
        response = web.Response(body=b"123")
        response.enable_chunked_encoding()
        return response

    cdn.serve = unsized
    for offset, expected in ((0, b"123"), (2, b"3")):
        async with downloads.open(f"{cdn.url}/app.appx", offset=offset) as download:
            assert (download.size, download.offset) == (None, offset)
            assert await content(download) == expected


@pytest.mark.parametrize(
    "target",
    [
        "/a%2Fb%20c/./d/../e?P1=1480000000&P2=402&P3=2&P4=a%2fb%2B+c==&sig='(x)*!~[]|^`{}\"<>\\",
        "/?x",
        "/%7Eadam",
        "/a//b;c=d,e@f:g",
    ],
)
async def test_a_signed_address_is_sent_exactly_as_it_came(cdn: Cdn, downloads: Downloads, target: str) -> None:
    async with downloads.open(f"{cdn.url}{target}#fragment") as download:
        assert await content(download) == FILE

    assert cdn.targets == [target]


async def test_what_no_target_can_carry_is_encoded(cdn: Cdn, downloads: Downloads) -> None:
    for target in ("", "/é ü?name=…"):
        async with downloads.open(cdn.url + target) as download:
            await content(download)

    assert cdn.targets == ["/", "/%C3%A9%20%C3%BC?name=%E2%80%A6"]


@pytest.mark.parametrize("status", [401, 403, 404, 410])
async def test_an_address_that_no_longer_gives_the_file_says_so(cdn: Cdn, downloads: Downloads, status: int) -> None:
    cdn.serve = lambda _: web.Response(status=status)

    error = await failed(downloads, f"{cdn.url}/app.appx?sig=secret")

    assert type(error) is AddressExpiredError
    assert (error.answer.status, error.answer.path) == (status, "/app.appx")
    assert "secret" not in f"{error} {error!r} {error.answer}"


@pytest.mark.parametrize("status", [204, 304, 400, 429, 500, 503])
async def test_anything_else_is_an_unknown_outcome(cdn: Cdn, downloads: Downloads, status: int) -> None:
    cdn.serve = lambda _: web.Response(status=status, headers={"Retry-After": "7"})

    error = await failed(downloads, f"{cdn.url}/app.appx")

    assert type(error) is StoreUnknownError
    assert (error.answer.status, error.retry_after) == (status, 7)


@pytest.mark.parametrize("told", ["bytes 3-5/9", "bytes 5-9", "items 4-5/9", "", "bytes */9"])
async def test_another_range_than_was_asked_for_is_not_taken_for_it(cdn: Cdn, downloads: Downloads, told: str) -> None:
    cdn.serve = lambda _: web.Response(status=206, body=b"345", headers={"Content-Range": told})

    assert type(await failed(downloads, f"{cdn.url}/app.appx", offset=4)) is StoreUnknownError


async def test_a_file_that_is_packed_although_nobody_asked_for_that_is_not_taken(
    cdn: Cdn, downloads: Downloads
) -> None:
    cdn.serve = lambda _: web.Response(body=b"packed", headers={"Content-Encoding": "gzip"})

    assert "encoded" in str(await failed(downloads, f"{cdn.url}/app.appx"))


async def test_three_redirects_are_followed_and_no_more(cdn: Cdn, downloads: Downloads) -> None:
    def moved(request: web.BaseRequest) -> web.StreamResponse | None:
        left = int(request.path[1:])
        return web.Response(status=302, headers={"Location": f"{left - 1}?sig=%2f"}) if left else None

    cdn.serve = moved
    async with downloads.open(f"{cdn.url}/3", offset=9) as download:
        assert await content(download) == FILE[9:]
    assert cdn.targets == ["/3", "/2?sig=%2f", "/1?sig=%2f", "/0?sig=%2f"]

    assert "too many redirects" in str(await failed(downloads, f"{cdn.url}/4"))


@pytest.mark.parametrize("url", ["http://localhost/x", "ftp://localhost/x", "file:///etc/passwd", "", "//", "app.appx"])
async def test_only_https_is_spoken(cdn: Cdn, downloads: Downloads, url: str) -> None:
    assert "not an https address" in str(await failed(downloads, url))

    cdn.serve = lambda _: web.Response(status=302, headers={"Location": url})
    if ":" in url:
        assert "not an https address" in str(await failed(downloads, f"{cdn.url}/app.appx"))


@pytest.mark.parametrize("url", ["https://localhost:99999/", "https://localhost:x/", "https://[::/", "https://\udfff/"])
async def test_an_address_that_is_none_is_an_error_of_ours(downloads: Downloads, url: str) -> None:
    assert type(await failed(downloads, url)) is StoreUnknownError


async def test_no_credentials_of_an_address_are_sent(cdn: Cdn, downloads: Downloads) -> None:
    async with downloads.open(cdn.url.replace("https://", "https://user:password@")) as download:
        await content(download)

    assert "Authorization" not in cdn.seen[0].headers


async def test_a_file_that_ends_too_early_is_an_unknown_outcome(cdn: Cdn, downloads: Downloads) -> None:
    received = bytearray()

    async with downloads.open(f"{cdn.url}/cut") as download:
        with pytest.raises(StoreUnknownError) as refusal:
            await fill(received, download)

    assert received == FILE[:100_000]
    assert refusal.value.answer.status == 200


async def test_a_file_that_falls_silent_is_an_unknown_outcome(
    cdn: Cdn, downloads: Downloads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(module._TIMEOUTS, "read", 0.2)

    error = await failed(downloads, f"{cdn.url}/silent")

    assert type(error) is StoreUnknownError
    assert "ReadTimeout" in str(error)


async def test_a_server_that_is_not_there_is_an_unknown_outcome(downloads: Downloads) -> None:
    assert type(await failed(downloads, "https://localhost:1/app.appx")) is StoreUnknownError


async def test_a_reader_who_stops_leaves_the_rest_at_the_server(cdn: Cdn, downloads: Downloads) -> None:
    for _ in range(4):  # more than there are connections
        async with downloads.open(f"{cdn.url}/endless") as download:
            async for _ in download.chunks():
                break

    sent = cdn.sent
    async with downloads.open(f"{cdn.url}/app.appx") as download:
        assert await content(download) == FILE
    assert cdn.sent == sent < 64_000_000


async def test_the_readers_own_errors_are_not_taken_for_the_servers(cdn: Cdn, downloads: Downloads) -> None:
    with pytest.raises(TimeoutError, match="mine"):
        async with downloads.open(f"{cdn.url}/app.appx"):
            raise TimeoutError("mine")


async def test_no_more_files_are_read_at_a_time_than_allowed(cdn: Cdn, downloads: Downloads) -> None:
    async def read() -> None:
        async with downloads.open(f"{cdn.url}/silent"):
            await cdn.pause.wait()

    reading = [asyncio.ensure_future(read()) for _ in range(5)]

    async def two_are_read() -> bool:
        return len(cdn.seen) == 2

    await eventually(two_are_read)
    await asyncio.sleep(0.1)
    assert len(cdn.seen) == 2
    cdn.pause.set()
    await asyncio.gather(*reading)
    assert len(cdn.seen) == 5


async def test_files_that_follow_each_other_share_a_connection(cdn: Cdn, downloads: Downloads) -> None:
    for _ in range(5):
        async with downloads.open(f"{cdn.url}/app.appx") as download:
            await content(download)

    assert len({id(request.transport) for request in cdn.seen}) == 1
