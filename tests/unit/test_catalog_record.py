"""What is kept of a product, as a row and back."""

import random
from datetime import UTC, datetime
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shared.catalog.content import Content, KeptLicense, Problem, digest, lasting, stamp, without_addresses
from shared.catalog.record import AFTER, PREFIX, SHOWN, Product, from_row, listed, row_name, to_row
from shared.storage.rows import encode_row
from shared.store.models.business import (
    InventoryEntry,
    InventoryResultSet,
    LocalizedProductDetail,
    ProductDetails,
    ProductKey,
    ProductPackageSet,
)
from tests.support.fixtures import business

NOW = datetime(2026, 11, 21, 19, 0, tzinfo=UTC)


def fixture[T](name: str, shape: type[T]) -> T:
    return msgspec.convert(business(name), shape)


def an_entry(number: int = 1) -> InventoryEntry:
    return fixture("inventory-page-1", InventoryResultSet).inventory_entries[number]


def a_product(**changes: Any) -> Product:
    content = Content(
        fixture("product-details", ProductDetails),
        {"fr-fr": fixture("localized-product-details", LocalizedProductDetail)},
        without_addresses(fixture("product-packages", ProductPackageSet)),
        (KeptLicense("5b1d", "3", "contoso.example", b"sealed", "v1"),),
    )
    facts = {
        "problems": (Problem("localized:ja-jp", "HTTP 404"),),
        "complete": True,
        "basis": "fr-fr",
        "changed_on": NOW,
    }
    return Product(**{"entry": an_entry(), "content": content, **facts, **changes})


def test_a_product_comes_back_as_it_was() -> None:
    product = a_product()

    assert msgspec.structs.asdict(from_row(to_row("t", product), "e").content) == msgspec.structs.asdict(
        product.content
    )
    back = from_row(to_row("t", product), "e")
    assert (back.entry, back.problems, back.complete, back.etag) == (product.entry, product.problems, True, "e")


def test_a_page_shows_it_without_its_content() -> None:
    row = {name: value for name, value in to_row("t", a_product()).items() if name in SHOWN}

    shown = listed(row)

    assert shown.entry == an_entry()
    assert shown.name("fr-fr") == shown.name("de-de") == shown.name(None) == "OneNote"
    assert shown.publisher == "Microsoft Corporation"
    assert shown.category == "Productivity"
    assert shown.logo


def test_what_was_not_fetched_wholly_is_never_taken_for_the_same() -> None:
    row, incomplete = to_row("t", a_product()), to_row("t", a_product(complete=False))

    assert row["stamp"] == stamp(an_entry(), "fr-fr") != stamp(an_entry(), "fr-fr,ja-jp")
    assert incomplete["stamp"] == ""
    assert to_row("t", a_product(), doubted=True)["digest"] == ""


def test_the_digest_knows_the_license_by_its_instance_and_no_seal() -> None:
    product = a_product()
    (held,) = product.content.licenses
    sealed_anew = msgspec.structs.replace(held, sealed=b"other", key_version="v2")
    renewed = msgspec.structs.replace(held, license_instance_id="4")

    def of(license_: KeptLicense) -> str:
        return digest(product.entry, msgspec.structs.replace(product.content, licenses=(license_,)), product.problems)

    assert of(held) == of(sealed_anew) != of(renewed)
    assert of(held) != digest(an_entry(0), product.content, product.problems)


def test_addresses_are_kept_without_what_expires() -> None:
    assert lasting("https://cdn.example/a/b.png?e=1&s=2#x") == "https://cdn.example/a/b.png"
    packages = without_addresses(fixture("product-packages", ProductPackageSet)).product_packages
    assert {each.location.url for each in packages} == {""}
    assert {each.location.url for one in packages for each in one.framework_dependency_packages} == {""}


def test_descriptions_that_no_row_holds_are_cut_and_the_rest_is_kept() -> None:
    detail = fixture("localized-product-details", LocalizedProductDetail)
    noise = random.Random(1)
    languages = {
        f"l{number}": msgspec.structs.replace(
            detail, description="".join(chr(noise.randrange(0x4E00, 0x9FFF)) for _ in range(10_000))
        )
        for number in range(60)
    }

    row = to_row("t", a_product(content=Content(localized=languages)))

    assert len(encode_row(row)) < 1.4 * 1024 * 1024  # in base64; the service counts the bytes themselves, up to 1 MiB
    back = from_row(row, "e").content.localized
    assert back.keys() == languages.keys()
    assert all(each.display_name == "OneNote" and 0 < len(each.description) < 10_000 for each in back.values())


@given(st.text(min_size=1, max_size=30), st.text(min_size=1, max_size=30))
def test_row_keys_hold_any_ids(product_id: str, sku_id: str) -> None:
    try:
        name = row_name(ProductKey(product_id, sku_id))
    except UnicodeEncodeError:  # half a surrogate pair: no JSON of the Store can say it
        return

    assert PREFIX < name < AFTER
    assert name.isascii()
    assert name.isprintable()
    assert not set("/\\#?%{}") & set(name)


def test_row_keys_tell_products_apart() -> None:
    keys = [("a|b", "c"), ("a", "b|c"), ("a/b", "c"), ("a!2Fb", "c"), ("a%2Fb", "c"), ("ä", "#")]

    assert len({row_name(ProductKey(*each)) for each in keys}) == len(keys)
