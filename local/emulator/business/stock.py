"""What one tenant owns, at work: products found by key and listed in pages, seats counted, answers kept encoded."""

import re
from collections.abc import Callable, Collection, Iterable
from typing import Literal

import msgspec

from local.emulator.business import times
from local.emulator.business.content import Json, details, key_json, license_json, localized
from local.emulator.business.packages import HashOf, Package, package_set, packages
from local.emulator.business.records import Product, ProductKey, Seat, StockRecord
from local.emulator.business.seats import SeatLedger
from local.emulator.business.words import FALLBACK_LANGUAGE
from local.emulator.cdn.addresses import SignedAnswer
from local.emulator.state import BusinessTenant

UNLIMITED = 2_147_483_647
"""``seatCapacity`` of an Open product."""

PRODUCTS_KEPT = 20_000
"""Of how many products the encoded answers are kept."""

type SeatReason = Literal["UserNotFound", "NoSeatsAvailable", "SeatNotFound"]

# User names that look right and yet belong to nobody, so that tests can ask for them.
_NOBODY = re.compile(r"(?!nobody|unknown)[^@\s/]+", re.IGNORECASE)


class Stock:
    """The products and seats of one tenant. Every change calls ``changed``."""

    def __init__(self, tenant: BusinessTenant, record: StockRecord, changed: Callable[[], None]) -> None:
        self.tenant = tenant
        self.seats = SeatLedger()
        self._record = record
        self._changed = changed
        self._products = {product.key: product for product in record.products}
        self._entries: dict[ProductKey, bytes] = {}
        self._answers: dict[ProductKey, dict[str, SignedAnswer]] = {}
        for name, seats in record.seats.items():
            product_id, _, sku_id = name.partition("/")
            self.seats.load((product_id, sku_id), seats)

    @property
    def products(self) -> list[Product]:
        """All products in the order of the inventory; none ever leaves it."""
        return self._record.products

    def find(self, key: ProductKey) -> Product | None:
        """Return the product; ids have no case."""
        return self._products.get((key[0].upper(), key[1].upper()))

    def new_seeds(self, count: int) -> int:
        """Return the first of ``count`` seeds in a row that no product of any tenant has."""
        self._record.next_seed += count
        return self._record.next_seed - count

    def add(self, products: Iterable[Product]) -> None:
        """Put new products at the end of the inventory."""
        for product in products:
            self._record.products.append(product)
            self._products[product.key] = product
        self._changed()

    def touch(self, product: Product) -> None:
        """Note that a product changed: ``lastModified`` becomes now, answers are made anew."""
        self._entries.pop(product.key, None)
        self._answers.pop(product.key, None)
        product.modified = max(times.now(), product.modified + 1)
        self._changed()

    def record(self) -> StockRecord:
        """Return everything to be saved."""
        names = ((product.key, "/".join(product.key)) for product in self.products)
        self._record.seats = {name: self.seats.saved(key) for key, name in names if self.seats.used(key)}
        return self._record

    def listing(
        self, start: int, count: int, since: int | None, kinds: Collection[bool]
    ) -> tuple[list[bytes], int | None]:
        """Return encoded inventory entries from position ``start``, and the position to go on at, if there is more.

        ``since`` in ticks, inclusive; ``kinds`` says which values of ``offline`` are wanted.
        """
        entries: list[bytes] = []
        for position in range(start, len(self.products)):
            product = self.products[position]
            if (since is not None and product.modified < since) or product.offline not in kinds:
                continue
            if len(entries) == count:
                return entries, position
            entries.append(self.encoded_entry(product))
        return entries, None

    def encoded_entry(self, product: Product) -> bytes:
        """Return the InventoryEntryDetails in JSON."""
        entry = self._entries.get(product.key)
        if entry is None:
            entry = self._entries[product.key] = msgspec.json.encode(self.entry(product))
        return entry

    def entry(self, product: Product) -> Json:
        """Return the InventoryEntryDetails."""
        capacity = UNLIMITED if product.capacity is None else product.capacity
        license_type = "Offline" if product.offline else "Online"
        # Letter case differs between products, as it does in the documentation.
        return {
            "productKey": key_json(product.key),
            "seatCapacity": capacity,
            "availableSeats": self.available(product),
            "lastModified": times.text(product.modified, product.offset_minutes),
            "licenseType": license_type.lower() if product.seed % 3 == 0 else license_type,
            "distributionPolicy": "Open" if product.capacity is None else "Restricted",
            "status": "Removed" if product.removed else "active" if product.seed % 5 == 0 else "Active",
        }

    def available(self, product: Product) -> int:
        """Return how many more seats can be assigned."""
        capacity = UNLIMITED if product.capacity is None else product.capacity
        # Capacity can be lowered below what is assigned.
        return max(0, capacity - self.seats.used(product.key))

    def details(self, product: Product) -> SignedAnswer:
        """Return the encoded ProductDetails."""
        return self._answer(product, "details", lambda: details(product, self.tenant.slug))

    def localized(self, product: Product, language: str) -> SignedAnswer:
        """Return the encoded LocalizedProductDetail; in the fallback language where there is none in ``language``."""
        known = {name.lower(): name for name in product.languages}
        fallback = known.get(FALLBACK_LANGUAGE, product.languages[0])
        found = known.get(language.lower(), fallback)
        return self._answer(product, f"language {found}", lambda: localized(product, self.tenant.slug, found))

    def packages(self, product: Product) -> list[Package]:
        """Return the packages; online-licensed products have none to hand out."""
        return packages(product, self.tenant.slug) if product.offline else []

    def package_set(self, product: Product, hash_of: HashOf) -> SignedAnswer:
        """Return the encoded ProductPackageSet."""
        return self._answer(product, "packages", lambda: package_set(product, self.packages(product), hash_of))

    def license(self, product: Product, content_id: str) -> Json:
        """Return the OfflineLicense."""
        return license_json(product, self.tenant.domain, content_id)

    def is_user(self, name: str) -> bool:
        """Say whether the tenant has a user of this name: one of its domain that does not begin with ``nobody``.

        Nor with ``unknown``; both are for tests.
        """
        local, _, domain = name.rpartition("@")
        return domain.lower() == self.tenant.domain and _NOBODY.fullmatch(local) is not None

    def assign(self, product: Product, user: str) -> Seat | SeatReason:
        """Give a seat of an online product to a user, who may have it already; or say why not."""
        if not self.is_user(user):
            return "UserNotFound"
        seat = self.seats.get(product.key, user)
        if seat is not None:
            return seat
        if not self.available(product):
            return "NoSeatsAvailable"
        seat = self.seats.add(product.key, user, times.now())
        self._seats_changed(product)
        return seat

    def reclaim(self, product: Product, user: str) -> Seat | SeatReason:
        """Take the seat of a user of an online product; or say why not."""
        if not self.is_user(user):
            return "UserNotFound"
        seat = self.seats.remove(product.key, user)
        if seat is None:
            return "SeatNotFound"
        self._seats_changed(product)
        return seat

    def _seats_changed(self, product: Product) -> None:
        # Not touch(): a hundred thousand seats leave what is said of the product's content as it was.
        self._entries.pop(product.key, None)
        product.modified = max(times.now(), product.modified + 1)
        self._changed()

    def _answer(self, product: Product, part: str, make: Callable[[], Json]) -> SignedAnswer:
        kept = self._answers.get(product.key)
        if kept is None:
            if len(self._answers) >= PRODUCTS_KEPT:
                del self._answers[next(iter(self._answers))]
            kept = self._answers[product.key] = {}
        if part not in kept:
            kept[part] = SignedAnswer(make())
        return kept[part]


def seat_json(key: ProductKey, seat: Seat, state: Literal["Active", "Revoked"] = "Active") -> Json:
    """Return the SeatDetails."""
    return {
        "assignedTo": seat.user,
        "dateAssigned": times.text(seat.assigned),
        "state": state,
        "productKey": key_json(key),
    }
