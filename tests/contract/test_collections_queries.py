"""What goes to the queries of Collections, and how their answers are read, by the published examples."""

from typing import Any

import pytest

from shared.store.collections import Collections
from shared.store.errors import (
    StoreError,
    StoreUnknownError,
)
from shared.store.models.collections import AcquisitionType, CollectionsItem, ItemStatus, ProductKind
from shared.store.paging import MAX_PAGES
from tests.support.business import LoopbackStore, Said, Sent
from tests.support.fixtures import names, wire
from tests.support.publisher import CLASSES, KEY, SUBSCRIPTION, TOKEN, body_of, published

IDS = ["9NABCDEF0001", "9NABCDEF0002", "CFQ7EXAMPLE1"]
KINDS = [
    ProductKind.GAME,
    ProductKind.CONSUMABLE,
    ProductKind.UNMANAGED_CONSUMABLE,
    ProductKind.DURABLE,
    ProductKind.PASS,
]


async def ask_v9(collections: Collections, **options: Any) -> list[CollectionsItem]:
    return await collections.query_v9(KEY, TOKEN, options.pop("ids", IDS), **options)


async def ask_v8(collections: Collections) -> list[CollectionsItem]:
    return await collections.query_v8(
        KEY, TOKEN, product_ids=IDS[:2], sandbox="XDKS.1", kinds=KINDS, reference="player-0001"
    )


async def test_all_pages_are_asked_for_as_published(store: LoopbackStore, collections: Collections) -> None:
    store.says(published("collections-v9-query-response-page-1"), published("collections-v9-query-response-page-2"))

    items = await ask_v9(collections, sandbox="XDKS.1", page_size=2, reference="player-0001")

    assert [body_of(sent) for sent in store.sent] == [
        wire("collections-v9-query-request-page-1"),
        wire("collections-v9-query-request-page-2"),
    ]
    assert {(sent.method, sent.target) for sent in store.sent} == {("POST", "/v9.0/collections/publisherQuery")}
    assert {sent.headers["Authorization"] for sent in store.sent} == {"Bearer SERVICE-TOKEN"}
    gems, game, subscription = items
    assert (gems.item_id, gems.product_kind, gems.quantity) == (
        "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
        ProductKind.CONSUMABLE,
        7,
    )
    assert gems.modified_date == "2026-10-03T10:00:00.0000001+00:00"
    assert gems.transaction_id == "0f8b3c52-6f0d-4f53-9a4e-3a1f7c2d9b10"
    assert game.trial is not None
    assert game.trial.is_in_trial_period
    assert game.trial.trial_time_remaining == "09:43:52.8580690"
    assert subscription.recurrence_id == SUBSCRIPTION
    assert subscription.satisfied_by_product_ids == ("9NABCDEF0002",)
    assert {each.status for each in items} == {ItemStatus.ACTIVE}


async def test_v8_is_asked_as_published(store: LoopbackStore, collections: Collections) -> None:
    store.says(published("collections-v8-query-response"))

    gems, subscription = await ask_v8(collections)

    (sent,) = store.sent
    expected = wire("collections-v8-query-request")
    for product in expected["productSkuIds"]:
        product.pop("skuId", None)  # optional there, and none of ours
    assert body_of(sent) == expected
    assert (sent.method, sent.target) == ("POST", "/v8.0/collections/b2bLicensePreview")
    assert (gems.quantity, gems.recurrence_id) == (7, None)
    assert subscription.recurrence_id == SUBSCRIPTION
    assert subscription.acquisition_type is AcquisitionType.RECURRING


async def test_the_other_spelling_of_a_subscription_is_read(store: LoopbackStore, collections: Collections) -> None:
    store.says(published("collections-v9-query-response-recurrencedata-string-variant"))

    assert [each.recurrence_id for each in await ask_v9(collections)] == [SUBSCRIPTION]


async def test_the_old_names_of_an_item_are_read_too(store: LoopbackStore, collections: Collections) -> None:
    store.says(published("collections-v6-query-response"))

    (item,) = await ask_v9(collections)

    assert item.item_id == "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
    assert item.product_kind is ProductKind.UNMANAGED_CONSUMABLE
    assert item.transaction_id == "0f8b3c52-6f0d-4f53-9a4e-3a1f7c2d9b10"


async def test_who_owns_nothing_has_no_items(store: LoopbackStore, collections: Collections) -> None:
    store.says(published("collections-query-response-empty"))

    assert await ask_v9(collections) == []
    assert await ask_v8(collections) == []


async def test_no_more_than_100_products_are_named_in_one_query(store: LoopbackStore, collections: Collections) -> None:
    ids = [f"9N{number:010}" for number in range(250)]
    store.says(lambda sent: Said(200, {"items": [item(body_of(sent)["productSkuIds"][0]["productId"])]}))

    items = await ask_v9(collections, ids=[*ids, *ids])

    asked = [[each["productId"] for each in body_of(sent)["productSkuIds"]] for sent in store.sent]
    assert [len(each) for each in asked] == [100, 100, 50]
    assert [each for one in asked for each in one] == ids
    assert [each.product_id for each in items] == [ids[0], ids[100], ids[200]]


async def test_retail_is_what_no_sandbox_means(store: LoopbackStore, collections: Collections) -> None:
    for sandbox in (None, "RETAIL", "Retail"):
        store.says(published("collections-query-response-empty"))
        await ask_v9(collections, sandbox=sandbox)
        assert "sbx" not in body_of(store.sent[0])


async def test_an_empty_page_is_not_the_last_one(store: LoopbackStore, collections: Collections) -> None:
    more: dict[str, object] = {"items": [], "continuationToken": "{}"}
    store.says(Said(200, more), Said(200, {"items": [item("A")], "continuationToken": ""}))

    assert [each.product_id for each in await ask_v9(collections)] == ["A"]


async def test_pages_in_a_circle_and_pages_without_end_are_left(store: LoopbackStore, collections: Collections) -> None:
    store.says(Said(200, {"items": [], "continuationToken": "x"}))
    with pytest.raises(StoreUnknownError, match="already used"):
        await ask_v9(collections)
    assert len(store.sent) == 2

    store.says(lambda _: Said(200, {"items": [], "continuationToken": f"{len(store.sent)}"}))
    with pytest.raises(StoreUnknownError, match="more than"):
        await ask_v9(collections)
    assert len(store.sent) == MAX_PAGES


async def test_duplicates_on_several_pages_are_one_item(store: LoopbackStore, collections: Collections) -> None:
    pages = [
        [item("A", status="Revoked"), item("B", acquisitionType="Conditional")],
        [item("A", acquisitionType="Recurring"), item("b", acquisitionType="Single", id="bought")],
    ]
    said = [
        Said(200, {"items": page, "continuationToken": token}) for page, token in zip(pages, ["1", ""], strict=True)
    ]

    store.says(*said)
    one, other = await ask_v9(collections)
    assert (one.product_id, one.status) == ("A", ItemStatus.ACTIVE)
    assert other.item_id == "bought"

    store.says(*said)
    assert len(await ask_v9(collections, exclude_duplicates=False)) == 4
    assert body_of(store.sent[0])["excludeDuplicates"] is False


async def test_nulls_and_words_that_nobody_documented_do_no_harm(
    store: LoopbackStore, collections: Collections
) -> None:
    odd = item("A", status="Frozen", productKind="Hologram", quantity=None, recurrenceData=None, trialData=None, x=[1])
    store.says(Said(200, {"items": [odd | {"satisfiedByProductIds": None, "skuId": None}], "continuationToken": None}))

    (found,) = await ask_v9(collections)

    assert (found.status.value, found.status.known) == ("Frozen", False)
    assert (found.product_kind, found.quantity, found.recurrence_id) == ("Hologram", None, None)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"items":[{}]}', b'{"items":{}}', b"[]", b"\xff"])
async def test_an_answer_that_cannot_be_read_is_none(
    store: LoopbackStore, collections: Collections, body: bytes
) -> None:
    store.says(Said(200, body))

    with pytest.raises(StoreUnknownError, match="unreadable answer"):
        await ask_v9(collections)


@pytest.mark.parametrize("name", names("error-[0-9]*"))
@pytest.mark.parametrize("ask", [ask_v9, ask_v8])
async def test_every_published_error_is_told_by_its_class(
    store: LoopbackStore, collections: Collections, name: str, ask: Any
) -> None:
    said = published(name)
    store.says(said)

    with pytest.raises(StoreError) as refusal:
        await ask(collections)

    assert type(refusal.value) is CLASSES[said.status]
    assert refusal.value.retry_after == (37 if said.status == 429 else None)
    assert refusal.value.answer.inner_code == wire(name).get("innererror", {}).get("code")
    assert KEY.reveal() not in f"{refusal.value!r}{refusal.value}"
    assert len(store.sent) == 1


async def test_a_broken_connection_is_an_unknown_outcome(store: LoopbackStore, collections: Collections) -> None:
    def drop(_: Sent) -> None:
        return None

    store.says(drop)

    with pytest.raises(StoreUnknownError, match="no answer"):
        await ask_v9(collections)


def item(product_id: str, **changes: object) -> dict[str, object]:
    usual = {"id": f"item-{product_id}", "productId": product_id, "skuId": "0010", "status": "Active"}
    return usual | {"acquisitionType": "Single", "productKind": "Durable"} | changes
