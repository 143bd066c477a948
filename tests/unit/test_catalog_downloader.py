"""Files: how they are named and grouped, and a download from a CDN that is not at its best."""

import base64
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
import pytest

from shared.catalog.downloader import BLOCK, MAX_BREAKS, MAX_RENEWALS, Downloader, WrongFileError
from shared.catalog.files import (
    MAX_ARTWORK_GROUPS,
    MAX_PACKAGE_GROUPS,
    PACKAGE_GROUP_BYTES,
    File,
    artwork_name,
    artwork_of,
    grouped,
    package_name,
    packages_of,
    sha256_of,
)
from shared.storage.blobs import OCTETS, Blob, Container, Upload
from shared.store.downloads import AddressExpiredError, Download, Downloads
from shared.store.errors import StoreAnswer, StoreUnknownError
from shared.store.models.business import LocalizedProductDetail, ProductKey, ProductPackageSet
from tests.support.fixtures import business

KEY = ProductKey("9NBLGGH4R2R6", "0015")
PACKAGES = msgspec.convert(business("product-packages"), ProductPackageSet)
DETAIL = msgspec.convert(business("localized-product-details"), LocalizedProductDetail)
CONTENT = hashlib.shake_128(b"a package").digest(3 * BLOCK + 17)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def a_file(**changes: Any) -> File:
    file = File("packages", f"sha256/{SHA256}", KEY, "pkg", "https://cdn.example/pkg?e=1", len(CONTENT), SHA256)
    return msgspec.structs.replace(file, **changes)


class TestNames:
    def test_a_package_is_named_by_its_hash(self) -> None:
        (package,) = PACKAGES.product_packages
        sha256 = base64.b64decode(package.file_hash or "").hex()

        assert package_name("t", KEY, package) == f"sha256/{sha256}"
        in_hexadecimal = msgspec.structs.replace(package, file_hash=sha256.upper(), file_hash_algorithm="sha-256")
        assert package_name("other", KEY, in_hexadecimal) == f"sha256/{sha256}"

    @pytest.mark.parametrize(("algorithm", "text"), [("MD5", "abc"), ("SHA256", "!"), ("SHA256", "YWJj"), (None, None)])
    def test_one_whose_hash_cannot_be_read_is_named_by_all_that_is_said_of_it(
        self, algorithm: str | None, text: str | None
    ) -> None:
        (package,) = PACKAGES.product_packages
        unhashed = msgspec.structs.replace(package, file_hash_algorithm=algorithm, file_hash=text)

        assert sha256_of(unhashed) is None
        name = package_name("t", KEY, unhashed)
        assert name.startswith("unhashed/")
        assert name != package_name("u", KEY, unhashed)
        assert name != package_name("t", KEY, msgspec.structs.replace(unhashed, file_size=1))

    def test_artwork_keeps_its_name_when_its_address_is_signed_anew(self) -> None:
        image = DETAIL.images[0]
        signed = msgspec.structs.replace(image, location=f"{image.location}?e=1&s=abc")

        assert artwork_name(image) == artwork_name(signed)
        assert artwork_name(image) != artwork_name(DETAIL.images[1])

    def test_each_file_of_a_product_is_named_once(self) -> None:
        images = artwork_of(KEY, {"en-us": DETAIL, "fr-fr": DETAIL})
        packages = packages_of("t", KEY, PACKAGES)

        assert [each.part for each in images] == ["en-us", "en-us"]
        assert [each.part for each in packages] == ["pkg-0a55", "fw-7c3f"]


class TestGroups:
    def test_many_files_make_few_groups(self) -> None:
        artwork = [a_file(container="artwork", name=str(number)) for number in range(5_000)]
        packages = [a_file(name=str(number), size=PACKAGE_GROUP_BYTES) for number in range(500)]

        groups = grouped([*artwork, *packages, *artwork])

        assert len(groups) <= MAX_ARTWORK_GROUPS + MAX_PACKAGE_GROUPS
        assert sorted(each.name for group in groups for each in group) == sorted(
            each.name for each in [*artwork, *packages]
        )
        assert all(len({each.container for each in group}) == 1 for group in groups)

    def test_small_packages_share_a_group_and_a_big_one_has_its_own(self) -> None:
        sizes = [1_000, 2_000, 2**31, 3_000]

        groups = grouped(a_file(name=str(size), size=size) for size in sizes)

        assert [[each.size for each in group] for group in groups] == [[1_000, 2_000], [2**31], [3_000]]


class MemoryContainer(Container):
    """A container in memory, which knows what was ever staged at once."""

    def __init__(self) -> None:
        self.blobs: dict[str, tuple[bytes, Blob]] = {}
        self.asked = 0

    async def find(self, name: str) -> Blob | None:
        self.asked += 1
        return self.blobs[name][1] if name in self.blobs else None

    async def put(
        self, name: str, content: bytes, *, content_type: str = OCTETS, metadata: Mapping[str, str] | None = None
    ) -> None:
        self.blobs[name] = content, Blob(len(content), content_type, metadata or {})

    def upload(self, name: str) -> Upload:
        return MemoryUpload(self, name)


class MemoryUpload(Upload):
    """Blocks in memory."""

    def __init__(self, container: MemoryContainer, name: str) -> None:
        super().__init__(container, name)
        self.parts: list[bytes] = []

    async def stage(self, content: bytes) -> None:
        assert len(content) <= BLOCK
        self.parts.append(content)
        self._blocks.append(str(len(self.parts)))

    async def commit(self, *, content_type: str = OCTETS, metadata: Mapping[str, str] | None = None) -> None:
        await self.container.put(self.name, b"".join(self.parts), content_type=content_type, metadata=metadata)


class Served(Download):
    """A download from memory."""

    def __init__(self, content: bytes, offset: int, ends: int | None) -> None:
        self.size, self.offset, self.content_type = len(content), offset, "image/svg+xml"
        self._content, self._ends = content, ends

    async def chunks(self) -> AsyncIterator[bytes]:
        end = len(self._content) if self._ends is None else self._ends
        for at in range(self.offset, end, 100_000):
            yield self._content[at : min(at + 100_000, end)]
        if self._ends is not None:
            raise StoreUnknownError(StoreAnswer("download", None))


class Cdn(Downloads):
    """A CDN that answers each request as the next of ``plan`` says, and then as it should."""

    def __init__(self, *plan: Any, ranges: bool = True, content: bytes = CONTENT) -> None:
        self.plan, self.ranges, self.content = list(plan), ranges, content
        self.asked: list[tuple[str, int]] = []

    @asynccontextmanager
    async def open(self, url: str, *, offset: int = 0) -> AsyncIterator[Download]:
        self.asked.append((url, offset))
        planned = self.plan.pop(0) if self.plan else None
        if isinstance(planned, Exception):
            raise planned
        yield Served(self.content, offset if self.ranges else 0, planned)


EXPIRED = AddressExpiredError(StoreAnswer("download", 403))
BROKEN = StoreUnknownError(StoreAnswer("download", None))


async def brought(cdn: Cdn, file: File) -> tuple[int, MemoryContainer]:
    container = MemoryContainer()

    async def renew() -> str:
        return "https://cdn.example/pkg?e=2"

    size = await Downloader(cdn, {"packages": container, "artwork": container}).bring(file, renew)
    return size, container


class TestDownloads:
    async def test_a_file_is_held_whole_with_its_hash(self) -> None:
        size, container = await brought(Cdn(), a_file())

        content, blob = container.blobs[a_file().name]
        assert (size, content) == (len(CONTENT), CONTENT)
        assert blob.metadata == {"sha256": SHA256}
        assert blob.content_type == OCTETS

    async def test_a_break_goes_on_from_where_it_was(self) -> None:
        cdn = Cdn(5_000_000, BROKEN, 9_000_000)

        _, container = await brought(cdn, a_file())

        assert [offset for _, offset in cdn.asked] == [0, 5_000_000, 5_000_000, 9_000_000]
        assert container.blobs[a_file().name][0] == CONTENT

    async def test_a_server_that_ignores_the_range_is_read_past_what_is_there(self) -> None:
        cdn = Cdn(5_000_000, 7_000_000, ranges=False)

        _, container = await brought(cdn, a_file())

        assert container.blobs[a_file().name][0] == CONTENT

    async def test_an_expired_address_is_asked_for_again(self) -> None:
        cdn = Cdn(5_000_000, EXPIRED)

        _, container = await brought(cdn, a_file())

        assert cdn.asked[-1] == ("https://cdn.example/pkg?e=2", 5_000_000)
        assert container.blobs[a_file().name][0] == CONTENT

    async def test_addresses_that_lead_nowhere_are_given_up(self) -> None:
        cdn = Cdn(*[EXPIRED] * 10)

        with pytest.raises(AddressExpiredError):
            await brought(cdn, a_file())

        assert len(cdn.asked) == MAX_RENEWALS + 1

    async def test_breaks_without_a_byte_are_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shared.catalog.downloader._FIRST_PAUSE", 0.0)
        cdn = Cdn(*[BROKEN] * 10)

        with pytest.raises(StoreUnknownError):
            await brought(cdn, a_file())

        assert len(cdn.asked) == MAX_BREAKS + 1

    @pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"!", b"?" + CONTENT[1:]])
    async def test_what_is_not_as_described_is_never_seen(self, content: bytes) -> None:
        cdn, container = Cdn(content=content), MemoryContainer()

        with pytest.raises(WrongFileError):
            await Downloader(cdn, {"packages": container}).bring(a_file(), cast("Any", None))

        assert container.blobs == {}

    async def test_what_is_held_is_not_downloaded_and_not_looked_for_twice(self) -> None:
        container, cdn = MemoryContainer(), Cdn()
        downloader = Downloader(cdn, {"packages": container})

        sizes = [await downloader.bring(a_file(), cast("Any", None)) for _ in range(3)]

        assert sizes == [len(CONTENT), 0, 0]
        assert (len(cdn.asked), container.asked) == (1, 1)
        container.blobs.clear()
        assert await downloader.bring(a_file(fresh=True), cast("Any", None)) == len(CONTENT)

    async def test_artwork_that_a_browser_might_run_is_handed_out_as_bytes(self) -> None:
        small = b"<svg/>"
        file = File("artwork", "logo", KEY, "en-us", "https://cdn.example/logo.svg", len(small))

        _, container = await brought(Cdn(content=small), file)

        assert container.blobs["logo"][1].content_type == OCTETS
