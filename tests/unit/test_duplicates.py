"""Of several items of one product, the one that counts."""

import random

import pytest

from shared.store.duplicates import without_duplicates
from shared.store.models.collections import AcquisitionType, CollectionsItem, ItemStatus

SINGLE, RECURRING, CONDITIONAL = AcquisitionType
PREFERENCE = [
    ("bought", ItemStatus.ACTIVE, SINGLE, ()),
    ("in a bundle", ItemStatus.ACTIVE, SINGLE, ("BUNDLE",)),
    ("subscribed", ItemStatus.ACTIVE, RECURRING, ("PASS",)),
    ("promoted", ItemStatus.ACTIVE, CONDITIONAL, ()),
    ("nobody knows", ItemStatus.ACTIVE, None, ()),
    ("bought and expired", ItemStatus.EXPIRED, SINGLE, ()),
    ("subscribed and suspended", ItemStatus.SUSPENDED, RECURRING, ()),
    ("bought and revoked", ItemStatus.REVOKED, SINGLE, ()),
    ("promoted and revoked", ItemStatus.REVOKED, CONDITIONAL, ()),
]


def item(
    name: str,
    status: ItemStatus = ItemStatus.ACTIVE,
    acquired: AcquisitionType | None = SINGLE,
    satisfied: tuple[str, ...] = (),
    product_id: str = "A",
    sku_id: str = "0010",
) -> CollectionsItem:
    return CollectionsItem(
        item_id=name,
        product_id=product_id,
        sku_id=sku_id,
        product_kind=None,
        status=status,
        acquisition_type=acquired,
        satisfied_by_product_ids=satisfied,
    )


@pytest.mark.parametrize("first", range(len(PREFERENCE)))
def test_the_preferred_item_stays_in_whatever_order_they_come(first: int) -> None:
    items = [item(*each) for each in PREFERENCE[first:]]
    random.Random(first).shuffle(items)

    assert [each.item_id for each in without_duplicates(items)] == [PREFERENCE[first][0]]


def test_other_products_and_other_skus_are_no_duplicates() -> None:
    items = [item("1"), item("2", product_id="B"), item("3", sku_id="0020"), item("4", product_id="a")]

    assert [each.item_id for each in without_duplicates(items)] == ["1", "2", "3"]


def test_of_equals_the_first_stays() -> None:
    assert [each.item_id for each in without_duplicates([item("1"), item("2")])] == ["1"]
