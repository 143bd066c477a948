"""A Store account: what it bought, consumed, and was given back its money for.

Sources: store-services reference, sections 5, 6 and 8. The rules that no document tells are marked as this emulator's
own.
"""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from local.emulator.market.records import (
    CONSUMABLE_KINDS,
    AccountRecord,
    Consume,
    Fill,
    Line,
    Order,
    Product,
    ProductKind,
    Recurrence,
)


class NotPossibleError(Exception):
    """The account is not in a state that allows it; the text says why."""


class NotOwnedError(NotPossibleError):
    """The account never had the product in this sandbox, or it was taken back."""


class QuantityTooLowError(NotPossibleError):
    """There is less left than should be consumed."""


@dataclass
class Holding:
    """What an account has of one product in one sandbox: an item of Collections. Its order lines, oldest first."""

    item_id: str
    product_id: str
    kind: ProductKind
    sandbox: str
    entries: list[tuple[Order, Line]] = field(default_factory=list)

    @property
    def balance(self) -> int:
        """All units that can still be consumed."""
        return sum(line.remaining for _, line in self.entries)

    @property
    def shown_quantity(self) -> int:
        """The balance as the Store tells it: never above 1 but for store-managed consumables."""
        if self.kind == "Consumable":
            return self.balance
        return min(1, self.balance) if self.kind == "UnmanagedConsumable" else 1

    @property
    def owned(self) -> bool:
        """Whether any of it was not taken back."""
        return any(line.owned for _, line in self.entries)

    @property
    def modified(self) -> int:
        """When it last changed; purchases, consumes and refunds all count."""
        return max(line.modified for _, line in self.entries)

    @property
    def current(self) -> tuple[Order, Line]:
        """The order line that the item's ``transactionId`` is of (which one that is, is not documented).

        Of a consumable the one that the next consume begins with; when nothing is left, and of all else, the newest.
        """
        newest = self.entries[-1]
        if self.kind not in CONSUMABLE_KINDS:
            return newest
        return next((entry for entry in self.entries if entry[1].remaining), newest)


type _ConsumeKey = tuple[str, str, int | None, str]


class Account:
    """One account, over its record, with the indexes that calls need."""

    def __init__(self, player: str, record: AccountRecord) -> None:
        self.player = player
        self.record = record
        self.holdings: dict[tuple[str, str], Holding] = {}
        self._orders: dict[str, Order] = {}
        self._consumes: dict[_ConsumeKey, Consume] = {}
        self._recurrences = {recurrence.id: recurrence for recurrence in record.recurrences}
        for order in record.orders:
            self._index(order)
        for consume in record.consumes:
            self._consumes[_key(consume)] = consume

    def order(self, order_id: str) -> Order | None:
        """Return an order by its id."""
        return self._orders.get(order_id)

    def recurrence(self, recurrence_id: str) -> Recurrence | None:
        """Return a subscription by its id."""
        return self._recurrences.get(recurrence_id)

    def add_recurrence(self, recurrence: Recurrence) -> None:
        """Note a new subscription."""
        self.record.recurrences.append(recurrence)
        self._recurrences[recurrence.id] = recurrence

    def holding(self, sandbox: str, product_id: str) -> Holding | None:
        """Return what the account has, or ever had, of a product."""
        return self.holdings.get((sandbox, product_id))

    def check_purchase(self, product: Product, quantity: int, sandbox: str) -> None:
        """Refuse what the Store does not sell twice.

        :raises NotPossibleError: it is owned already, or more than one is asked for of what comes once.
        """
        if product.kind == "Consumable":
            return
        if quantity != 1:
            raise NotPossibleError(f"{product.product_id} is a {product.kind}: it is bought one at a time")
        holding = self.holding(sandbox, product.product_id)
        if holding is None:
            return
        if product.kind == "UnmanagedConsumable" and holding.balance:
            raise NotPossibleError(f"{product.product_id} was bought already and is not consumed yet")
        if product.kind not in CONSUMABLE_KINDS | {"Pass"} and holding.owned:
            raise NotPossibleError(f"{product.product_id} is owned already")

    def add_order(self, order: Order) -> None:
        """Note a purchase."""
        self.record.orders.append(order)
        self._index(order)

    def consume(
        self, tracking_id: str, product: Product, quantity: int | None, sandbox: str, now: int
    ) -> tuple[Consume, bool]:
        """Carry out a consume, or find the one that these very values name; second value: it is a replay.

        Orders fill it oldest first (reference, section 12: the real order is not documented). ``quantity`` is ``None``
        for developer-managed consumables, of which one is taken.

        :raises NotOwnedError: there is no such item.
        :raises QuantityTooLowError: the balance is lower than ``quantity``.
        """
        known = self._consumes.get((tracking_id, product.product_id, quantity, sandbox))
        if known is not None:
            known.requests += 1
            return known, True
        holding = self.holding(sandbox, product.product_id)
        if holding is None or not holding.owned:
            raise NotOwnedError(f"The user does not own {product.product_id}.")
        missing = wanted = 1 if quantity is None else quantity
        if holding.balance < wanted:
            raise QuantityTooLowError(f"The user has {holding.balance} of {product.product_id}, not {wanted}.")
        fills: list[Fill] = []
        for order, line in holding.entries:
            taken = min(missing, line.remaining)
            if taken:
                line.consumed += taken
                line.modified = now
                missing -= taken
                fills.append(Fill(order.order_id, line.line_item_id, taken))
            if not missing:
                break
        consume = Consume(tracking_id, product.product_id, quantity, sandbox, now, fills)
        self.record.consumes.append(consume)
        self._consumes[_key(consume)] = consume
        return consume, False

    def _index(self, order: Order) -> None:
        self._orders[order.order_id] = order
        for line in order.lines:
            key = (order.sandbox, line.product_id)
            holding = self.holdings.get(key)
            if holding is None:
                item_id = uuid.uuid5(uuid.NAMESPACE_OID, f"{self.player}/{order.sandbox}/{line.product_id}").hex
                holding = self.holdings[key] = Holding(item_id, line.product_id, line.kind, order.sandbox)
            holding.entries.append((order, line))


def lines_of(order: Order, line_item_id: str | None, products: Sequence[str] | None) -> list[Line]:
    """Return the lines of an order, of one line item and of some products where these are given.

    :raises NotPossibleError: there are none.
    """
    found = [
        line
        for line in order.lines
        if line_item_id in {None, line.line_item_id} and (products is None or line.product_id in products)
    ]
    if not found:
        raise NotPossibleError("the order has no such line")
    return found


def refund(order: Order, lines: Iterable[Line], now: int, *, keep: bool = False, chargeback: bool = False) -> None:
    """Give back the money of some lines (section 8).

    ``keep``: the user keeps the product, ``Refunded``. What was not consumed is removed, ``Returned``; what was, even
    in part, cannot be, ``Revoked``: its unconsumed part is removed all the same (this emulator's own rule).

    :raises NotPossibleError: one of them was refunded before.
    """
    lines = list(lines)
    if any(line.state != "Purchased" for line in lines):
        raise NotPossibleError("the line was refunded before")
    for line in lines:
        if keep:
            line.state = "Refunded"
        elif line.kind in CONSUMABLE_KINDS and line.consumed:
            line.state = "Revoked"
        else:
            line.state = "Returned"
        line.chargeback = chargeback
        line.modified = now
    order.refunded = now


def reverse_chargeback(order: Order, lines: Iterable[Line], now: int) -> None:
    """Undo a chargeback (section 8, "Chargeback reversal details").

    What was removed returns. What was consumed does not, but for a developer-managed consumable: that is added back.

    :raises NotPossibleError: one of them was not charged back.
    """
    lines = list(lines)
    if not all(line.chargeback for line in lines):
        raise NotPossibleError("the line was not charged back")
    for line in lines:
        if line.kind == "UnmanagedConsumable" and line.consumed:
            line.restored, line.consumed = line.consumed, 0
        line.state = "Purchased"
        line.chargeback = False
        line.modified = now
    order.refunded = None


def _key(consume: Consume) -> _ConsumeKey:
    return consume.tracking_id, consume.product_id, consume.quantity, consume.sandbox
