"""What a Collections query finds: the items of an account, and those that a bundle or a subscription satisfies.

Source: store-services reference, section 5, "Item fields" and below.
"""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from local.emulator.market.account import Account, Holding
from local.emulator.market.books import Books
from local.emulator.market.records import CONSUMABLE_KINDS, ProductKind, Recurrence
from local.emulator.market.times import NO_END, now, span, text

Status = Literal["Active", "Expired", "Revoked"]
Validity = Literal["All", "Valid", "Invalid", "NotYetEnded", "NotYetStarted"]

VALIDITIES: tuple[Validity, ...] = ("All", "Valid", "Invalid", "NotYetEnded", "NotYetStarted")

# The order of preference among duplicates (reference, section 5).
_DIRECT, _BUNDLE, _SUBSCRIPTION = range(3)


@dataclass(frozen=True)
class Wanted:
    """A product that a query asks for; ``None`` takes any SKU."""

    product_id: str
    sku_id: str | None = None


@dataclass(frozen=True)
class Item:
    """One entitlement. ``start`` and ``end`` are ticks; ``end`` is ``None`` for none."""

    id: str
    product_id: str
    sku_id: str
    kind: ProductKind
    quantity: int
    source: int
    satisfied_by: tuple[str, ...]
    status: Status
    order_id: str
    acquired: int
    modified: int
    start: int
    end: int | None
    trial_until: int | None
    recurrence_id: str | None

    def is_valid(self, moment: int, validity: Validity) -> bool:
        """Whether a query for ``validity`` finds it."""
        started, ended = self.start <= moment, self.end is not None and self.end <= moment
        match validity:
            case "All":
                return True
            case "NotYetEnded":
                return not ended
            case "NotYetStarted":
                return not started
        return (validity == "Valid") == (self.status == "Active" and started and not ended)

    def as_json(self) -> dict[str, object]:
        """Return what v8 and v9 items have in common."""
        trial: dict[str, object] = {"isInTrialPeriod": False, "isTrial": self.trial_until is not None}
        if self.trial_until is not None:
            remaining = max(0, self.trial_until - now())
            trial |= {"isInTrialPeriod": remaining > 0, "trialTimeRemaining": span(remaining)}
        return {
            "acquiredDate": text(self.acquired),
            "acquisitionType": self._acquisition(),
            "endDate": NO_END if self.end is None else text(self.end),
            "id": self.id,
            "modifiedDate": text(self.modified),
            "productId": self.product_id,
            "productKind": self.kind,
            "quantity": self.quantity,
            "satisfiedByProductIds": list(self.satisfied_by),
            "skuId": self.sku_id,
            "startDate": text(self.start),
            "status": self.status,
            "tags": [],
            "transactionId": self.order_id,
            "trialData": trial,
        }

    def _acquisition(self) -> str:
        if self.source == _SUBSCRIPTION:
            return "Conditional"
        return "Single" if self.recurrence_id is None else "Recurring"


def items_of(
    books: Books, account: Account, sandbox: str, wanted: Sequence[Wanted] | None, *, expand: bool
) -> Iterator[Item]:
    """Yield the items of an account in the order in which they are asked for, or all with ``wanted`` ``None``.

    ``expand`` also finds what the user has through a bundle or a subscription.
    """
    if wanted is None:
        wanted = [Wanted(product_id) for product_id in _all_products(books, account, sandbox, expand=expand)]
    for each in wanted:
        for item in _items_of_product(books, account, sandbox, each.product_id, expand=expand):
            if each.sku_id in {None, item.sku_id}:
                yield item


def without_duplicates(items: Iterable[Item]) -> list[Item]:
    """Return one item a product: an active one before others, then a direct purchase, a bundle, a subscription."""
    best: dict[str, Item] = {}
    for item in items:
        known = best.get(item.product_id)
        if known is None or _rank(item) < _rank(known):
            best[item.product_id] = item
    return list(best.values())


def _rank(item: Item) -> tuple[bool, int]:
    return item.status != "Active", item.source


def _all_products(books: Books, account: Account, sandbox: str, *, expand: bool) -> Iterable[str]:
    found = dict.fromkeys(product_id for owned_in, product_id in account.holdings if owned_in == sandbox)
    if expand:
        for product_id in list(found):
            product = books.product(product_id)
            found |= dict.fromkeys(product.contains if product is not None else ())
    return found


def _items_of_product(books: Books, account: Account, sandbox: str, product_id: str, *, expand: bool) -> Iterator[Item]:
    direct = account.holding(sandbox, product_id)
    if direct is not None and (books.settings.empty_items or direct.kind not in CONSUMABLE_KINDS or direct.balance):
        yield _item(account, direct)
    product = books.product(product_id)
    if not expand or product is None or product.kind in CONSUMABLE_KINDS:
        return
    for holding in account.holdings.values():
        parent = books.product(holding.product_id)
        if parent is not None and holding.sandbox == sandbox and product_id in parent.contains:
            through = _item(account, holding)
            source = _SUBSCRIPTION if holding.kind == "Pass" else _BUNDLE
            yield Item(
                id=uuid.uuid5(uuid.UUID(hex=through.id), product_id).hex,
                product_id=product_id,
                sku_id=product.sku_id,
                kind=product.kind,
                quantity=1,
                source=source,
                satisfied_by=(parent.product_id,),
                status=through.status,
                order_id=through.order_id,
                acquired=through.acquired,
                modified=through.modified,
                start=through.start,
                end=through.end,
                trial_until=None,
                recurrence_id=None,
            )


def _item(account: Account, holding: Holding) -> Item:
    order, line = holding.current
    recurrence = account.recurrence(order.recurrence_id) if order.recurrence_id is not None else None
    start = order.purchased if recurrence is None else recurrence.start
    return Item(
        id=holding.item_id,
        product_id=holding.product_id,
        sku_id=line.sku_id,
        kind=holding.kind,
        quantity=holding.shown_quantity,
        source=_DIRECT,
        satisfied_by=(),
        status=_status(holding, recurrence, line.trial_until),
        order_id=order.order_id,
        acquired=start,
        modified=holding.modified if recurrence is None else max(holding.modified, recurrence.modified),
        start=start,
        end=line.trial_until if recurrence is None else recurrence.expiration,
        trial_until=line.trial_until,
        recurrence_id=None if recurrence is None else recurrence.id,
    )


def _status(holding: Holding, recurrence: Recurrence | None, trial_until: int | None) -> Status:
    if recurrence is not None:
        if recurrence.revoked:
            return "Revoked"
        return "Active" if recurrence.state in {"Active", "InDunning"} else "Expired"
    if trial_until is not None and trial_until <= now():
        return "Expired"
    return "Active" if holding.owned else "Revoked"
