"""Subscriptions: begun, renewed, lapsed, recovered, ended.

Source: store-services reference, section 7, "Recurrences query" and "Recurrence change". States change only by what is
done here: time alone does not end a subscription, as the real state lags behind for hours, too.
"""

import uuid
from typing import Literal

from local.emulator.market.account import NotPossibleError
from local.emulator.market.books import Books
from local.emulator.market.records import Product, Recurrence
from local.emulator.market.times import DAY_TICKS, TICKS_PER_SECOND, now

GRACE_DAYS = 14.0

EndState = Literal["Inactive", "Canceled", "Failed"]


def subscribe(
    books: Books, player: str, product: Product, *, sandbox: str, days: float | None = None, trial: bool = False
) -> Recurrence:
    """Sell a subscription.

    :raises NotPossibleError: it is no subscription, not sold in this sandbox, or the player has one that runs.
    """
    if product.kind != "Pass":
        raise NotPossibleError(f"{product.product_id} is a {product.kind}, not a Pass")
    account = books.account(player)
    for other in account.record.recurrences:
        if (other.product_id, other.sandbox) == (product.product_id, sandbox) and is_running(other):
            raise NotPossibleError(f"{player} has {product.product_id} already")
    recurrence_id = f"mdr:0:{uuid.uuid4().hex}:{uuid.uuid4()}"
    order = books.sell(player, product, sandbox=sandbox, recurrence_id=recurrence_id)
    expiration = order.purchased + _ticks(product.days if days is None else days)
    recurrence = Recurrence(
        id=recurrence_id,
        product_id=product.product_id,
        sku_id=product.sku_id,
        sandbox=sandbox,
        start=order.purchased,
        period_start=order.purchased,
        expiration=expiration,
        grace=expiration + _ticks(GRACE_DAYS),
        modified=order.purchased,
        orders=[order.order_id],
        trial=trial,
    )
    account.add_recurrence(recurrence)
    return recurrence


def is_running(recurrence: Recurrence) -> bool:
    """Whether it has not come to its end; what has, never runs again."""
    return recurrence.state in {"Active", "InDunning"}


def renew(books: Books, player: str, recurrence: Recurrence, product: Product) -> None:
    """Pay the next period: a new order under the same recurrence.

    Out of dunning the period begins where the last one ended, so that the days of grace are part of it.

    :raises NotPossibleError: it has ended.
    """
    _check(recurrence)
    order = books.sell(player, product, sandbox=recurrence.sandbox, recurrence_id=recurrence.id)
    recurrence.orders.append(order.order_id)
    recurrence.period_start = recurrence.expiration
    recurrence.expiration += _ticks(product.days)
    recurrence.grace = recurrence.expiration + _ticks(GRACE_DAYS)
    recurrence.state = "Active"
    recurrence.trial = False
    recurrence.modified = order.purchased


def lapse(recurrence: Recurrence, *, grace_days: float = GRACE_DAYS, ended_days_ago: float = 0) -> None:
    """Let a payment fail: ``InDunning``, the period over, ``grace_days`` counted from its end.

    :raises NotPossibleError: it has ended.
    """
    _check(recurrence)
    recurrence.state = "InDunning"
    recurrence.modified = now()
    recurrence.expiration = recurrence.modified - _ticks(ended_days_ago)
    recurrence.grace = recurrence.expiration + _ticks(grace_days)


def end(recurrence: Recurrence, state: EndState, *, revoked: bool = False) -> None:
    """End it now. ``Canceled`` sets the expiration to the time of the cancellation (section 7).

    :raises NotPossibleError: it has ended.
    """
    _check(recurrence)
    recurrence.state = state
    recurrence.auto_renew = False
    recurrence.revoked = revoked
    recurrence.modified = now()
    if state == "Canceled":
        recurrence.canceled = recurrence.modified
    recurrence.expiration = recurrence.grace = min(recurrence.expiration, recurrence.modified)


def restore(recurrence: Recurrence, product: Product) -> None:
    """Let it run again, with the time that was paid: its chargeback was reversed (this emulator's own rule)."""
    recurrence.state = "Active"
    recurrence.revoked = False
    recurrence.canceled = None
    recurrence.modified = now()
    recurrence.expiration = recurrence.period_start + _ticks(product.days)
    recurrence.grace = recurrence.expiration + _ticks(GRACE_DAYS)


def extend(recurrence: Recurrence, days: int) -> None:
    """Move the expiration, back for negative ``days``.

    :raises NotPossibleError: it has ended.
    """
    _check(recurrence)
    recurrence.expiration += days * DAY_TICKS
    recurrence.grace += days * DAY_TICKS
    recurrence.modified = now()


def stop_renewal(recurrence: Recurrence) -> None:
    """Switch automatic renewal off; nothing switches it on.

    :raises NotPossibleError: it has ended.
    """
    _check(recurrence)
    if recurrence.auto_renew:
        recurrence.auto_renew = False
        recurrence.modified = now()


def _check(recurrence: Recurrence) -> None:
    if not is_running(recurrence):
        raise NotPossibleError(f"the subscription has ended: it is {recurrence.state}")


def _ticks(days: float) -> int:
    return int(days * 86_400 * TICKS_PER_SECOND)
