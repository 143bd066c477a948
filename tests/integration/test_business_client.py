"""The client of Store for Business against the emulator: what it reads is the truth, what it does takes effect."""

import asyncio
import base64
import hashlib
import time
from collections.abc import AsyncIterator
from typing import Any, cast

import msgspec
import pytest

from local.control import Control
from shared.store.business import BusinessStore
from shared.store.downloads import AddressExpiredError, Downloads
from shared.store.errors import StoreRefusedError, StoreThrottledError, StoreUnknownError
from shared.store.models.business import (
    FrameworkPackageDetails,
    InventoryEntry,
    InventoryStatus,
    LicenseType,
    LocalizedProductDetail,
    ProductDetails,
    ProductKey,
    ProductPackageSet,
    SeatAction,
    SeatDetails,
    SeatState,
)
from shared.store.transport import Transport
from shared.store.wire_time import ticks
from shared.wiring import Wiring
from tests.support.app import unique
from tests.support.business import all_of

NAMES = ("contoso", "fabrikam", "northwind")
CONCURRENCY = 16
MISSING = ProductKey("9NONESUCH", "0016")

type Stores = dict[str, BusinessStore]


@pytest.fixture
async def stores(wiring: Wiring, control: Control) -> AsyncIterator[Stores]:
    """A client of each tenant, by the tenant's name, none of which a test before this one has throttled."""
    names = {tenant["tenantId"]: tenant["name"] for tenant in await control.business_tenants()}
    settings, entra = wiring.core.settings, wiring.core.entra
    url = settings.store_business_url
    transports = {identity: Transport(url, CONCURRENCY) for identity in settings.business_tenants}
    yield {names[identity.tenant_id]: BusinessStore(identity, way, entra) for identity, way in transports.items()}
    for transport in transports.values():
        await transport.close()


@pytest.fixture
async def store(stores: Stores) -> BusinessStore:
    return stores["contoso"]


@pytest.fixture
async def downloads() -> AsyncIterator[Downloads]:
    downloads = Downloads(4)
    yield downloads
    await downloads.close()


@pytest.fixture
async def online(control: Control) -> ProductKey:
    """A product with seats without limit that no other test knows."""
    return await added(control, licenseType="online")


@pytest.fixture
async def offline(control: Control) -> ProductKey:
    """A product with packages that no other test knows."""
    return await added(control, licenseType="offline", packagesPerProduct=2, packageSize=300_000)


async def added(control: Control, **options: Any) -> ProductKey:
    (key,) = await control.add_business_products("contoso", 1, **options)
    return msgspec.convert(key, ProductKey)


async def told(control: Control, product: ProductKey, *parts: str) -> dict[str, Any]:
    """What the emulator knows of a product of Contoso's."""
    return await control.business_product("contoso", product.product_id, product.sku_id, *parts)


def on_wire(product: ProductKey) -> dict[str, str]:
    return cast("dict[str, str]", msgspec.to_builtins(product))


def plain(value: object) -> Any:
    """A model without the queries of its addresses, which differ with each answer."""
    built = msgspec.to_builtins(value)

    def cut(part: Any) -> Any:
        match part:
            case dict():
                return {name: cut(each) for name, each in part.items()}
            case list() | tuple():
                return [cut(each) for each in part]
            case str() if part.startswith("https://"):
                return part.partition("?")[0]
        return part

    return cut(built)


def as_model(truth: object, shape: type) -> Any:
    return plain(msgspec.convert(truth, shape))


def users(count: int, prefix: str) -> list[str]:
    return [f"{prefix}-{number}@contoso.example" for number in range(count)]


class TestCatalogue:
    """What is read is what there is."""

    @pytest.mark.parametrize("name", NAMES)
    async def test_the_inventory_of_each_tenant_is_its_own_entry_for_entry(
        self, stores: Stores, control: Control, name: str
    ) -> None:
        pages = await all_of(stores[name].inventory(page_size=30))

        truth = [
            msgspec.convert(each["entry"], InventoryEntry) for each in await control.business_products(name, "entry")
        ]
        read = [entry for page in pages for entry in page.entries]
        assert len(pages) == (len(truth) + 29) // 30
        assert sorted(read, key=str) == sorted(truth, key=str)
        assert {entry.license_type for entry in read} == set(LicenseType)
        assert {entry.status for entry in read} == set(InventoryStatus)
        answered = [page.answered_on.timestamp() for page in pages if page.answered_on]
        assert len(answered) == len(pages)
        assert max(abs(time.time() - each) for each in answered) < 60

    async def test_details_languages_packages_and_licenses_are_what_the_store_has(
        self, store: BusinessStore, control: Control
    ) -> None:
        truths = await control.business_products("contoso", "entry", "details", "localized", "packages", "licenses")
        owned = [each for each in truths if each["entry"]["status"].lower() == "active"]

        for truth in [each for each in owned if each["packages"]["productPackages"]][:5] + owned[:10]:
            product = msgspec.convert(truth["productKey"], ProductKey)
            assert plain(await store.get_product(product)) == as_model(truth["details"], ProductDetails)
            for language, expected in truth["localized"].items():
                localized = await store.get_localized_product(product, language)
                assert plain(localized) == as_model(expected, LocalizedProductDetail)
            packages = await store.get_packages(product)
            assert plain(packages) == as_model(truth["packages"], ProductPackageSet)
            for package in packages.product_packages:
                assert plain(await store.get_package(product, package.package_id)) == plain(package)
            for expected in truth["licenses"]:
                held = await store.get_offline_license(product, expected["contentId"])
                assert held.license_blob.reveal() == expected["licenseBlob"]
                assert held.license_instance_id == expected["licenseInstanceId"]

    async def test_only_what_changed_since_is_listed(self, store: BusinessStore, control: Control) -> None:
        before = [entry for page in await all_of(store.inventory()) for entry in page.entries]
        watermark = max((entry.last_modified for entry in before), key=ticks)

        changed = await control.change_business_products("contoso", count=5, seed=3, renew=["description"])
        since = [entry for page in await all_of(store.inventory(modified_since=watermark)) for entry in page.entries]

        newer = {entry.product_key for entry in since if ticks(entry.last_modified) > ticks(watermark)}
        assert newer == {msgspec.convert(key, ProductKey) for key in changed}
        at_watermark = {entry.product_key for entry in before if ticks(entry.last_modified) == ticks(watermark)}
        assert {entry.product_key for entry in since} == newer | at_watermark

    async def test_a_listing_is_resumed_where_another_left_it(self, store: BusinessStore) -> None:
        kinds = {"license_types": [LicenseType.ONLINE], "page_size": 20}
        whole = await all_of(store.inventory(**cast("Any", kinds)))

        rest = await all_of(store.inventory(continuation_token=whole[1].continuation_token, **cast("Any", kinds)))

        assert [page.entries for page in rest] == [page.entries for page in whole[2:]]
        assert {entry.license_type for page in whole for entry in page.entries} == {LicenseType.ONLINE}

    async def test_a_language_that_a_product_does_not_speak_falls_back(
        self, store: BusinessStore, online: ProductKey
    ) -> None:
        assert (await store.get_localized_product(online, "sw-ke")).language == "en-us"

    async def test_a_product_that_vanishes_after_it_was_listed_is_refused(
        self, store: BusinessStore, control: Control, online: ProductKey
    ) -> None:
        await control.change_business_products("contoso", products=[on_wire(online)], vanished=True)

        with pytest.raises(StoreRefusedError) as refusal:
            await store.get_product(online)

        assert (refusal.value.answer.status, refusal.value.answer.item_type) == (404, "Product/SKU")


class TestRefusals:
    """The Store's words for what it does not do."""

    @pytest.mark.parametrize(
        ("call", "status", "reason", "item_type"),
        [
            (lambda store, _on, off: store.assign_seat(off, "ada@contoso.example"), 409, "Not online", None),
            (lambda store, _on, off: anext(store.seats(off)), 409, "Not online", None),
            (lambda store, on, _off: store.get_offline_license(on, "content"), 409, "Not offline", None),
            (lambda store, _on, _off: store.get_product(MISSING), 404, None, "Product/SKU"),
            (lambda store, on, _off: store.get_package(on, "none"), 404, None, "Package"),
            (lambda store, on, _off: store.get_localized_product(on, "no language"), 404, None, "Language"),
            (lambda store, on, _off: store.get_seat(on, "nobody@contoso.example"), 404, None, "User"),
            (lambda store, on, _off: store.get_seat(on, "ada@fabrikam.example"), 404, None, "User"),
            (lambda store, on, _off: store.reclaim_seat(on, "ada@contoso.example"), 404, None, "Seat"),
            (lambda store, on, _off: store.get_seat(on, "no-at-sign"), 400, "Invalid parameter", None),
            (lambda store, on, _off: anext(store.seats(on, page_size=101)), 400, "Invalid parameter", None),
            (lambda store, _on, _off: anext(store.inventory(modified_since="x")), 400, "Invalid parameter", None),
            (lambda store, _on, _off: anext(store.inventory(continuation_token="x")), 400, "Invalid parameter", None),
        ],
    )
    async def test_a_refusal_is_told_with_what_the_store_says(
        self,
        store: BusinessStore,
        online: ProductKey,
        offline: ProductKey,
        call: Any,
        status: int,
        reason: str | None,
        item_type: str | None,
    ) -> None:
        with pytest.raises(StoreRefusedError) as refusal:
            await call(store, online, offline)

        answer = refusal.value.answer
        assert (answer.status, answer.reason, answer.item_type) == (status, reason, item_type)
        assert answer.request_id
        assert answer.raw

    async def test_what_a_tenant_does_not_own_any_more_has_no_packages(
        self, store: BusinessStore, control: Control, offline: ProductKey
    ) -> None:
        await control.change_business_products("contoso", products=[on_wire(offline)], removed=True)

        with pytest.raises(StoreRefusedError, match="Not owned"):
            await store.get_packages(offline)


class TestSeats:
    """What is assigned is held, until it is reclaimed."""

    @pytest.mark.parametrize("name", ["ada", "ada+test", "o'brien", "a#b?c&d", "a%2Fb", "žofie", "..", "~._-!$*();=,"])
    async def test_a_seat_is_assigned_found_and_reclaimed_whatever_the_users_name(
        self, store: BusinessStore, control: Control, online: ProductKey, name: str
    ) -> None:
        user = f"{name}@contoso.example"

        assigned = await store.assign_seat(online, user)
        assert await store.assign_seat(online, user) == assigned
        assert await store.get_seat(online, user) == assigned
        assert await all_of_seats(store, online) == [assigned]
        assert assigned in [seat for page in await all_of(store.seats_of_user(user)) for seat in page.seats]
        assert [msgspec.convert(seat, SeatDetails) for seat in (await told(control, online, "seats"))["seats"]] == [
            assigned
        ]
        assert (assigned.assigned_to, assigned.state, assigned.product_key) == (user, SeatState.ACTIVE, online)

        reclaimed = await store.reclaim_seat(online, user)

        assert (reclaimed.assigned_to, reclaimed.state) == (user, SeatState.REVOKED)
        assert await all_of_seats(store, online) == []

    async def test_many_seats_are_changed_at_once_and_listed_page_by_page(
        self, store: BusinessStore, online: ProductKey
    ) -> None:
        good, bad = users(120, unique()), ["nobody@contoso.example", "ada@elsewhere.example"]

        assigned = await store.change_seats(online, good + bad, SeatAction.ASSIGN)

        assert {seat.assigned_to for seat in assigned.seat_details} == set(good)
        assert {(failed.user_name, failed.failure_reason) for failed in assigned.failed_seat_operations} == {
            (name, "UserNotFound") for name in bad
        }
        pages = await all_of(store.seats(online, page_size=50))
        assert [len(page.seats) for page in pages] == [50, 50, 20]
        assert {seat.assigned_to for page in pages for seat in page.seats} == set(good)

        reclaimed = await store.change_seats(online, [*good, good[0]], SeatAction.RECLAIM)

        assert [failed.failure_reason for failed in reclaimed.failed_seat_operations] == ["SeatNotFound"]
        assert await all_of_seats(store, online) == []

    async def test_capacity_counts(self, store: BusinessStore, control: Control) -> None:
        product = await added(control, licenseType="online", capacity=2)
        one, two, three = users(3, unique())
        await store.change_seats(product, [one, two], SeatAction.ASSIGN)

        with pytest.raises(StoreRefusedError) as refusal:
            await store.assign_seat(product, three)
        bulk = await store.change_seats(product, [two, three], SeatAction.ASSIGN)

        assert (refusal.value.answer.status, refusal.value.answer.reason) == (409, "No seats available")
        assert [seat.assigned_to for seat in bulk.seat_details] == [two]
        assert [failed.failure_reason for failed in bulk.failed_seat_operations] == ["NoSeatsAvailable"]
        entry = msgspec.convert((await told(control, product, "entry"))["entry"], InventoryEntry)
        assert (entry.seat_capacity, entry.available_seats) == (2, 0)


async def all_of_seats(store: BusinessStore, product: ProductKey) -> list[SeatDetails]:
    return [seat for page in await all_of(store.seats(product)) for seat in page.seats]


class TestBadDays:
    """A Store that is busy, broken or slow to say so."""

    async def test_a_busy_moment_is_waited_for(
        self, store: BusinessStore, control: Control, online: ProductKey
    ) -> None:
        await control.disturb("business", {"status": 429, "retryAfter": 1}, times=2)
        started = time.monotonic()

        await store.assign_seat(online, "ada@contoso.example")

        assert 2 <= time.monotonic() - started < 10

    async def test_a_storm_is_waited_out_by_all_and_called_by_few(
        self, store: BusinessStore, control: Control, online: ProductKey
    ) -> None:
        since = await control.last_seen()
        await control.disturb("business", {"status": 503, "retryAfter": 2})

        calls = asyncio.gather(*(store.assign_seat(online, user) for user in users(60, unique())))
        await asyncio.sleep(1)
        sent_into_it = await control.count(service="business", since=since)
        await control.calm()
        await calls

        assert sent_into_it == CONCURRENCY
        assert await control.count(service="business", since=since) == CONCURRENCY + 60

    async def test_a_long_pause_is_told_at_once_and_is_one_tenants_own(
        self, stores: Stores, control: Control, online: ProductKey
    ) -> None:
        await control.disturb("business", {"status": 429, "retryAfter": 120}, times=1)
        with pytest.raises(StoreThrottledError):
            await stores["contoso"].get_product(online)
        since = await control.last_seen()

        with pytest.raises(StoreThrottledError) as refusal:
            await stores["contoso"].get_product(online)
        assert refusal.value.retry_after is not None
        assert 100 < refusal.value.retry_after <= 120
        assert await control.count(service="business", since=since) == 0

        assert (await anext(stores["fabrikam"].inventory())).entries

    @pytest.mark.parametrize("effect", [{"status": 500}, {"drop": "before"}, {"status": 200, "body": "<html>"}])
    async def test_a_read_survives_two_failures(
        self, store: BusinessStore, control: Control, online: ProductKey, effect: dict[str, Any]
    ) -> None:
        await control.disturb("business", effect, times=2)

        assert (await store.get_product(online)).product_key == online

    @pytest.mark.parametrize("effect", [{"status": 500, "when": "after"}, {"drop": "after"}])
    async def test_a_change_whose_answer_is_lost_took_effect_once_and_may_be_repeated(
        self, store: BusinessStore, control: Control, online: ProductKey, effect: dict[str, Any]
    ) -> None:
        since = await control.last_seen()
        await control.disturb("business", effect, times=1)

        with pytest.raises(StoreUnknownError):
            await store.assign_seat(online, "ada@contoso.example")

        assert await control.count(service="business", since=since) == 1
        seat = await store.get_seat(online, "ada@contoso.example")
        assert await store.assign_seat(online, "ada@contoso.example") == seat


class TestDownloads:
    """Packages and artwork arrive whole, or are known not to have."""

    async def test_packages_with_their_frameworks_are_what_their_hashes_say(
        self, store: BusinessStore, offline: ProductKey, downloads: Downloads
    ) -> None:
        packages = (await store.get_packages(offline)).product_packages
        files: list[FrameworkPackageDetails] = [*packages]
        files += [framework for package in packages for framework in package.framework_dependency_packages]

        for file in files:
            content = await read(downloads, file.location.url)
            assert len(content) == file.file_size
            if file.file_hash:
                assert base64.b64encode(hashlib.sha256(content).digest()).decode() == file.file_hash

    async def test_artwork_is_an_image_of_its_size(
        self, store: BusinessStore, online: ProductKey, downloads: Downloads
    ) -> None:
        images = (await store.get_localized_product(online, "en-us")).images
        assert images

        for image in images:
            async with downloads.open(image.location) as download:
                content = b"".join([chunk async for chunk in download.chunks()])
                assert download.content_type == "image/png"
                assert download.size == len(content) == image.file_size

    async def test_a_download_that_was_cut_is_gone_on_with(
        self, store: BusinessStore, control: Control, offline: ProductKey, downloads: Downloads
    ) -> None:
        (package, *_) = (await store.get_packages(offline)).product_packages
        await control.disturb_downloads(dropAfterBytes=100_000)
        received = bytearray()

        async with downloads.open(package.location.url) as download:
            with pytest.raises(StoreUnknownError):
                await fill(received, download.chunks())
        async with downloads.open(package.location.url, offset=len(received)) as download:
            assert (download.offset, download.size) == (100_000, package.file_size)
            await fill(received, download.chunks())

        assert bytes(received) == await read(downloads, package.location.url)

    async def test_an_expired_address_is_asked_for_again(
        self, store: BusinessStore, control: Control, offline: ProductKey, downloads: Downloads
    ) -> None:
        (package, *_) = (await store.get_packages(offline)).product_packages
        await control.expire_addresses()

        with pytest.raises(AddressExpiredError):
            await read(downloads, package.location.url)
        fresh = await store.get_package(offline, package.package_id)

        assert len(await read(downloads, fresh.location.url)) == package.file_size


async def read(downloads: Downloads, url: str) -> bytes:
    async with downloads.open(url) as download:
        return b"".join([chunk async for chunk in download.chunks()])


async def fill(received: bytearray, chunks: AsyncIterator[bytes]) -> None:
    async for chunk in chunks:
        received += chunk
