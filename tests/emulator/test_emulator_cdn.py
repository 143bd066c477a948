"""The CDN: addresses that expire, whole and partial downloads, and downloads that go wrong."""

import asyncio
import base64
import hashlib
import re
import struct
import time
import zlib
from collections.abc import AsyncIterator
from itertools import batched
from typing import Any

import httpx
import pytest

from local.control import Control
from tests.emulator.tenants import Tenant
from tests.emulator.world import World
from tests.support.polling import eventually


@pytest.fixture(autouse=True)
async def as_at_first(control: Control) -> AsyncIterator[None]:
    yield
    await control.calm()
    await control.set_address_lifetime(600)


async def package(tenant: Tenant, size: int = 150_000) -> Any:
    """A package of a new product, with its hash and a fresh address."""
    path = await tenant.add_offline(packagesPerProduct=1, packageSize=size, hashed=True)
    return (await tenant.body(f"/Products{path}/Packages"))["productPackages"][0]


async def address(tenant: Tenant, size: int = 150_000) -> str:
    return str((await package(tenant, size))["location"]["url"])


def digest(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


async def test_a_whole_download(world: World, contoso: Tenant) -> None:
    known = await package(contoso)

    answer = await world.http.get(known["location"]["url"])

    assert (answer.status_code, len(answer.content)) == (200, 150_000)
    assert digest(answer.content) == known["fileHash"]
    assert answer.headers["Content-Length"] == "150000"
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert (answer.headers["Accept-Ranges"], bool(answer.headers["ETag"])) == ("bytes", True)


async def test_artwork_is_a_png_of_the_size_that_was_said(world: World, contoso: Tenant) -> None:
    path = await contoso.add_online()
    images = (await contoso.body(f"/Products{path}/LocalizedDetails/en-us"))["images"]

    for image in images:
        answer = await world.http.get(image["location"])
        assert answer.headers["Content-Type"] == "image/png"
        assert len(answer.content) == image["fileSize"]
        width, height = decoded(answer.content)
        assert (str(width), str(height)) == (image["width"], image["height"])
    assert len({image["location"] for image in images}) == len(images)


def decoded(png: bytes) -> tuple[int, int]:
    """Width and height of a PNG, every part of which is checked."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, position = {}, 8
    while position < len(png):
        size, kind = struct.unpack(">I4s", png[position : position + 8])
        content = png[position + 8 : position + 8 + size]
        assert struct.pack(">I", zlib.crc32(kind + content)) == png[position + 8 + size : position + 12 + size]
        chunks[kind], position = content, position + 12 + size
    assert list(chunks) == [b"IHDR", b"PLTE", b"IDAT", b"IEND"]
    width, height, *form = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert form == [2, 3, 0, 0, 0]
    rows = list(batched(zlib.decompress(chunks[b"IDAT"]), width // 4 + 1, strict=True))
    assert len(rows) == height
    assert {row[0] for row in rows} == {0}
    return width, height


async def test_an_address_expires(world: World, contoso: Tenant, control: Control) -> None:
    await control.set_address_lifetime(0.4)
    short = await address(contoso)
    assert (await world.http.get(short)).status_code == 200

    async def refused() -> bool:
        return (await world.http.get(short)).status_code == 403

    await eventually(refused, 5)

    await control.set_address_lifetime(600)
    assert (await world.http.get(await address(contoso))).status_code == 200


async def test_the_lifetime_is_in_the_address(contoso: Tenant, control: Control) -> None:
    expires = int(httpx.URL(await address(contoso)).params["e"]) / 1000
    assert expires == pytest.approx(time.time() + 600, abs=5)

    await control.set_address_lifetime(60)

    expires = int(httpx.URL(await address(contoso)).params["e"]) / 1000
    assert expires == pytest.approx(time.time() + 60, abs=5)


async def test_all_addresses_can_be_expired_at_once(world: World, contoso: Tenant, control: Control) -> None:
    before = await address(contoso)

    await control.expire_addresses()

    assert (await world.http.get(before)).status_code == 403
    assert (await world.http.get(await address(contoso))).status_code == 200


async def test_an_altered_address_is_refused(world: World, contoso: Tenant) -> None:
    good = await address(contoso)
    other = await address(contoso)
    expires, signature = (httpx.URL(good).params[name] for name in "es")

    for bad in (
        good.split("?")[0],
        good.replace(expires, str(int(expires) + 1)),
        good.replace(signature, "0" * 40),
        good.replace(signature, "é"),
        good.replace("/150000/", "/150001/"),
        other.split("?")[0] + "?" + good.split("?")[1],
        good.replace(expires, ""),
    ):
        assert (await world.http.get(bad)).status_code == 403
    assert (await world.http.get(good)).status_code == 200


@pytest.mark.parametrize("start", [0, 1, 65_535, 65_536, 262_143, 262_144, 299_999])
async def test_from_a_position_on(world: World, contoso: Tenant, start: int) -> None:
    url = await address(contoso, 300_000)
    whole = (await world.http.get(url)).content

    part = await world.http.get(url, headers={"Range": f"bytes={start}-"})

    assert (part.status_code, part.content) == (206, whole[start:])
    assert part.headers["Content-Range"] == f"bytes {start}-299999/300000"
    assert part.headers["Content-Length"] == str(300_000 - start)


async def test_a_part_with_an_end(world: World, contoso: Tenant) -> None:
    url = await address(contoso)
    whole = (await world.http.get(url)).content

    part = await world.http.get(url, headers={"Range": "bytes=10-70000"})
    beyond = await world.http.get(url, headers={"Range": "bytes=149990-999999"})

    assert (part.status_code, part.content) == (206, whole[10:70_001])
    assert (beyond.content, beyond.headers["Content-Range"]) == (whole[-10:], "bytes 149990-149999/150000")


async def test_a_range_after_the_end(world: World, contoso: Tenant) -> None:
    answer = await world.http.get(await address(contoso), headers={"Range": "bytes=150000-"})

    assert (answer.status_code, answer.headers["Content-Range"]) == (416, "bytes */150000")


@pytest.mark.parametrize("asked", ["bytes=-5", "bytes=1-2,5-6", "lines=1-", "bytes=9-3"])
async def test_ranges_of_other_kinds_are_answered_with_the_whole(world: World, contoso: Tenant, asked: str) -> None:
    answer = await world.http.get(await address(contoso), headers={"Range": asked})

    assert (answer.status_code, len(answer.content)) == (200, 150_000)


async def test_a_range_of_another_file_is_answered_with_the_whole(world: World, contoso: Tenant) -> None:
    url = await address(contoso)
    etag = (await world.http.head(url)).headers["ETag"]

    same = await world.http.get(url, headers={"Range": "bytes=5-", "If-Range": etag})
    other = await world.http.get(url, headers={"Range": "bytes=5-", "If-Range": '"other"'})

    assert (same.status_code, other.status_code) == (206, 200)


async def test_the_head_alone(world: World, contoso: Tenant) -> None:
    url = await address(contoso)

    head, whole = await world.http.head(url), await world.http.get(url)

    assert (head.status_code, head.content) == (200, b"")
    for name in ("Content-Length", "Content-Type", "ETag", "Accept-Ranges"):
        assert head.headers[name] == whole.headers[name]


async def test_a_huge_file_holds_nobody_up(world: World, contoso: Tenant) -> None:
    size = 400_000_000
    path = await contoso.add_offline(packagesPerProduct=1, packageSize=size, hashed=True)
    asked = asyncio.create_task(contoso.body(f"/Products{path}/Packages"))
    served = 0
    while not asked.done():  # the hash takes its time
        await contoso.get("/Inventory")
        served += 1
    url = (await asked)["productPackages"][0]["location"]["url"]

    head = await world.http.head(url)
    last = await world.http.get(url, headers={"Range": f"bytes={size - 100_000}-"})

    assert served > 5
    assert head.headers["Content-Length"] == str(size)
    assert (last.status_code, len(last.content)) == (206, 100_000)


async def test_wrong_bytes(world: World, contoso: Tenant, control: Control) -> None:
    known = await package(contoso)
    url = known["location"]["url"]
    await control.disturb_downloads(corrupt=True, times=2)

    spoiled = [(await world.http.get(url)).content for _ in range(2)]
    right = (await world.http.get(url)).content

    assert [len(content) for content in spoiled] == [150_000] * 2
    assert [digest(content) == known["fileHash"] for content in (*spoiled, right)] == [False, False, True]


async def test_a_download_that_breaks(world: World, contoso: Tenant, control: Control) -> None:
    url = await address(contoso, 1_000_000)
    await control.disturb_downloads(dropAfterBytes=400_000)

    received = bytearray()
    with pytest.raises(httpx.RemoteProtocolError):
        await read_into(received, world.http, url)
    assert len(received) == 400_000

    rest = await world.http.get(url, headers={"Range": "bytes=400000-"})
    assert bytes(received) + rest.content == (await world.http.get(url)).content


async def read_into(received: bytearray, http: httpx.AsyncClient, url: str) -> None:
    """What arrives before the end, whichever it is."""
    async with http.stream("GET", url) as answer:
        assert answer.headers["Content-Length"] == "1000000"
        async for piece in answer.aiter_raw():
            received += piece


async def test_a_file_that_ends_too_early(world: World, contoso: Tenant, control: Control) -> None:
    url = await address(contoso)
    await control.disturb_downloads(endAfterBytes=1000)

    short, whole = await world.http.get(url), await world.http.get(url)

    assert (short.status_code, short.headers["Content-Length"]) == (200, "1000")
    assert short.content == whole.content[:1000]


async def test_a_download_that_is_slow(world: World, contoso: Tenant, control: Control) -> None:
    url = await address(contoso, 1_000_000)
    await control.disturb_downloads(bytesPerSecond=5_000_000)
    began = time.monotonic()

    slow = await world.http.get(url)

    assert time.monotonic() - began >= 0.2
    assert slow.content == (await world.http.get(url)).content


async def test_disturbances_strike_the_paths_they_name(world: World, contoso: Tenant, control: Control) -> None:
    url, other = await address(contoso), await address(contoso)
    await control.disturb_downloads(corrupt=True, path=re.escape(httpx.URL(url).path.removeprefix("/cdn/")))
    spared = (await world.http.get(other)).content
    head = await world.http.head(url)

    spoiled = (await world.http.get(url)).content

    assert head.status_code == 200
    assert (await world.http.get(other)).content == spared
    assert (await world.http.get(url)).content != spoiled


@pytest.mark.parametrize("when", ["before", "after"])
async def test_faults_of_the_server(world: World, contoso: Tenant, control: Control, when: str) -> None:
    url = await address(contoso)
    await control.disturb("cdn", {"status": 503, "when": when, "retryAfter": 1}, times=1)
    await control.disturb("cdn", {"drop": when}, times=1)

    refused = await world.http.get(url)
    with pytest.raises(httpx.TransportError):
        await world.http.get(url)

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert (await world.http.get(url)).status_code == 200


async def test_a_file_that_is_not_there(world: World) -> None:
    assert (await world.http.get("/cdn/packages/unknown")).status_code == 403
