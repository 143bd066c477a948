"""What the business tenants own at the first start, and products made on request; the same for the same seed."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from local.emulator.business import times
from local.emulator.business.records import BUSINESS_VERSION, BusinessState, Product, Seat, StockRecord
from local.emulator.business.words import FALLBACK_LANGUAGE, LANGUAGES
from local.emulator.state import BusinessTenant

ADDRESS_LIFETIME_SECONDS = 600.0

_SKUS = {True: ("0015",), False: ("0016", "0010")}
_OFFSETS = (0, -420, 120, 330, 0, 540, -210)
_CAPACITIES = (None, None, None, 5, 25, 100, 500, 2000)
_FIRST_USERS = ("ada", "grace", "Linus", "margaret.h", "anita+test")
# Products of tenants' own begin here, far above the seeds of the products that tenants share.
_OWN_SEEDS = 10_000_000
_ID_LETTERS = "0123456789ABCDFGHJKLMNPQRSTVWXYZ"
_BIG_PACKAGE = 6_500_000


@dataclass(frozen=True)
class _Share:
    """What a tenant has of the products that the Store sells to all, and how many more there are of each kind."""

    first: int
    last: int
    enterprise: int
    both_licenses: int


# 180, 90 and 40 products; some are owned by two tenants.
_SHARES = {
    "contoso": _Share(1, 160, enterprise=14, both_licenses=6),
    "fabrikam": _Share(121, 200, enterprise=6, both_licenses=4),
    "northwind": _Share(181, 214, enterprise=4, both_licenses=2),
}


def product_id(seed: int) -> str:
    """Return twelve letters and digits as the Store's ids have; different for different seeds."""
    # Multiplying by an odd number modulo a power of two loses nothing.
    number = seed * 0x5851F42D4C957F2D % (1 << 55)
    return "9" + "".join(_ID_LETTERS[number >> (5 * place) & 31] for place in range(11))


def first_business(tenants: Sequence[BusinessTenant]) -> BusinessState:
    """Return the state of a first start."""
    state = BusinessState(
        version=BUSINESS_VERSION,
        address_key=secrets.token_bytes(32),
        address_lifetime_seconds=ADDRESS_LIFETIME_SECONDS,
    )
    for number, tenant in enumerate(tenants, 1):
        state.stocks[tenant.tenant_id] = _first_stock(tenant, number * _OWN_SEEDS)
    return state


def _first_stock(tenant: BusinessTenant, own: int) -> StockRecord:
    share, random = _SHARES[tenant.slug], Random(tenant.slug)
    products = [_first_product(seed, random) for seed in range(share.first, share.last + 1)]
    for each in products[: share.both_licenses]:
        other = _first_product(each.seed, random)
        other.offline = not each.offline
        other.sku_id, other.packages = _SKUS[other.offline][0], 2 if other.offline else 0
        products.append(other)
    for seed in range(own, own + share.enterprise):
        each = _first_product(seed, random)
        each.enterprise = True
        products.append(each)
    next(each for each in products if each.offline).package_size = _BIG_PACKAGE
    random.shuffle(products)
    seats = dict(_first_seats(tenant, products, random))
    return StockRecord(products=products, seats=seats, next_seed=own + share.enterprise)


def _first_product(seed: int, random: Random) -> Product:
    offline, content = random.random() < 0.35, Random(f"languages {seed}")
    fraction = random.choice((0, random.randrange(10_000_000), random.randrange(10_000_000)))
    # From 2015 to 2023.
    modified = random.randrange(1_436_000_000, 1_680_000_000) * times.TICKS_PER_SECOND + fraction
    return Product(
        product_id=product_id(seed),
        sku_id=random.choice(_SKUS[offline]),
        seed=seed,
        offline=offline,
        enterprise=False,
        languages=[FALLBACK_LANGUAGE, *content.sample(LANGUAGES[1:], content.randrange(len(LANGUAGES)))],
        modified=modified,
        offset_minutes=random.choice(_OFFSETS),
        capacity=random.choice(_CAPACITIES),
        artwork=seed,
        packages=content.choice((1, 1, 2, 3)) if offline else 0,
        removed=random.random() < 0.05,
    )


def _first_seats(
    tenant: BusinessTenant, products: Sequence[Product], random: Random
) -> Iterator[tuple[str, list[Seat]]]:
    number = 0
    for product in products:
        if product.offline or product.removed:
            continue
        users = random.sample(_FIRST_USERS, random.randrange(4))
        seats = []
        for user in users:
            number += 1
            seats.append(Seat(number, f"{user}@{tenant.domain}", product.modified))
        if seats:
            yield "/".join(product.key), seats


@dataclass(frozen=True)
class Wanted:
    """Products to be made; ``seed`` decides every choice that is left open."""

    count: int
    license_type: Literal["online", "offline", "mixed"]
    languages: list[str]
    enterprise_share: float
    images: bool
    shared_artwork: bool
    packages_per_product: int | None
    package_size: int | None
    hashed: bool | None
    capacity: int | None
    modified_days_ago: float
    seed: int


def make_products(wanted: Wanted, first: int) -> Iterator[Product]:
    """Yield products with seeds from ``first`` on."""
    random = Random(wanted.seed)
    now, span = times.now(), int(wanted.modified_days_ago * 24 * 3600 * times.TICKS_PER_SECOND)
    for seed in range(first, first + wanted.count):
        chance = random.random()
        offline = chance < 0.5 if wanted.license_type == "mixed" else wanted.license_type == "offline"
        several = random.choice((1, 1, 2, 3)) if wanted.packages_per_product is None else wanted.packages_per_product
        yield Product(
            product_id=product_id(seed),
            sku_id=random.choice(_SKUS[offline]),
            seed=seed,
            offline=offline,
            enterprise=random.random() < wanted.enterprise_share,
            languages=wanted.languages,
            modified=now - span * (first + wanted.count - seed) // wanted.count,
            offset_minutes=random.choice(_OFFSETS),
            capacity=wanted.capacity,
            artwork=None if not wanted.images else 0 if wanted.shared_artwork else seed,
            packages=several if offline else 0,
            package_size=wanted.package_size,
            hashed=wanted.hashed,
        )
