"""A free product for a player: what was asked, and what is kept of it. Pure."""

from dataclasses import dataclass
from datetime import datetime

from shared.entitlements.statuses import GrantStatus
from shared.store.models.purchase import GrantedOrder, OrderState

FULFILLED = "fulfilled"
"""The state of a line, in small letters, whose product the user has."""

_FAILED = frozenset({OrderState.REFUNDED, OrderState.CHARGED_BACK, OrderState.CANCELED})


@dataclass(frozen=True, slots=True)
class Gift:
    """The content of an order: the same order id never stands for another."""

    order_id: str
    product_id: str
    sku_id: str
    availability_id: str
    language: str
    market: str
    sandbox: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """An order as it is kept.

    ``claimed_on`` is when the call that is under way was about to be made. ``doubtful``: an earlier call had no
    answer, so that a refusal of a later one says nothing of it.
    """

    gift: Gift
    status: GrantStatus = GrantStatus.PENDING
    claimed_on: datetime | None = None
    doubtful: bool = False
    reason: str | None = None
    etag: str | None = None


def judged(order: GrantedOrder, gift: Gift) -> tuple[GrantStatus, str | None]:
    """What an order of the Store's comes to, and the reason where that is not that the user has the product."""
    lines = [line for line in order.order_line_items if line.product_id.upper() == gift.product_id.upper()]
    has_product = any(line.fulfillment_state.lower() == FULFILLED for line in lines)
    if order.order_state == OrderState.PURCHASED and has_product:
        return GrantStatus.GRANTED, None
    states = ", ".join(line.fulfillment_state for line in lines) or "missing"
    reason = f"the order is {order.order_state}, its line {states}"
    return (GrantStatus.REFUSED if order.order_state in _FAILED else GrantStatus.PENDING), reason
