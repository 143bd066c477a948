"""Of several items of one product, the one that counts (store-services reference, section 5, "Duplicate preference").

The Store leaves duplicates out of a page, not out of a query: they come back on different pages, and in answers about
different product ids. Pure.
"""

from collections.abc import Iterable

from shared.store.models.collections import AcquisitionType, CollectionsItem, ItemStatus


def without_duplicates(items: Iterable[CollectionsItem]) -> list[CollectionsItem]:
    """One item for each product and SKU, in the order in which the first of each came.

    What is active comes before what is not, and what is merely not valid before what was revoked; then a direct
    purchase before a bundle, a subscription, a promotion. The reference leaves open which of the two orders is first:
    a refunded purchase must not hide the subscription by which its user still has the product.
    """
    best: dict[tuple[str, str], CollectionsItem] = {}
    for item in items:
        key = (item.product_id.upper(), item.sku_id.upper())
        held = best.get(key)
        if held is None or _rank(item) < _rank(held):
            best[key] = item
    return list(best.values())


def _rank(item: CollectionsItem) -> tuple[int, int]:
    match item.status:
        case ItemStatus.ACTIVE:
            status = 0
        case ItemStatus.REVOKED:
            status = 2
        case _:
            status = 1
    return status, _source(item)


def _source(item: CollectionsItem) -> int:
    """Direct purchase, bundle, subscription, promotion, unknown."""
    match item.acquisition_type:
        case AcquisitionType.SINGLE:
            return 1 if item.satisfied_by_product_ids else 0
        case AcquisitionType.RECURRING:
            return 2
        case AcquisitionType.CONDITIONAL:
            return 3
    return 4
