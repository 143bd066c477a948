"""Money given back: the books are changed and the events about it made."""

from collections.abc import Sequence
from dataclasses import dataclass

from local.emulator.market.account import NotPossibleError, lines_of, refund, reverse_chargeback
from local.emulator.market.books import Books
from local.emulator.market.clawback_events import Event, EventState, RefundType, line_event, with_recurrence
from local.emulator.market.records import Line, Order, Product, Recurrence
from local.emulator.market.subscriptions import end, restore
from local.emulator.market.times import DAY_TICKS, now


@dataclass(frozen=True)
class Lines:
    """Some lines of an order: all of them, those of one line item, or of that those of some products."""

    player: str
    order_id: str
    line_item_id: str | None = None
    products: Sequence[str] | None = None


def refund_lines(books: Books, which: Lines, *, keep: bool = False, chargeback: bool = False) -> list[Event]:
    """Refund order lines and return the events: one for each, none for what was free.

    The money of a subscription goes back by :func:`refund_subscription`.

    :raises NotPossibleError: there is no such order or line, or it was refunded before.
    """
    order, lines = _find(books, which)
    refund(order, lines, now(), keep=keep, chargeback=chargeback)
    books.touch()
    return _events(books, order, [(line, line.state) for line in lines], chargeback=chargeback)


def reverse(books: Books, which: Lines) -> list[Event]:
    """Reverse the chargeback of order lines and return the events.

    :raises NotPossibleError: there is no such order or line, or it was not charged back.
    """
    order, lines = _find(books, which)
    reverse_chargeback(order, lines, now())
    books.touch()
    return _events(books, order, [(line, "ChargebackReversal") for line in lines], chargeback=True)


def refund_subscription(
    books: Books,
    player: str,
    recurrence: Recurrence,
    *,
    refund_type: RefundType = "Full",
    days_kept: int | None = None,
    chargeback: bool = False,
) -> list[Event]:
    """Refund the running period, end the subscription and return its event.

    ``Returned`` when the period has not begun, else ``Revoked``. ``days_kept`` are by default those that went by.

    :raises NotPossibleError: it has ended.
    """
    order, line = _paid(books, player, recurrence)
    moment = now()
    begun = moment >= recurrence.period_start
    if days_kept is None:
        days_kept = max(0, moment - recurrence.period_start) // DAY_TICKS
    event = line_event(order, line, "Revoked" if begun else "Returned", books.settings, chargeback=chargeback)
    event = with_recurrence(event, recurrence, refund_type, days_kept)
    end(recurrence, "Canceled", revoked=True)
    line.state = "Revoked" if begun else "Returned"
    line.chargeback = chargeback
    line.modified = order.refunded = moment
    books.touch()
    return [event] if order.amount else []


def reverse_subscription(books: Books, player: str, recurrence: Recurrence, product: Product) -> list[Event]:
    """Reverse the chargeback of a subscription, which runs again, and return the event.

    :raises NotPossibleError: it was not charged back.
    """
    order, line = _paid(books, player, recurrence)
    reverse_chargeback(order, [line], now())
    restore(recurrence, product)
    books.touch()
    event = line_event(order, line, "ChargebackReversal", books.settings, chargeback=True)
    return [with_recurrence(event, recurrence, "Full", 0)] if order.amount else []


def _paid(books: Books, player: str, recurrence: Recurrence) -> tuple[Order, Line]:
    """Return the order that paid the running period, and its line."""
    order = books.account(player).order(recurrence.orders[-1])
    if order is None:
        raise LookupError("a subscription without its order")
    return order, order.lines[0]


def _find(books: Books, which: Lines) -> tuple[Order, list[Line]]:
    order = books.account(which.player).order(which.order_id)
    if order is None:
        raise NotPossibleError(f"{which.player} has no order {which.order_id}")
    if order.recurrence_id is not None:
        raise NotPossibleError(f"order {which.order_id} paid a subscription: refund that")
    return order, lines_of(order, which.line_item_id, which.products)


def _events(books: Books, order: Order, lines: Sequence[tuple[Line, EventState]], *, chargeback: bool) -> list[Event]:
    # "Only products priced above zero give events" (section 8).
    if not order.amount:
        return []
    return [line_event(order, line, state, books.settings, chargeback=chargeback) for line, state in lines]
