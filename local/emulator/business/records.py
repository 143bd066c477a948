"""What the emulator remembers of Store for Business, as plain records: the file ``business.json``, one to one.

A product is kept as the numbers that its content follows from (see ``content.py``), not as its content: ten
thousand products stay small, and the file is written in a moment. Times are ticks (see ``times.py``).
"""

import msgspec

from local.emulator.state import Record

BUSINESS_VERSION = 1

type ProductKey = tuple[str, str]
"""``productId`` and ``skuId``."""


class Revisions(Record):
    """How often each part of a product was renewed; part of what its content follows from."""

    details: int = 0
    description: int = 0
    artwork: int = 0
    packages: int = 0
    license: int = 1


class Product(Record):
    """One inventory entry of a tenant and the product behind it.

    ``seed`` decides all content; tenants that own the same product have the same seed. ``artwork`` is the seed of its
    images, ``None`` for a product without any. ``capacity`` is ``None`` for an Open product. ``package_size`` is the
    size in bytes of each of ``packages``, ``None`` for sizes by seed; ``hashed`` says whether they come with hashes,
    ``None`` for most of them. ``vanished`` products are listed and yet unknown to every other operation.
    """

    product_id: str
    sku_id: str
    seed: int
    offline: bool
    enterprise: bool
    languages: list[str]
    modified: int
    offset_minutes: int = 0
    capacity: int | None = None
    artwork: int | None = None
    packages: int = 0
    package_size: int | None = None
    hashed: bool | None = None
    removed: bool = False
    vanished: bool = False
    revisions: Revisions = msgspec.field(default_factory=Revisions)

    @property
    def key(self) -> ProductKey:
        """The key within the tenant."""
        return self.product_id, self.sku_id


class Seat(msgspec.Struct, array_like=True):
    """A seat of a user; ``number`` rises with every seat of the tenant and is what continuation tokens point at."""

    number: int
    user: str
    assigned: int


class StockRecord(Record):
    """What one tenant owns; ``seats`` by ``productId/skuId``, in the order of their numbers."""

    products: list[Product] = msgspec.field(default_factory=list)
    seats: dict[str, list[Seat]] = msgspec.field(default_factory=dict)
    next_seed: int = 0


class BusinessState(Record):
    """The root of the file; ``stocks`` by tenant id. ``address_key`` signs the CDN's addresses."""

    version: int
    address_key: bytes
    address_lifetime_seconds: float
    stocks: dict[str, StockRecord] = msgspec.field(default_factory=dict)
