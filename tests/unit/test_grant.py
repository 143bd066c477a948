"""What an order of a free product comes to."""

import pytest

from shared.entitlements.grant import Gift, judged
from shared.entitlements.statuses import GrantStatus
from shared.store.models.purchase import GrantedLine, GrantedOrder, OrderState

GIFT = Gift("9d0e1f2a-3b4c-4d5e-8f60-718293a4b5c6", "9NABCDEF0002", "0010", "9RT", "en-us", "us", None)
FULFILLED = GrantedLine(product_id="9NABCDEF0002", fulfillment_state="Fulfilled")
WAITING = GrantedLine(product_id="9NABCDEF0002", fulfillment_state="Pending")
OTHER = GrantedLine(product_id="9NABCDEF0009", fulfillment_state="Fulfilled")


@pytest.mark.parametrize(
    ("state", "lines", "status", "reason"),
    [
        (OrderState.PURCHASED, (FULFILLED,), GrantStatus.GRANTED, None),
        (OrderState.PURCHASED, (OTHER, FULFILLED), GrantStatus.GRANTED, None),
        (OrderState.PURCHASED, (WAITING,), GrantStatus.PENDING, "the order is Purchased, its line Pending"),
        (OrderState.PURCHASED, (OTHER,), GrantStatus.PENDING, "the order is Purchased, its line missing"),
        (OrderState.PURCHASED, (), GrantStatus.PENDING, "the order is Purchased, its line missing"),
        (OrderState.PENDING, (FULFILLED,), GrantStatus.PENDING, "the order is Pending, its line Fulfilled"),
        (OrderState("Teleported"), (FULFILLED,), GrantStatus.PENDING, "the order is Teleported, its line Fulfilled"),
        (OrderState.CANCELED, (WAITING,), GrantStatus.REFUSED, "the order is Canceled, its line Pending"),
        (OrderState.REFUNDED, (FULFILLED,), GrantStatus.REFUSED, "the order is Refunded, its line Fulfilled"),
        (OrderState.CHARGED_BACK, (FULFILLED,), GrantStatus.REFUSED, "the order is ChargedBack, its line Fulfilled"),
    ],
)
def test_only_a_purchased_order_with_a_fulfilled_line_is_granted(
    state: OrderState, lines: tuple[GrantedLine, ...], status: GrantStatus, reason: str | None
) -> None:
    order = GrantedOrder(order_id=GIFT.order_id, order_state=state, order_line_items=lines)

    assert judged(order, GIFT) == (status, reason)


def test_letter_case_makes_no_difference() -> None:
    line = GrantedLine(product_id="9nabcdef0002", fulfillment_state="fulfilled")
    order = GrantedOrder(order_id=GIFT.order_id, order_state=OrderState("PURCHASED"), order_line_items=(line,))

    assert judged(order, GIFT) == (GrantStatus.GRANTED, None)
