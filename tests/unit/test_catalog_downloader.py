"""Files: how they are named and grouped, and a download from a CDN that is not at its best."""

import base64
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from shared.catalog.downloader import MAX_BREAKS, MAX_RENEWALS, Downloader
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
from shared.catalog.transfer import BLOCK, MAX_CHANGES, Progress, RestlessFileError, WrongFileError
from shared.storage.blobs import Blob, Container
from shared.storage.uploads import OCTETS, Upload, version_mark
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
    """A container in memory. What is staged stays there until the blob is made, whoever staged it."""

    def __init__(self) -> None:
        self.name = "memory"
        self.blobs: dict[str, tuple[bytes, Blob]] = {}
        self.blocks: dict[str, bytes] = {}
        self.asked = 0
        self.bytes_read = 0

    async def look(self, name: str) -> Blob | None:
        self.asked += 1
        return self.blobs[name][1] if name in self.blobs else None

    async def put(
        self, name: str, content: bytes, *, content_type: str = OCTETS, metadata: Mapping[str, str] | None = None
    ) -> None:
        self.blobs[name] = content, Blob(len(content), content_type, metadata or {})

    async def chunks(self, name: str, blob: Blob) -> AsyncIterator[bytes]:
        content = self.blobs[name][0]
        self.bytes_read += len(content)
        for at in range(0, len(content), BLOCK):
            yield content[at : at + BLOCK]

    async def confirm(self, name: str, blob: Blob, metadata: Mapping[str, str]) -> None:
        self.blobs[name] = self.blobs[name][0], Blob(blob.size, blob.content_type, metadata)

    async def discard(self, name: str, blob: Blob) -> None:
        del self.blobs[name]

    def upload(self, name: str, version: str = "", blocks: Sequence[str] = ()) -> Upload:
        return MemoryUpload(self, name, version, list(blocks))

    async def staged(self, name: str, size: int) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for block, content in self.blocks.items():
            if len(content) == size:
                found.setdefault(block.partition("/")[0], []).append(block)
        return found


class MemoryUpload(Upload):
    """Blocks in memory."""

    container: MemoryContainer

    async def stage(self, content: bytes) -> None:
        assert len(content) <= BLOCK
        block = f"{version_mark(self.version) if self.version else 'none'}/{self._prefix}-{len(self._blocks)}"
        self.container.blocks[block] = content
        self._blocks.append(block)

    async def commit(
        self, *, content_type: str = OCTETS, metadata: Mapping[str, str] | None = None, verified: bool = True
    ) -> None:
        content = b"".join(self.container.blocks[block] for block in self._blocks)
        about = dict(metadata or {}) | ({} if verified else {"unverified": "1"})
        await self.container.put(self.name, content, content_type=content_type, metadata=about)
        self.container.blocks.clear()


class Served(Download):
    """A download from memory."""

    def __init__(self, content: bytes, offset: int, ends: int | None, etag: str | None) -> None:
        self.size, self.offset, self.content_type, self.etag = len(content), offset, "image/svg+xml", etag
        self._content, self._ends = content, ends

    async def chunks(self) -> AsyncIterator[bytes]:
        end = len(self._content) if self._ends is None else self._ends
        for at in range(self.offset, end, 100_000):
            yield self._content[at : min(at + 100_000, end)]
        if self._ends is not None:
            raise StoreUnknownError(StoreAnswer("download", None))


class Cdn(Downloads):
    """A CDN that answers each request as the next of ``plan`` says, and then as it should.

    A plan of bytes is another file from now on, whose ETag is another.
    """

    def __init__(self, *plan: Any, ranges: bool = True, content: bytes = CONTENT, etag: str | None = None) -> None:
        self.plan, self.ranges, self.content, self.etag = list(plan), ranges, content, etag
        self.asked: list[tuple[str, int]] = []

    @asynccontextmanager
    async def open(self, url: str, *, offset: int = 0, etag: str | None = None) -> AsyncIterator[Download]:
        self.asked.append((url, offset))
        planned = self.plan.pop(0) if self.plan else None
        if isinstance(planned, bytes):
            self.content, self.etag, planned = planned, f'"{hashlib.sha256(planned).hexdigest()}"', None
        if isinstance(planned, Exception):
            raise planned
        heeded = self.ranges and etag in {None, self.etag}
        yield Served(self.content, offset if heeded else 0, planned, self.etag)


EXPIRED = AddressExpiredError(StoreAnswer("download", 403))
BROKEN = StoreUnknownError(StoreAnswer("download", None))


async def renewed() -> str:
    return "https://cdn.example/pkg?e=2"


async def brought(
    cdn: Cdn, file: File, container: MemoryContainer | None = None, progress: Progress | None = None
) -> tuple[int, MemoryContainer]:
    """What a process of its own makes of a file."""
    container = container or MemoryContainer()
    downloader = Downloader(cdn, {"packages": container, "artwork": container})
    return await downloader.bring(file, renewed, progress or Progress()), container


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
            await Downloader(cdn, {"packages": container}).bring(a_file(), renewed, Progress())

        assert container.blobs == {}

    async def test_what_is_held_is_not_downloaded_and_not_looked_for_twice(self) -> None:
        container, cdn = MemoryContainer(), Cdn()
        downloader = Downloader(cdn, {"packages": container})

        sizes = [await downloader.bring(a_file(), renewed, Progress()) for _ in range(3)]

        assert sizes == [len(CONTENT), 0, 0]
        assert (len(cdn.asked), container.asked) == (1, 1)
        container.blobs.clear()
        assert await downloader.bring(a_file(fresh=True), renewed, Progress()) == len(CONTENT)

    async def test_artwork_that_a_browser_might_run_is_handed_out_as_bytes(self) -> None:
        small = b"<svg/>"
        file = File("artwork", "logo", KEY, "en-us", "https://cdn.example/logo.svg", len(small))

        _, container = await brought(Cdn(content=small), file)

        assert container.blobs["logo"][1].content_type == OCTETS

    async def test_what_is_held_under_a_hash_that_is_not_its_own_is_not_held(self) -> None:
        container = MemoryContainer()
        await container.put(a_file().name, CONTENT[::-1], metadata={"sha256": "0" * 64})

        await brought(Cdn(), a_file(), container)

        assert container.blobs[a_file().name][0] == CONTENT


class Restless(Cdn):
    """A CDN whose file is another one whenever it is asked for, and whose connections break."""

    @asynccontextmanager
    async def open(self, url: str, *, offset: int = 0, etag: str | None = None) -> AsyncIterator[Download]:
        self.asked.append((url, offset))
        yield Served(self.content, 0, 9_000_000, f'"{len(self.asked)}"')


class Dies(Exception):  # noqa: N818 - what a test does, not what goes wrong
    """A worker ends in the midst of its work."""


ETAG = '"v1"'


class TestGoingOn:
    """A worker died, or ran out of time: the next goes on where it was."""

    async def left(self, *, at: int = 9_000_000, **cdn: Any) -> MemoryContainer:
        """What is there after a worker had read so many bytes."""
        container, progress = MemoryContainer(), Progress()
        with pytest.raises(Dies):
            await brought(Cdn(at, Dies(), **({"etag": ETAG} | cdn)), a_file(), container, progress)
        assert progress.advanced == (at >= BLOCK)
        return container

    async def test_only_what_is_missing_is_read(self) -> None:
        container, cdn = await self.left(), Cdn(etag=ETAG)

        size, _ = await brought(cdn, a_file(), container)

        assert [offset for _, offset in cdn.asked] == [2 * BLOCK]
        content, blob = container.blobs[a_file().name]
        assert (size, content) == (len(CONTENT), CONTENT)
        assert blob.metadata == {"sha256": SHA256}
        assert container.bytes_read == len(CONTENT), (
            "nobody here has seen the first half: it is read again before it counts"
        )

    async def test_of_one_without_an_etag_too_where_the_store_gives_a_hash(self) -> None:
        container, cdn = await self.left(etag=None), Cdn()

        await brought(cdn, a_file(), container)

        assert [offset for _, offset in cdn.asked] == [2 * BLOCK]
        assert container.blobs[a_file().name][0] == CONTENT

    async def test_one_that_nothing_is_known_of_begins_anew(self) -> None:
        container, progress, file = MemoryContainer(), Progress(), a_file(sha256=None)
        with pytest.raises(Dies):
            await brought(Cdn(9_000_000, Dies()), file, container, progress)
        assert not progress.advanced

        _, container = await brought(Cdn(), file, container)

        assert container.blobs[file.name][0] == CONTENT

    async def test_a_file_that_was_changed_begins_anew(self) -> None:
        old = CONTENT[::-1]
        container, progress = await self.left(content=old, etag='"old"'), Progress()

        cdn = Cdn(etag=ETAG)
        await brought(cdn, a_file(), container, progress)

        assert [offset for _, offset in cdn.asked] == [2 * BLOCK, 0]
        assert container.blobs[a_file().name][0] == CONTENT
        assert progress.lost

    async def test_one_that_is_changed_while_it_is_read_begins_anew(self) -> None:
        """The Store gives no hash: nothing else would tell that half of it is of another file."""
        cdn = Cdn(9_000_000, CONTENT, content=CONTENT[::-1], etag='"old"')

        _, container = await brought(cdn, a_file(sha256=None), MemoryContainer())

        assert container.blobs[a_file().name][0] == CONTENT

    async def test_one_that_is_another_each_time_is_left_for_later_and_counts_as_tried(self) -> None:
        cdn, progress = Restless(), Progress()

        with pytest.raises(RestlessFileError, match="another file each time"):
            await brought(cdn, a_file(sha256=None), MemoryContainer(), progress)

        assert len(cdn.asked) == MAX_CHANGES + 2
        assert progress.blocks
        assert not progress.advanced

    async def test_a_mistake_in_what_was_there_is_found_and_the_file_read_anew(self) -> None:
        container = await self.left()
        first = next(iter(container.blocks))
        container.blocks[first] = bytes(BLOCK)

        cdn = Cdn(etag=ETAG)
        await brought(cdn, a_file(), container)

        assert [offset for _, offset in cdn.asked] == [2 * BLOCK, 0]
        assert container.blobs[a_file().name][0] == CONTENT

    async def test_a_whole_file_that_was_not_verified_is_not_downloaded_again(self) -> None:
        container, cdn = MemoryContainer(), Cdn()
        await container.put(a_file().name, CONTENT, metadata={"unverified": "1"})
        assert await container.find(a_file().name) is None

        size, _ = await brought(cdn, a_file(), container)

        assert (size, cdn.asked) == (len(CONTENT), [])
        assert container.blobs[a_file().name][1].metadata == {"sha256": SHA256}

    async def test_nor_is_it_given_out_where_it_is_wrong(self) -> None:
        container, cdn = MemoryContainer(), Cdn()
        await container.put(a_file().name, CONTENT[::-1], metadata={"unverified": "1"})

        await brought(cdn, a_file(), container)

        assert container.blobs[a_file().name][0] == CONTENT
        assert len(cdn.asked) == 1

    async def test_one_that_another_has_made_meanwhile_stays_given_out(self) -> None:
        container = await self.left()

        class Overtaken(Cdn):
            @asynccontextmanager
            async def open(self, url: str, *, offset: int = 0, etag: str | None = None) -> AsyncIterator[Download]:
                await container.put(a_file().name, CONTENT, metadata={"sha256": SHA256})
                async with super().open(url, offset=offset, etag=etag) as download:
                    yield download

        await brought(Overtaken(etag=ETAG), a_file(), container)

        assert container.blobs[a_file().name][1].metadata == {"sha256": SHA256}
        assert container.bytes_read == 0

    async def test_of_whole_blocks_the_last_is_read_again(self) -> None:
        """Of a file that is all there nothing is left to ask for."""
        content = CONTENT[: 2 * BLOCK]
        file = a_file(size=len(content), sha256=hashlib.sha256(content).hexdigest())
        container = MemoryContainer()
        upload = container.upload(file.name, ETAG)
        for at in (0, BLOCK):
            await upload.stage(content[at : at + BLOCK])

        cdn = Cdn(content=content, etag=ETAG)
        await brought(cdn, file, container)

        assert [offset for _, offset in cdn.asked] == [BLOCK]
        assert container.blobs[file.name][0] == content
