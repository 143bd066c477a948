"""Control: what the business tenants own, in full, and how it grows and changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Annotated, Literal

import msgspec
from aiohttp import web

from local.emulator.business.content import Json, key_json
from local.emulator.business.records import Product
from local.emulator.business.seeds import Wanted, make_products
from local.emulator.business.stock import Stock, seat_json
from local.emulator.business.words import FALLBACK_LANGUAGE
from local.emulator.business.world import BusinessWorld
from local.emulator.cdn.addresses import SignedAnswer
from local.emulator.control.input import Input, number, read_input
from local.emulator.errors import ControlError
from local.emulator.service import Route, json_response

PRODUCTS_SHOWN = 500

_PARTS = ("entry", "details", "localized", "packages", "licenses", "seats")
_TENANT = "/_emulator/business/tenants/{tenant}"

type Part = Literal["details", "description", "artwork", "packages", "license"]


class NewProducts(Input):
    """Products to be added; what is left out differs between them, as ``seed`` decides.

    ``capacity`` makes them Restricted. ``package_size`` in bytes is of every package; ``hashed`` says whether
    packages come with hashes. ``shared_artwork`` gives all of them, and those of other such requests, the same images.
    ``modified_days_ago`` spreads the moments of their last change over so many days.
    """

    count: Annotated[int, msgspec.Meta(ge=1, le=100_000)]
    license_type: Literal["online", "offline", "mixed"] = "mixed"
    languages: Annotated[list[str], msgspec.Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: [FALLBACK_LANGUAGE]
    )
    enterprise_share: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0
    images: bool = True
    shared_artwork: bool = False
    packages_per_product: Annotated[int, msgspec.Meta(ge=0, le=50)] | None = None
    package_size: Annotated[int, msgspec.Meta(ge=0)] | None = None
    hashed: bool | None = None
    capacity: Annotated[int, msgspec.Meta(ge=0)] | None = None
    modified_days_ago: Annotated[float, msgspec.Meta(ge=0)] = 0
    seed: int = 0


class KeyInput(Input):
    """The key of a product."""

    product_id: str
    sku_id: str


class Changes(Input):
    """Changes of the ``products`` named, or of ``count`` at random that fit; each gets a ``lastModified`` of now.

    ``renew`` gives parts another content. ``capacity`` makes products Restricted, or Open by ``null``. Products that
    ``vanished`` stay listed and are unknown to every other operation.
    """

    products: list[KeyInput] | None = None
    count: Annotated[int, msgspec.Meta(ge=1)] | None = None
    seed: int = 0
    renew: list[Part] = msgspec.field(default_factory=list)
    languages: Annotated[list[str], msgspec.Meta(min_length=1)] | None = None
    capacity: Annotated[int, msgspec.Meta(ge=0)] | msgspec.UnsetType | None = msgspec.UNSET
    removed: bool | None = None
    vanished: bool | None = None

    def __post_init__(self) -> None:
        """Refuse a request that names no products or no change."""
        if (self.products is None) == (self.count is None):
            raise ValueError("needs either products or count")
        changes = (self.languages, self.removed, self.vanished)
        if not self.renew and self.capacity is msgspec.UNSET and all(each is None for each in changes):
            raise ValueError("needs at least one of renew, languages, capacity, removed and vanished")

    def fits(self, product: Product) -> bool:
        """Say whether a random choice may fall on a product: the change would be one, and be seen."""
        if product.removed != (self.removed is False) or product.vanished != (self.vanished is False):
            return False
        if {"packages", "license"} & set(self.renew):
            return product.offline
        return self.capacity is msgspec.UNSET or not product.offline

    def apply(self, product: Product) -> None:
        """Change a record."""
        for part in self.renew:
            setattr(product.revisions, part, getattr(product.revisions, part) + 1)
        product.languages = product.languages if self.languages is None else self.languages
        product.capacity = product.capacity if self.capacity is msgspec.UNSET else self.capacity
        product.removed = product.removed if self.removed is None else self.removed
        product.vanished = product.vanished if self.vanished is None else self.vanished


def business_routes(world: BusinessWorld) -> tuple[Route, ...]:
    """Return the routes under ``/business/tenants``."""
    tenants = _Tenants(world)
    return (
        Route("GET", "/_emulator/business/tenants", tenants.list_tenants),
        Route("GET", f"{_TENANT}/products", tenants.list_products),
        Route("POST", f"{_TENANT}/products", tenants.add_products),
        Route("POST", f"{_TENANT}/changes", tenants.change_products),
    )


@dataclass(frozen=True)
class _Tenants:
    world: BusinessWorld

    async def list_tenants(self, _: web.Request) -> web.Response:
        return json_response(
            {
                "tenants": [
                    {
                        "tenantId": stock.tenant.tenant_id,
                        "clientId": stock.tenant.client_id,
                        "name": stock.tenant.slug,
                        "domain": stock.tenant.domain,
                        "products": len(stock.products),
                    }
                    for stock in self.world.stocks.values()
                ]
            }
        )

    async def list_products(self, request: web.Request) -> web.Response:
        """Everything the service would say of each product; addresses come without expiry and signature."""
        stock, query = self._stock(request), request.query
        parts = query["parts"].split(",") if "parts" in query else _PARTS
        if not set(parts) <= set(_PARTS):
            raise ControlError(400, f"query parameter parts is a list of {', '.join(_PARTS)}")
        if "productId" in query:
            found: Sequence[Product] = [_find(stock, query["productId"], query.get("skuId", ""))]
        else:
            start = number(query, "start", 0)
            found = stock.products[start : start + number(query, "limit", PRODUCTS_SHOWN)]
        shown = [await self._shown(stock, product, parts) for product in found]
        return json_response({"count": len(stock.products), "products": shown})

    async def add_products(self, request: web.Request) -> web.Response:
        stock, wanted = self._stock(request), await read_input(request, NewProducts)
        first = stock.new_seeds(wanted.count)
        made = list(make_products(Wanted(**msgspec.structs.asdict(wanted)), first))
        stock.add(made)
        return json_response({"products": [key_json(product.key) for product in made]}, 201)

    async def change_products(self, request: web.Request) -> web.Response:
        stock, wanted = self._stock(request), await read_input(request, Changes)
        if wanted.products is not None:
            chosen = [_find(stock, key.product_id, key.sku_id) for key in wanted.products]
        else:
            fitting = [product for product in stock.products if wanted.fits(product)]
            count = wanted.count or 0
            if len(fitting) < count:
                raise ControlError(400, f"bad body: {len(fitting)} products fit, not {count}")
            chosen = Random(wanted.seed).sample(fitting, count)
        for product in chosen:
            wanted.apply(product)
            stock.touch(product)
        return json_response({"products": [key_json(product.key) for product in chosen]})

    def _stock(self, request: web.Request) -> Stock:
        wanted = request.match_info["tenant"].lower()
        for stock in self.world.stocks.values():
            if wanted in {stock.tenant.tenant_id, stock.tenant.slug}:
                return stock
        raise ControlError(404, f"there is no business tenant {wanted}")

    async def _shown(self, stock: Stock, product: Product, parts: Sequence[str]) -> Json:
        shown: Json = {"productKey": key_json(product.key), "vanished": product.vanished}
        if "entry" in parts:
            shown["entry"] = stock.entry(product)
        if "details" in parts:
            shown["details"] = self._raw(stock.details(product))
        if "localized" in parts:
            shown["localized"] = {each: self._raw(stock.localized(product, each)) for each in product.languages}
        if "packages" in parts:
            await self.world.hashes.prepare(stock.packages(product))
            shown["packages"] = self._raw(stock.package_set(product, self.world.hashes.get))
        if "licenses" in parts:
            shown["licenses"] = [stock.license(product, each.content_id) for each in stock.packages(product)]
        if "seats" in parts:
            shown["seats"] = [seat_json(product.key, seat) for seat in stock.seats.saved(product.key)]
        return shown

    def _raw(self, answer: SignedAnswer) -> msgspec.Raw:
        return msgspec.Raw(answer.encode(self.world.addresses, plain=True))


def _find(stock: Stock, product_id: str, sku_id: str) -> Product:
    product = stock.find((product_id, sku_id))
    if product is None:
        raise ControlError(404, f"{stock.tenant.slug} has no product {product_id}/{sku_id}")
    return product
