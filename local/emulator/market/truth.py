"""The whole truth of the books, for tests and the guided run to compare with."""

from collections import Counter
from typing import Any

import msgspec

from local.emulator.market.account import Account
from local.emulator.market.records import Recurrence
from local.emulator.market.times import text

type Truth = dict[str, Any]


def truth_of(account: Account) -> Truth:
    """Return everything about an account.

    ``products``: by sandbox and product id ``kind``, ``balance`` (all units that can be consumed), ``bought``,
    ``consumed`` (units ever consumed), ``held`` (units that the publisher's own books should have for the user: those
    consumed and not taken back). ``consumes``: each with its ``orderTransactions``, and how many ``requests`` named
    it. ``carriedOut``: by tracking id, how many consumes were carried out under it. ``orders`` with their lines, and
    ``recurrences``.
    """
    carried_out = Counter(consume.tracking_id for consume in account.record.consumes)
    return {
        "products": _products(account),
        "consumes": [
            {
                "trackingId": consume.tracking_id,
                "productId": consume.product_id,
                "quantity": 1 if consume.quantity is None else consume.quantity,
                "sandbox": consume.sandbox,
                "consumedOn": text(consume.time),
                "requests": consume.requests,
                "orderTransactions": msgspec.to_builtins(consume.fills),
            }
            for consume in account.record.consumes
        ],
        "carriedOut": dict(carried_out),
        "orders": [
            {
                "orderId": order.order_id,
                "sandbox": order.sandbox,
                "purchasedOn": text(order.purchased),
                "refundedOn": None if order.refunded is None else text(order.refunded),
                "amount": order.amount,
                "recurrenceId": order.recurrence_id,
                "lines": [msgspec.to_builtins(line) | {"held": line.held} for line in order.lines],
            }
            for order in account.record.orders
        ],
        "recurrences": [recurrence_truth(each) for each in account.record.recurrences],
    }


def recurrence_truth(recurrence: Recurrence) -> Truth:
    """Return a subscription with its times as text."""
    shown: Truth = msgspec.to_builtins(recurrence)
    for name in ("start", "periodStart", "expiration", "grace", "modified", "canceled"):
        if shown[name] is not None:
            shown[name] = text(shown[name])
    return shown


def _products(account: Account) -> Truth:
    consumed: Counter[tuple[str, str]] = Counter()
    for consume in account.record.consumes:
        consumed[consume.sandbox, consume.product_id] += sum(fill.quantity_consumed for fill in consume.fills)
    shown: Truth = {}
    for (sandbox, product_id), holding in account.holdings.items():
        shown.setdefault(sandbox, {})[product_id] = {
            "kind": holding.kind,
            "balance": holding.balance,
            "bought": sum(line.quantity for _, line in holding.entries),
            "consumed": consumed[sandbox, product_id],
            "held": sum(line.held for _, line in holding.entries),
        }
    return shown
