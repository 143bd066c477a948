"""Artwork and packages: whole and verified, or not there at all."""

import asyncio
from datetime import timedelta

import msgspec
import pytest

from local.control import Control
from shared.catalog.downloader import VERIFICATIONS
from shared.catalog.files import PACKAGES, every_package, package_name
from shared.catalog.messages import DOWNLOADS_QUEUE
from shared.catalog.reading import Filters
from shared.catalog.schedule import ATTEMPTS
from shared.catalog.transfer import BLOCK
from shared.catalog.work import State
from shared.storage.blobs import Blob, Container
from shared.storage.uploads import BlobChangedError, BlocksLostError, version_mark
from shared.store.models.business import ProductKey, ProductPackageSet
from tests.support.app import unique
from tests.support.cataloguing import Cataloguing, Open, Sent, as_json, keys_of

# A worker that dies leaves connections open that nobody closes: that is what is played here.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

BIG = 9 * 1024 * 1024
"""Bytes of a package that takes more than two blocks."""

LONG = 6 * BLOCK
"""Bytes of a package that takes long."""


@pytest.fixture
async def catalogue(opened: Open) -> Cataloguing:
    """A catalogue in step, of which one offline product has just got other packages."""
    catalogue = await opened("northwind", languages=("en-us",))
    await catalogue.sync()
    return catalogue


def is_download(sent: Sent) -> bool:
    return sent.queue == DOWNLOADS_QUEUE


async def changed(catalogue: Cataloguing) -> ProductKey:
    (key,) = keys_of(await catalogue.control.change_business_products(catalogue.tenant_id, count=1, renew=["packages"]))
    return key


async def big_product(catalogue: Cataloguing, size: int = BIG, **options: object) -> ProductKey:
    """A new offline product with one big package; taken back by :func:`removed`, so that other tests do not meet it."""
    (key,) = keys_of(
        await catalogue.control.add_business_products(
            catalogue.tenant_id,
            1,
            licenseType="offline",
            packagesPerProduct=1,
            packageSize=size,
            images=False,
            **options,
        )
    )
    return key


async def names(catalogue: Cataloguing, key: ProductKey) -> list[str]:
    packages = msgspec.convert((await catalogue.truth())[key]["packages"], ProductPackageSet)
    return [package_name(catalogue.tenant_id, key, each) for each in every_package(packages)]


class TestAddresses:
    """They expire, and are asked for again."""

    async def test_one_that_expired_before_the_download_is_asked_for_again(self, catalogue: Cataloguing) -> None:
        await changed(catalogue)
        started = await catalogue.starting.start([catalogue.tenant_id])
        await catalogue.run(until=is_download)
        await catalogue.control.expire_addresses()

        await catalogue.run()

        assert (await catalogue.found(started.sync_id)).state is State.COMPLETED
        await catalogue.equals_truth()

    async def test_one_that_expires_in_the_midst_is_asked_for_again_and_the_download_goes_on(
        self, catalogue: Cataloguing, control: Control
    ) -> None:
        key = await big_product(catalogue)
        await control.disturb_downloads(path="packages/", dropAfterBytes=5_000_000)
        started = await catalogue.starting.start([catalogue.tenant_id])
        await catalogue.run(until=is_download)
        await control.set_address_lifetime(0.2)
        await control.expire_addresses()
        since = await control.last_seen()

        await catalogue.run()

        assert (await catalogue.found(started.sync_id)).state is State.COMPLETED
        (package, *_) = await names(catalogue, key)
        blob = await catalogue.containers[PACKAGES].find(package)
        assert blob
        assert blob.size == BIG
        asked = await control.count(service="business", path=f"{key.product_id}/{key.sku_id}/Packages", since=since)
        assert asked >= 1
        await removed(catalogue, key)

    async def test_one_that_leads_nowhere_is_a_problem_of_its_product_alone(
        self, catalogue: Cataloguing, control: Control
    ) -> None:
        key = await changed(catalogue)
        await control.disturb("cdn", {"status": 404}, path="/packages/pkg-")

        sync = await catalogue.sync()

        assert sync.state is State.COMPLETED
        problems = (await catalogue.held())[key].problems
        assert problems
        assert all(each.part.startswith("package:") for each in problems)
        await control.calm()
        await catalogue.sync(full=True)
        await catalogue.equals_truth()


class TestTheContent:
    """It is what the Store describes, to the byte."""

    async def test_a_connection_that_breaks_goes_on_from_where_it_was(
        self, catalogue: Cataloguing, control: Control
    ) -> None:
        key = await big_product(catalogue)
        for after in (5_000_000, 3_000_000):
            await control.disturb_downloads(path="packages/pkg-", dropAfterBytes=after)
        since = await control.last_seen()

        sync = await catalogue.sync()

        assert sync.state is State.COMPLETED
        assert await control.count(service="cdn", path="/packages/pkg-", since=since) == 3
        assert sync.tally.downloaded_bytes >= BIG
        await catalogue.equals_truth()
        await removed(catalogue, key)

    async def test_one_that_is_cut_short_goes_on_too(self, catalogue: Cataloguing, control: Control) -> None:
        await changed(catalogue)
        await control.disturb_downloads(path="packages/", endAfterBytes=1_000, times=2)

        assert (await catalogue.sync()).state is State.COMPLETED

        await catalogue.equals_truth()

    async def test_wrong_bytes_are_never_seen_and_downloaded_again(
        self, catalogue: Cataloguing, control: Control
    ) -> None:
        key = await big_product(catalogue, hashed=True)
        await control.disturb_downloads(path="packages/pkg-", corrupt=True, times=VERIFICATIONS - 1)

        sync = await catalogue.sync()

        assert sync.state is State.COMPLETED
        assert sync.tally.problems == 0
        await catalogue.equals_truth()
        await removed(catalogue, key)

    async def test_bytes_that_stay_wrong_are_a_problem_and_no_blob(
        self, catalogue: Cataloguing, control: Control
    ) -> None:
        key = await big_product(catalogue, hashed=True)
        await control.disturb_downloads(path="packages/pkg-", corrupt=True, times=VERIFICATIONS)

        sync = await catalogue.sync()

        assert (sync.state, sync.tally.problems) == (State.COMPLETED, 1)
        (problem,) = (await catalogue.held())[key].problems
        assert "SHA-256" in problem.reason
        (package, *_) = await names(catalogue, key)
        assert await catalogue.containers[PACKAGES].find(package) is None

        await catalogue.sync(full=True)
        await catalogue.equals_truth()
        await removed(catalogue, key)

    async def test_a_worker_that_dies_leaves_nothing_to_be_seen(self, catalogue: Cataloguing, control: Control) -> None:
        key = await big_product(catalogue)
        await control.disturb("cdn", {"latencyMs": 400}, path="/packages/pkg-", after=1)
        await control.disturb_downloads(path="packages/pkg-", dropAfterBytes=6_000_000)
        await catalogue.starting.start([catalogue.tenant_id])
        await catalogue.run(until=is_download)
        since = await control.last_seen()
        crash = asyncio.create_task(catalogue.crash(0.35))
        await asyncio.wait([crash])
        crash.result()

        (package, *_) = await names(catalogue, key)
        assert await control.count(service="cdn", since=since) > 0
        assert await catalogue.containers[PACKAGES].find(package) is None

        await control.calm()
        catalogue.offset += timedelta(minutes=2)
        await catalogue.swept()
        await catalogue.equals_truth()
        await removed(catalogue, key)


class TestLongDownloads:
    """One that takes longer than a worker has, or than it lives, is gone on with and not begun anew."""

    @pytest.mark.parametrize("hashed", [True, False])
    async def test_a_file_that_takes_many_runs(
        self, catalogue: Cataloguing, control: Control, monkeypatch: pytest.MonkeyPatch, hashed: bool
    ) -> None:
        key = await big_product(catalogue, size=LONG, hashed=hashed)
        await control.disturb_downloads(path="packages/pkg-", bytesPerSecond=LONG // 2, times=100)
        monkeypatch.setattr("shared.catalog.bringing.BUDGET", 0.9)
        since = await control.last_seen()

        sync = await catalogue.sync()

        # In none of these runs there was time for half of it; and no more were needed than it is long.
        assert (sync.state, sync.tally.failed, sync.tally.problems) == (State.COMPLETED, 0, 0)
        first, *others = await control.requests(service="cdn", path="/packages/pkg-", since=since)
        assert first["status"] == 200
        assert 2 <= len(others) <= ATTEMPTS
        assert {each["status"] for each in others} == {206}
        await catalogue.equals_truth()
        await removed(catalogue, key)

    async def test_a_worker_that_dies_over_one_is_followed_where_it_was(
        self, catalogue: Cataloguing, control: Control
    ) -> None:
        key = await big_product(catalogue, size=LONG, hashed=True)
        await control.disturb_downloads(path="packages/pkg-", bytesPerSecond=LONG // 2)
        await catalogue.starting.start([catalogue.tenant_id])
        await catalogue.run(until=is_download)
        await catalogue.crash(1.5)
        (package, *_) = await names(catalogue, key)
        (staged,) = (await catalogue.containers[PACKAGES].staged(package, BLOCK)).values()
        assert staged
        assert await catalogue.containers[PACKAGES].look(package) is None
        since = await control.last_seen()

        await catalogue.swept()

        requests = await control.requests(service="cdn", path="/packages/pkg-", since=since)
        assert [each["status"] for each in requests] == [206]
        await catalogue.equals_truth()
        await removed(catalogue, key)

    async def test_one_whose_worker_dies_over_the_last_look_is_looked_at_again(
        self, catalogue: Cataloguing, control: Control, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is there as a whole, and given out to nobody until it is known to be right."""
        key = await big_product(catalogue, size=LONG, hashed=True)
        await control.disturb_downloads(path="packages/pkg-", bytesPerSecond=LONG // 2)
        started = await catalogue.starting.start([catalogue.tenant_id])
        await catalogue.run(until=is_download)
        await catalogue.crash(1.5)
        with monkeypatch.context() as dying:
            dying.setattr("shared.catalog.transfer.certify", dead)
            with pytest.raises(Dead):
                await catalogue.swept()
        catalogue.sent.clear()
        (package, *_) = await names(catalogue, key)
        made = await catalogue.containers[PACKAGES].look(package)
        assert made
        assert made.size == LONG
        assert await catalogue.containers[PACKAGES].find(package) is None
        product = await catalogue.reading.product(catalogue.tenant_id, key)
        held = await catalogue.reading.held_packages(catalogue.tenant_id, product)
        assert not any(each.startswith("pkg-") for each in held)
        since = await control.last_seen()

        await catalogue.swept()

        assert (await catalogue.found(started.sync_id)).state is State.COMPLETED
        assert await control.count(service="cdn", since=since) == 0
        await catalogue.equals_truth()
        await removed(catalogue, key)


class Dead(BaseException):
    """A process ends here."""


async def dead(*_: object) -> None:
    raise Dead


async def test_images_are_shown_once_they_are_held(opened: Open) -> None:
    """An address of what is not there yet would show nobody anything."""
    catalogue = await opened("northwind", languages=("en-us",))
    await catalogue.starting.start([catalogue.tenant_id])
    await catalogue.run(until=is_download)
    key, product = next(iter((await catalogue.held()).items()))
    images = product.content.localized["en-us"].images
    assert images
    early = await catalogue.reading.product(catalogue.tenant_id, key)
    (listed, *_) = (await catalogue.reading.page(catalogue.tenant_id, Filters(), 1)).products
    assert early.content.localized["en-us"].images == ()
    assert listed.logo
    assert await catalogue.reading.artwork_addresses([listed.logo]) == {}

    await catalogue.run()

    shown = await catalogue.reading.product(catalogue.tenant_id, key)
    assert shown.content.localized["en-us"].images == images
    assert set(await catalogue.reading.artwork_addresses([listed.logo])) == {listed.logo}


class TestOnce:
    """What is held is not downloaded again."""

    async def test_a_framework_that_many_products_need_is_downloaded_once(self, opened: Open, control: Control) -> None:
        catalogue = await opened("fabrikam", languages=("en-us",))
        since = await control.last_seen()

        await catalogue.sync()

        frameworks = [each["path"] for each in await control.requests(service="cdn", path="/packages/fw-", since=since)]
        assert frameworks
        assert len(frameworks) == len(set(frameworks))

    async def test_nor_for_another_worker(self, catalogue: Cataloguing, control: Control) -> None:
        since = await control.last_seen()

        sync = await catalogue.sync(full=True)

        assert sync.tally.fetched == sync.tally.seen
        assert sync.tally.downloaded_bytes == 0
        assert await control.count(service="cdn", since=since) == 0

    async def test_two_who_keep_one_file_at_once(self, catalogue: Cataloguing) -> None:
        """The first commit discards what the second has staged; the file is there all the same, and whole."""
        container, name = catalogue.containers["packages"], unique("file")
        first, second = container.upload(name), container.upload(name)
        for upload in (first, second):
            await upload.stage(b"the same bytes")

        await first.commit()
        with pytest.raises(BlocksLostError):
            await second.commit()

        assert await container.read(name, 100) == b"the same bytes"

    async def test_two_who_look_at_one_file_at_once(self, catalogue: Cataloguing) -> None:
        """Whoever comes second finds it changed: neither gives out, nor deletes, what another has judged."""
        container, name = catalogue.containers["packages"], unique("file")
        upload = container.upload(name)
        await upload.stage(b"some bytes")
        await upload.commit(verified=False)
        found = await container.look(name)
        assert found
        assert await container.find(name) is None

        await container.confirm(name, found, {"sha256": "of the first"})

        for late in (container.confirm(name, found, {}), container.discard(name, found), _read(container, name, found)):
            with pytest.raises(BlobChangedError):
                await late
        held = await container.find(name)
        assert held
        assert held.metadata == {"sha256": "of the first"}

    async def test_what_was_staged_of_one_version_is_found_as_far_as_nothing_is_missing(
        self, catalogue: Cataloguing
    ) -> None:
        container, name = catalogue.containers["packages"], unique("file")
        first, other = container.upload(name, "v1"), container.upload(name, "v2")
        for upload, content in ((first, b"aa"), (first, b"bb"), (other, b"cc"), (first, b"d"), (first, b"ee")):
            await upload.stage(content)

        staged = await container.staged(name, 2)
        again = container.upload(name, "v1", staged[version_mark("v1")])
        await again.stage(b"ff")
        await again.commit()

        assert {mark: len(blocks) for mark, blocks in staged.items()} == {version_mark("v1"): 2, version_mark("v2"): 1}
        assert await container.read(name, 100) == b"aabbff"
        assert await container.staged(name, 2) == {}
        assert await container.staged(unique("none"), 2) == {}


async def _read(container: Container, name: str, blob: Blob) -> None:
    async for _ in container.chunks(name, blob):
        pass


async def removed(catalogue: Cataloguing, key: ProductKey) -> None:
    """Take a product out of the tenant's inventory, so that no other test downloads its packages."""
    await catalogue.control.change_business_products(catalogue.tenant_id, products=[as_json(key)], removed=True)
