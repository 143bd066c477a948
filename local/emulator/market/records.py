"""What the Store's books hold, as plain records: the file ``books.json``, one to one (camelCase there).

Times are ticks (see ``times.py``). Prices are in the currency of the order, which here is always USD.
"""

from typing import Literal

import msgspec

from local.emulator.state import Record

BOOKS_VERSION = 1
RETAIL = "RETAIL"

ProductKind = Literal["Application", "Game", "Durable", "Consumable", "UnmanagedConsumable", "Pass"]
LineState = Literal["Purchased", "Returned", "Revoked", "Refunded"]
RecurrenceState = Literal["Active", "Inactive", "Canceled", "InDunning", "Failed"]

CONSUMABLE_KINDS: frozenset[ProductKind] = frozenset({"Consumable", "UnmanagedConsumable"})


class Product(Record):
    """A product of the publisher's catalogue. ``Consumable`` is store-managed, ``UnmanagedConsumable`` not.

    ``sandbox`` is where it is published; what is published to ``RETAIL`` can be had in every sandbox. ``contains``
    makes it a bundle (or a subscription with benefits): quantities by product id. ``days`` is a subscription's period.
    """

    product_id: str
    kind: ProductKind
    title: str = ""
    sku_id: str = "0010"
    price: float = 0.99
    sandbox: str = RETAIL
    contains: dict[str, int] = msgspec.field(default_factory=dict)
    days: int = 30

    def is_in(self, sandbox: str) -> bool:
        """Whether it can be had in ``sandbox``."""
        return self.sandbox in {RETAIL, sandbox}


class Line(Record):
    """A product in an order. The bundle and the consumables in it are lines with one and the same ``line_item_id``.

    ``state`` is the clawback state it was left in. ``chargeback``: its money was taken back by the bank, and not given
    back since. ``restored`` counts consumed units that a reversal added back, which only happens to developer-managed
    consumables; they may be consumed a second time.
    """

    line_item_id: str
    product_id: str
    sku_id: str
    kind: ProductKind
    quantity: int
    modified: int
    consumed: int = 0
    restored: int = 0
    state: LineState = "Purchased"
    chargeback: bool = False
    bundle: str | None = None
    trial_until: int | None = None

    @property
    def owned(self) -> bool:
        """Whether it was not taken back."""
        return self.state in {"Purchased", "Refunded"}

    @property
    def remaining(self) -> int:
        """The units that can still be consumed."""
        return self.quantity - self.consumed if self.owned else 0

    @property
    def held(self) -> int:
        """The units whose value the user should hold in the publisher's own books."""
        return max(self.consumed, self.restored) if self.owned else 0


class Order(Record):
    """A purchase. ``short_id`` is what the customer sees. ``answer`` is what the grant of a free product answered."""

    order_id: str
    short_id: int
    purchased: int
    sandbox: str
    amount: float
    lines: list[Line]
    market: str = "US"
    refunded: int | None = None
    recurrence_id: str | None = None
    answer: msgspec.Raw | None = None


class Fill(Record):
    """Which part of a consume an order line gave."""

    order_id: str
    order_line_item_id: str
    quantity_consumed: int


class Consume(Record):
    """A consume that was carried out. ``quantity`` is ``None`` in the developer-managed form.

    ``requests`` counts the calls that named it: the one that carried it out and its replays.
    """

    tracking_id: str
    product_id: str
    quantity: int | None
    sandbox: str
    time: int
    fills: list[Fill]
    requests: int = 1


class Recurrence(Record):
    """A subscription of a user. ``orders`` has one id for each period paid, oldest first."""

    id: str
    product_id: str
    sku_id: str
    sandbox: str
    start: int
    period_start: int
    expiration: int
    grace: int
    modified: int
    orders: list[str]
    state: RecurrenceState = "Active"
    auto_renew: bool = True
    trial: bool = False
    canceled: int | None = None
    market: str = "US"
    revoked: bool = False


class AccountRecord(Record):
    """What a Store account has; everything in the order of its making."""

    orders: list[Order] = msgspec.field(default_factory=list)
    consumes: list[Consume] = msgspec.field(default_factory=list)
    recurrences: list[Recurrence] = msgspec.field(default_factory=list)


class Settings(Record, forbid_unknown_fields=True):
    """Where the documentation contradicts itself or is silent, which way this Store goes.

    ``operations`` in ``seconds`` is the rate limit of a user (``None`` lifts it). ``recurrence_field`` is how a v9 item
    names its subscription, ``kind_field`` what a v8 item calls its kind, ``change_answer`` the shape of an answer to a
    recurrence change, ``cancel`` whether ``Cancel`` ends a subscription or only its renewal. ``event_states``,
    ``event_encoding`` and ``event_padding`` are how clawback events are written. ``empty_pages`` puts an empty page
    with a token before the last page of a query; ``empty_items`` lists consumables of which nothing is left.
    """

    operations: int | None = 200
    seconds: float = 300
    recurrence_field: Literal["recurrenceId", "recurrenceData", "recurrenceDataObject"] = "recurrenceId"
    kind_field: Literal["productKind", "productType"] = "productKind"
    change_answer: Literal["single", "items"] = "single"
    cancel: Literal["ends", "keepsPaidTime"] = "ends"
    event_states: Literal["documented", "short"] = "documented"
    event_encoding: Literal["base64", "base64url"] = "base64"
    event_padding: bool = True
    empty_pages: bool = True
    empty_items: bool = True


class BooksRecord(Record):
    """The root of the file: the catalogue by product id, the accounts by their names."""

    version: int = BOOKS_VERSION
    settings: Settings = msgspec.field(default_factory=Settings)
    products: dict[str, Product] = msgspec.field(default_factory=dict)
    accounts: dict[str, AccountRecord] = msgspec.field(default_factory=dict)
    last_short_id: int = 8_483_000_000
