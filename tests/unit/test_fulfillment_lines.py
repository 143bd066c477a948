"""Which order lines a consume was filled by."""

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.fulfillment.lines import lines_of, transaction_of
from shared.ledger.kinds import RETAIL
from shared.ledger.record import Job, Line
from shared.store.models.collections import CollectionsItem, ConsumeAnswer, ItemStatus, OrderTransaction


def job(quantity: int, transaction_id: str | None = None) -> Job:
    return Job(
        user_id="player",
        tracking_id="t",
        product_id="P",
        quantity=quantity,
        consumable_type="Consumable",
        sandbox=RETAIL,
        accepted_on=datetime(2026, 11, 21, tzinfo=UTC),
        transaction_id=transaction_id,
    )


def answer(*transactions: tuple[str, str, int]) -> ConsumeAnswer:
    return ConsumeAnswer("item", "P", "t", 0, tuple(OrderTransaction(*each) for each in transactions))


@pytest.mark.parametrize(
    ("asked", "told", "lines"),
    [
        (job(3), answer(("O1", "L1", 2), ("O2", "L2", 1)), [("o1", "l1", 2), ("o2", "l2", 1)]),
        (job(3), answer(("O1", "L1", 2), ("o1", "l1", 1)), [("o1", "l1", 3)]),
        (job(3), answer(("O1", "L1", 2)), [("o1", "l1", 2), ("", "", 1)]),
        (job(3), answer(("O1", "L1", 5)), [("o1", "l1", 3)]),
        (job(3), answer(("O1", "L1", 0), ("O2", "L2", -1), ("O3", "L3", 3)), [("o3", "l3", 3)]),
        (job(1, "ORDER"), answer(), [("order", "", 1)]),
        (job(1), answer(), [("", "", 1)]),
        (job(1, "OTHER"), answer(("O1", "L1", 1)), [("o1", "l1", 1)]),
    ],
)
def test_the_lines_are_together_what_was_asked_for(
    asked: Job, told: ConsumeAnswer, lines: list[tuple[str, str, int]]
) -> None:
    found = lines_of(asked, told)

    assert found == [Line(*each) for each in lines]
    assert sum(line.quantity for line in found) == asked.quantity


def item(product_id: str, transaction_id: str | None, **more: Any) -> CollectionsItem:
    fields = {"item_id": "i", "sku_id": "s", "product_kind": None, "status": ItemStatus.ACTIVE, "quantity": 1} | more
    return CollectionsItem(product_id=product_id, transaction_id=transaction_id, **fields)


def test_the_order_is_that_of_the_unit_that_can_be_consumed() -> None:
    items = [
        item("other", "1"),
        item("P", None),
        item("P", "2", status=ItemStatus.REVOKED),
        item("P", "3", quantity=0),
        item("p", "4", quantity=None),
        item("P", "5"),
    ]

    assert transaction_of("P", items) == "4"
    assert transaction_of("P", [*items[:4], items[5]]) == "5"


@pytest.mark.parametrize(
    "used", [{"quantity": 0}, {"status": ItemStatus.REVOKED}, {"status": ItemStatus.EXPIRED}], ids=str
)
def test_an_order_that_cannot_fill_the_consume_is_none(used: dict[str, Any]) -> None:
    """A refund of it would take back what another order has filled."""
    assert transaction_of("P", [item("P", "1", **used)]) is None
