"""The data structures of Store for Business: read tolerantly, kept exactly, never shown where they are secret."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.store.business_answers import Call, read
from shared.store.errors import StoreUnknownError
from shared.store.models.business import (
    InventoryEntry,
    InventoryResultSet,
    LicenseBlob,
    LicenseType,
    OfflineLicense,
    PackageFormat,
    ProductArchitecture,
    ProductDetails,
    ProductKey,
    ProductPackageSet,
    SeatDetails,
)
from shared.store.models.enums import WireEnum
from tests.support.fixtures import business

CALL = Call("test", "GET", "/test")


def read_as[T](body: bytes, shape: type[T]) -> T:
    return read(CALL, 200, {}, body, shape)


@pytest.mark.parametrize("member", [*LicenseType, *PackageFormat, *ProductArchitecture], ids=str)
@pytest.mark.parametrize("spell", [str.lower, str.upper, str.title, str.swapcase, str])
def test_a_value_is_read_in_any_letter_case(member: WireEnum, spell: type[str]) -> None:
    text = spell(member.value)

    assert msgspec.json.decode(f'"{text}"', type=type(member)) is member
    assert member.known
    assert msgspec.json.encode(member) == f'"{member.value}"'.encode()


@given(st.text(st.characters(codec="utf-8")))
def test_any_other_text_is_kept_as_it_came_and_is_no_value_that_we_know(text: str) -> None:
    read_value = msgspec.json.decode(msgspec.json.encode(text), type=LicenseType)

    if text.lower() in {"online", "offline"}:
        assert read_value in set(LicenseType)
        return
    assert read_value == text
    assert isinstance(read_value, LicenseType)
    assert not read_value.known
    assert read_value not in set(LicenseType)
    assert msgspec.json.decode(msgspec.json.encode(read_value)) == text


def test_our_own_name_of_a_value_is_no_word_of_the_store() -> None:
    read_value = msgspec.json.decode(b'"APPX_BUNDLE"', type=PackageFormat)

    assert not read_value.known
    assert read_value != PackageFormat.APPX_BUNDLE


def test_no_unknown_word_becomes_a_value_for_good() -> None:
    LicenseType("Hybrid")

    assert [member.value for member in LicenseType] == ["Online", "Offline"]


def test_an_entry_that_is_kept_reads_as_it_was() -> None:
    page = read_as(msgspec.json.encode(business("inventory-page-1")), InventoryResultSet)
    kept = msgspec.json.encode(page.inventory_entries)

    assert msgspec.json.decode(kept, type=tuple[InventoryEntry, ...]) == page.inventory_entries
    assert msgspec.json.decode(kept)[0] == business("inventory-page-1")["inventoryEntries"][0]


def test_packages_and_details_that_are_kept_read_as_they_were() -> None:
    for name, shape in (("product-packages", ProductPackageSet), ("product-details", ProductDetails)):
        value = read_as(msgspec.json.encode(business(name)), shape)
        assert msgspec.json.decode(msgspec.json.encode(value), type=shape) == value


def test_keys_are_equal_by_their_parts_and_can_be_looked_up() -> None:
    assert {ProductKey("p", "s"): 1}[ProductKey("p", "s")] == 1
    assert ProductKey("p", "s") != ProductKey("s", "p")


@pytest.mark.parametrize(
    "body",
    [
        b'{"productKey": {"productId": "p"}}',
        b'{"productKey": null}',
        b'{"productKey": {"productId": 5, "skuId": "s"}}',
        b"{}",
        b"[]",
        b'{"productKey": {"productId": "p", "skuId": "s"}, "supportedLanguages": "en-us"}',
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    ],
)
def test_what_lacks_its_key_or_is_of_another_shape_is_an_unknown_outcome(body: bytes) -> None:
    with pytest.raises(StoreUnknownError, match="unreadable"):
        read_as(body, ProductDetails)


def test_nulls_are_no_fields_wherever_they_are() -> None:
    body = (
        b'{"packageSetId": "s", "productPackages": [null, {"packageId": "p", "contentId": "c", "fileSize": 1,'
        b' "location": {"url": "u"}, "packageFullName": "n", "frameworkDependencyPackages": null,'
        b' "architectures": null, "packageFormat": null, "packageIdentityName": null}]}'
    )

    (package,) = read_as(body, ProductPackageSet).product_packages

    assert (package.framework_dependency_packages, package.architectures, package.package_format) == ((), (), None)
    assert package.package_identity_name == ""


def test_a_license_is_a_secret_and_its_blob_a_text() -> None:
    body = b'{"productKey": {"productId": "p", "skuId": "s"}, "licenseBlob": %s, "licenseInstanceId": "1"}'

    license_ = read_as(body % b'"UExB"', OfflineLicense)

    assert isinstance(license_.license_blob, LicenseBlob)
    assert license_.license_blob.reveal() == "UExB"
    assert "UExB" not in f"{license_} {license_!r}"
    with pytest.raises(StoreUnknownError):
        read_as(body % b"[1]", OfflineLicense)
    with pytest.raises(TypeError):
        msgspec.json.encode(license_)


def test_dates_are_texts_exactly_as_they_came() -> None:
    seat = read_as(
        msgspec.json.encode(business("seat") | {"dateAssigned": "2016-03-01T10:15:30.1234567+00:00"}), SeatDetails
    )

    assert seat.date_assigned == "2016-03-01T10:15:30.1234567+00:00"
