"""What goes to Store for Business, and how its answers are read, by the published examples.

The client speaks to a real server on loopback that answers with a fixture and keeps what it was sent.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.correlation import correlated
from shared.store.business import BusinessStore
from shared.store.errors import StoreRefusedError, StoreUnknownError
from shared.store.models.business import (
    ApplicationType,
    DistributionPolicy,
    InventoryStatus,
    LicenseType,
    PackageFormat,
    ProductArchitecture,
    SeatAction,
    SeatState,
    VersionInfo,
)
from tests.support.business import PRODUCT, LoopbackStore, Said, ScriptedEntra, all_of, client
from tests.support.fixtures import business

KEY = f"{PRODUCT.product_id}/{PRODUCT.sku_id}"
ADA = "ada@contoso.example"
ADA_ENCODED = "ada%40contoso.example"
CONTENT = "5b1d0000-0000-0000-0000-000000000001"

type Operation = Callable[[BusinessStore], Awaitable[object]]

OPERATIONS: dict[str, tuple[Operation, str, str, str]] = {
    "get inventory": (
        lambda store: all_of(store.inventory()),
        "GET",
        "/V1/Inventory?maxResults=100",
        "inventory-page-2",
    ),
    "get product details": (
        lambda store: store.get_product(PRODUCT),
        "GET",
        f"/V1/Products/{KEY}",
        "product-details",
    ),
    "get localized product details": (
        lambda store: store.get_localized_product(PRODUCT, "en-us"),
        "GET",
        f"/V1/Products/{KEY}/LocalizedDetails/en-us",
        "localized-product-details",
    ),
    "get offline license": (
        lambda store: store.get_offline_license(PRODUCT, CONTENT),
        "POST",
        f"/V1/Products/{KEY}/OfflineLicense/{CONTENT}",
        "offline-license",
    ),
    "get product packages": (
        lambda store: store.get_packages(PRODUCT),
        "GET",
        f"/V1/Products/{KEY}/Packages",
        "product-packages",
    ),
    "get product package": (
        lambda store: store.get_package(PRODUCT, "pkg-0a55"),
        "GET",
        f"/V1/Products/{KEY}/Packages/pkg-0a55",
        "product-package",
    ),
    "get seats": (
        lambda store: anext(store.seats(PRODUCT)),
        "GET",
        f"/V1/Inventory/{KEY}/Seats?maxResults=100",
        "seats-page-1",
    ),
    "get seat": (
        lambda store: store.get_seat(PRODUCT, ADA),
        "GET",
        f"/V1/Inventory/{KEY}/Seats/{ADA_ENCODED}",
        "seat",
    ),
    "assign seat": (
        lambda store: store.assign_seat(PRODUCT, ADA),
        "POST",
        f"/V1/Inventory/{KEY}/Seats/{ADA_ENCODED}",
        "seat",
    ),
    "reclaim seat": (
        lambda store: store.reclaim_seat(PRODUCT, ADA),
        "DELETE",
        f"/V1/Inventory/{KEY}/Seats/{ADA_ENCODED}",
        "seat",
    ),
    "bulk assign": (
        lambda store: store.change_seats(PRODUCT, [ADA, "nobody@contoso.example"], SeatAction.ASSIGN),
        "POST",
        f"/V1/Inventory/{KEY}/Seats",
        "bulk-response-partial",
    ),
    "get seats of a user": (
        lambda store: anext(store.seats_of_user(ADA)),
        "GET",
        f"/V1/Users/{ADA_ENCODED}/Seats?maxResults=100",
        "seats-page-1",
    ),
}


@pytest.fixture
async def server() -> AsyncIterator[LoopbackStore]:
    async with LoopbackStore().running() as server:
        yield server


@pytest.fixture
async def store(server: LoopbackStore) -> AsyncIterator[BusinessStore]:
    async with client(server.url, ScriptedEntra()) as store:
        yield store


@pytest.mark.parametrize("name", OPERATIONS)
async def test_every_operation_is_sent_as_documented(server: LoopbackStore, store: BusinessStore, name: str) -> None:
    call, method, target, fixture = OPERATIONS[name]
    server.says(Said(body=business(fixture)))

    with correlated("c-1"):
        await call(store)

    (sent,) = server.sent
    assert (sent.method, sent.target) == (method, target)
    assert sent.headers["Authorization"] == "Bearer contoso-token-1"
    assert sent.headers["MS-CorrelationId"] == "c-1"
    assert sent.headers["User-Agent"].startswith("Storekeeper/")
    assert sent.headers["Host"] == server.url.removeprefix("http://")
    if name == "bulk assign":
        assert json.loads(sent.body) == business("bulk-request")
        assert sent.headers["Content-Type"] == "application/json"
    else:
        assert sent.body == b""
        assert sent.headers.get("Content-Length", "0") == "0"
        assert "Content-Type" not in sent.headers


@pytest.mark.parametrize("name", OPERATIONS)
async def test_every_operation_tells_of_itself_in_its_errors(
    server: LoopbackStore, store: BusinessStore, name: str
) -> None:
    call, method, target, _ = OPERATIONS[name]
    server.says(Said(404))

    with pytest.raises(StoreRefusedError, match=rf"^{name}: HTTP 404$") as refusal:
        await call(store)

    assert (refusal.value.answer.method, refusal.value.answer.path) == (method, target.partition("?")[0])


async def test_a_service_below_a_path_is_called_below_it(server: LoopbackStore) -> None:
    server.says(Said(body=business("seat")))
    async with client(f"{server.url}/business", ScriptedEntra()) as store:
        await store.get_seat(PRODUCT, ADA)

    assert server.sent[0].target == f"/business/V1/Inventory/{KEY}/Seats/{ADA_ENCODED}"


async def test_the_inventory_is_read(server: LoopbackStore, store: BusinessStore) -> None:
    date = {"Date": "Sat, 21 Nov 2026 14:00:00 GMT"}
    server.says(Said(body=business("inventory-page-1"), headers=date), Said(body=business("inventory-page-2")))

    first, second = await all_of(store.inventory())

    one, two = first.entries
    assert one.product_key == PRODUCT
    assert (one.seat_capacity, one.available_seats) == (500, 498)
    assert one.last_modified == "2015-07-13T14:02:25.6863382-07:00"
    assert (one.license_type, one.distribution_policy) == (LicenseType.ONLINE, DistributionPolicy.RESTRICTED)
    assert (two.license_type, two.distribution_policy) == (LicenseType.OFFLINE, DistributionPolicy.OPEN)
    assert two.seat_capacity == 2**31 - 1
    assert first.answered_on == datetime(2026, 11, 21, 14, 0, tzinfo=UTC)
    assert (first.continuation_token, second.continuation_token) == ("MjU=", None)
    assert second.entries[0].status is InventoryStatus.REMOVED


async def test_details_are_read(server: LoopbackStore, store: BusinessStore) -> None:
    server.says(Said(body=business("product-details")))

    details = await store.get_product(PRODUCT)

    assert details.application_type is ApplicationType.STORE
    assert details.supported_languages == ("en-us", "fr-fr", "ja-jp")
    assert [each.type for each in details.alternate_ids] == [
        "LegacyWindowStoreProductId",
        "LegacyWindowsPhoneProductId",
    ]
    (platform,) = details.supported_platforms
    assert platform.min_version == VersionInfo(10, 0, 10240, 0)
    assert platform.architectures == (ProductArchitecture.X86, ProductArchitecture.X64, ProductArchitecture.ARM)


async def test_localized_details_name_the_language_that_they_fall_back_to(
    server: LoopbackStore, store: BusinessStore
) -> None:
    server.says(Said(body=business("localized-product-details")))

    localized = await store.get_localized_product(PRODUCT, "fr-ca")

    assert localized.language == "fr-fr"
    assert localized.description == "Prenez des notes où que vous soyez."
    assert [(image.purpose, image.height, image.file_size) for image in localized.images] == [
        ("logo", "300", 4096),
        ("screenshot", "768", 183201),
    ]
    assert localized.publisher is not None
    assert localized.publisher.publisher_name == "Microsoft Corporation"


async def test_packages_are_read_with_their_frameworks(server: LoopbackStore, store: BusinessStore) -> None:
    server.says(Said(body=business("product-packages")), Said(body=business("product-package")))

    packages = await store.get_packages(PRODUCT)
    package = await store.get_package(PRODUCT, "pkg-0a55")

    assert packages.product_packages == (package,)
    assert package.location.url == "https://dl.delivery.example/app.appxbundle?P1=1480000000"
    assert package.package_format is PackageFormat.APPX_BUNDLE
    assert package.architectures == (ProductArchitecture.NEUTRAL,)
    assert (package.file_size, package.package_rank, package.file_hash_algorithm) == (52428800, 30002, "SHA256")
    assert package.version == VersionInfo(1, 1, 10917, 2059)
    (framework,) = package.framework_dependency_packages
    assert framework.package_full_name == "Microsoft.VCLibs.140.00_14.0.24123.0_x64__8wekyb3d8bbwe"
    assert (framework.file_hash, framework.version) == (None, None)


async def test_a_license_is_read_and_not_shown(server: LoopbackStore, store: BusinessStore) -> None:
    answer = business("offline-license")
    server.says(Said(body=answer))

    license_ = await store.get_offline_license(PRODUCT, CONTENT)

    assert license_.license_blob.reveal() == answer["licenseBlob"]
    assert (license_.license_instance_id, license_.content_id) == ("3", CONTENT)
    assert answer["licenseBlob"] not in repr(license_)


async def test_who_failed_in_a_bulk_call_is_told_with_the_reason(server: LoopbackStore, store: BusinessStore) -> None:
    server.says(Said(body=business("bulk-response-partial")))

    result = await store.change_seats(PRODUCT, [ADA, "nobody@contoso.example"], SeatAction.ASSIGN)

    (seat,) = result.seat_details
    assert (seat.assigned_to, seat.state, seat.date_assigned) == (ADA, SeatState.ACTIVE, "2016-03-01T10:15:30.1234567Z")
    (failed,) = result.failed_seat_operations
    assert (failed.user_name, failed.failure_reason) == ("nobody@contoso.example", "UserNotFound")


async def test_reclaiming_in_bulk_is_named_as_in_the_public_client(server: LoopbackStore, store: BusinessStore) -> None:
    server.says(Said(body={}))

    await store.change_seats(PRODUCT, (ADA,), SeatAction.RECLAIM)

    assert json.loads(server.sent[0].body) == {"userNames": [ADA], "seatAction": "Reclaim"}


async def test_the_inventory_is_filtered_by_exactly_what_was_received(
    server: LoopbackStore, store: BusinessStore
) -> None:
    server.says(Said(body=business("inventory-page-1")), Said(body=business("inventory-page-2")))
    filters: dict[str, Any] = {"license_types": [LicenseType.ONLINE, LicenseType.OFFLINE], "page_size": 7}

    await all_of(store.inventory(modified_since="2015-07-13T14:02:25.6863382+07:00", **filters))

    same = (
        "modifiedSince=2015-07-13T14%3A02%3A25.6863382%2B07%3A00&licenseTypes=online&licenseTypes=offline&maxResults=7"
    )
    assert [sent.target for sent in server.sent] == [
        f"/V1/Inventory?{same}",
        f"/V1/Inventory?{same}&continuationToken=MjU%3D",
    ]


async def test_a_listing_is_resumed_at_its_token(server: LoopbackStore, store: BusinessStore) -> None:
    server.says(Said(body=business("inventory-page-2")))

    pages = await all_of(store.inventory(continuation_token="a+b/c=&d #é"))

    assert len(pages) == 1
    assert server.sent[0].target == "/V1/Inventory?maxResults=100&continuationToken=a%2Bb%2Fc%3D%26d%20%23%C3%A9"


async def test_a_page_is_asked_for_only_when_the_one_before_is_done_with(
    server: LoopbackStore, store: BusinessStore
) -> None:
    server.says(Said(body=business("seats-page-1")), Said(body={"seats": []}))
    pages = store.seats(PRODUCT, page_size=50)

    await anext(pages)
    assert len(server.sent) == 1
    await anext(pages)

    assert [sent.target.partition("?")[2] for sent in server.sent] == [
        "maxResults=50",
        "maxResults=50&continuationToken=Mg%3D%3D",
    ]
    with pytest.raises(StopAsyncIteration):
        await anext(pages)


@pytest.mark.parametrize("tokens", [["a", "a"], ["a", "b", "a"], ["a", "b", "c", "b"]])
async def test_a_listing_that_leads_in_a_circle_ends_in_an_error(
    server: LoopbackStore, store: BusinessStore, tokens: list[str]
) -> None:
    server.says(*(Said(body={"seats": [business("seat")], "continuationToken": token}) for token in tokens))
    pages = store.seats_of_user(ADA)

    for _ in tokens[:-1]:
        await anext(pages)
    with pytest.raises(StoreUnknownError, match="already used"):
        await anext(pages)

    assert len(server.sent) == len(tokens)


async def test_a_page_that_leads_back_to_where_a_listing_was_resumed_ends_in_an_error(
    server: LoopbackStore, store: BusinessStore
) -> None:
    server.says(Said(body=business("inventory-page-1")))

    with pytest.raises(StoreUnknownError, match="already used"):
        await all_of(store.inventory(continuation_token="MjU="))


@pytest.mark.parametrize("last", [{}, {"continuationToken": None}, {"continuationToken": ""}])
async def test_an_absent_or_empty_token_ends_a_listing(
    server: LoopbackStore, store: BusinessStore, last: dict[str, Any]
) -> None:
    server.says(Said(body=business("inventory-page-1")), Said(body={"inventoryEntries": [], **last}))

    pages = await all_of(store.inventory())

    assert [page.continuation_token for page in pages] == ["MjU=", None]


NASTY = {
    "a+b@contoso.example": "a%2Bb%40contoso.example",
    "a#b": "a%23b",
    "a/b": "a%2Fb",
    "a%2Fb": "a%252Fb",
    "a?b=c&d": "a%3Fb%3Dc%26d",
    "a b": "a%20b",
    "../../Users": "..%2F..%2FUsers",
    "žofie@contoso.example": "%C5%BEofie%40contoso.example",
    "a\\b\r\nX: y": "a%5Cb%0D%0AX%3A%20y",
    "a;b,c'd": "a%3Bb%2Cc%27d",
    "…": "%E2%80%A6",
    "~._-": "~._-",
}


@pytest.mark.parametrize("name", NASTY)
async def test_a_name_is_one_segment_whatever_it_holds(server: LoopbackStore, store: BusinessStore, name: str) -> None:
    server.says(Said(body=business("seat")))

    await store.reclaim_seat(PRODUCT, name)

    assert server.sent[0].target == f"/V1/Inventory/{KEY}/Seats/{NASTY[name]}"


@pytest.mark.parametrize("name", ["", ".", "..", "\ud800"])
async def test_a_name_that_no_path_can_carry_is_not_sent(
    server: LoopbackStore, store: BusinessStore, name: str
) -> None:
    with pytest.raises(ValueError, match=r"empty|surrogates"):
        await store.assign_seat(PRODUCT, name)

    assert server.sent == []


async def test_fields_nobody_documented_do_no_harm_and_nulls_are_no_fields(
    server: LoopbackStore, store: BusinessStore
) -> None:
    server.says(
        Said(body={"productKey": {"productId": "p", "skuId": "s", "x": 1}, "category": None, "alternateIds": None}),
        Said(
            body={"seatDetails": None, "failedSeatOperations": [{"userName": ADA, "failureReason": None}], "more": {}}
        ),
    )

    details = await store.get_product(PRODUCT)
    result = await store.change_seats(PRODUCT, [ADA], SeatAction.ASSIGN)

    assert (details.category, details.alternate_ids, details.application_type) == ("", (), None)
    assert result.seat_details == ()
    assert [(failed.user_name, failed.failure_reason) for failed in result.failed_seat_operations] == [(ADA, "")]


async def test_a_word_nobody_documented_does_not_break_a_page(server: LoopbackStore, store: BusinessStore) -> None:
    page = business("inventory-page-2")
    page["inventoryEntries"][0] |= {"licenseType": "Hybrid", "status": "REMOVED"}
    server.says(Said(body=page))

    ((entry,),) = [page.entries for page in await all_of(store.inventory())]

    assert entry.license_type == "Hybrid"
    assert entry.license_type not in set(LicenseType)
    assert entry.status is InventoryStatus.REMOVED
