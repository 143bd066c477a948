"""Control: the store front. Products are made, bought, refunded; the books are shown."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from aiohttp import web

from local.emulator.control.input import Input, read_input
from local.emulator.errors import ControlError
from local.emulator.market.account import NotPossibleError
from local.emulator.market.books import Books
from local.emulator.market.clawback_events import ClawbackEvents, Event
from local.emulator.market.clawback_queue import QueueError
from local.emulator.market.records import RETAIL, Order, Product, ProductKind, Settings
from local.emulator.market.refunds import Lines, refund_lines, reverse
from local.emulator.market.times import text
from local.emulator.market.truth import truth_of
from local.emulator.service import Route, json_response
from local.emulator.store.rate_limit import RateLimit

_Name = Annotated[str, msgspec.Meta(min_length=1)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]


class NewProduct(Input):
    """A product; ``contains`` (quantities by product id) makes it a bundle. ``days`` is a subscription's period."""

    product_id: _Name
    kind: ProductKind
    title: str = ""
    sku_id: _Name = "0010"
    price: Annotated[float, msgspec.Meta(ge=0)] = 0.99
    sandbox: _Name = RETAIL
    contains: dict[_Name, _Count] = msgspec.field(default_factory=dict)
    days: Annotated[int, msgspec.Meta(ge=1)] = 30


class NewPurchase(Input):
    """A purchase by ``player``, or one by each of ``players``. ``trial_seconds`` makes it a trial that ends then."""

    product_id: _Name
    player: _Name | None = None
    players: list[_Name] | None = None
    quantity: _Count = 1
    sandbox: _Name = RETAIL
    days_ago: Annotated[float, msgspec.Meta(ge=0)] = 0
    trial_seconds: float | None = None

    def __post_init__(self) -> None:
        """Refuse a request of which a part would be ignored."""
        if (self.player is None) == (self.players is None):
            raise ValueError("expected either player or players")


class NewRefund(Input):
    """A refund of an order, of one line item of it, or of some of its products.

    ``keep``: the user keeps the product. ``chargeback``: by the user's bank, not by the Store. ``send`` false only
    makes the events; ``times`` sends each so often.
    """

    player: _Name
    order_id: _Name
    line_item_id: _Name | None = None
    products: list[_Name] | None = None
    keep: bool = False
    chargeback: bool = False
    send: bool = True
    times: _Count = 1


class NewReversal(Input):
    """The reversal of a chargeback; see :class:`NewRefund`."""

    player: _Name
    order_id: _Name
    line_item_id: _Name | None = None
    products: list[_Name] | None = None
    send: bool = True
    times: _Count = 1


def store_routes(books: Books, events: ClawbackEvents, limit: RateLimit) -> tuple[Route, ...]:
    """Return the routes under ``/store`` but those of subscriptions."""
    store = _Store(books, events, limit)
    return (
        Route("GET", "/_emulator/store/settings", store.get_settings),
        Route("PATCH", "/_emulator/store/settings", store.change_settings),
        Route("DELETE", "/_emulator/store/settings", store.reset_settings),
        Route("POST", "/_emulator/store/products", store.put_product),
        Route("GET", "/_emulator/store/products", store.list_products),
        Route("POST", "/_emulator/store/purchases", store.buy),
        Route("POST", "/_emulator/store/refunds", store.refund),
        Route("POST", "/_emulator/store/reversals", store.reverse),
        Route("GET", "/_emulator/store/books", store.get_books),
    )


@dataclass(frozen=True)
class _Store:
    books: Books
    events: ClawbackEvents
    limit: RateLimit

    async def get_settings(self, _: web.Request) -> web.Response:
        return json_response(self.books.settings)

    async def change_settings(self, request: web.Request) -> web.Response:
        changes = await read_input(request, dict[str, object])
        try:
            settings = msgspec.convert(msgspec.to_builtins(self.books.settings) | changes, Settings)
        except msgspec.ValidationError as error:
            raise ControlError(400, f"bad body: {error}") from error
        return self._set(settings)

    async def reset_settings(self, _: web.Request) -> web.Response:
        return self._set(Settings())

    def _set(self, settings: Settings) -> web.Response:
        self.books.set_settings(settings)
        self.limit.forget()
        return json_response(settings)

    async def put_product(self, request: web.Request) -> web.Response:
        wanted = await read_input(request, NewProduct)
        missing = [product_id for product_id in wanted.contains if self.books.product(product_id) is None]
        if missing:
            raise ControlError(400, f"bad body: contains what is not in the catalogue: {', '.join(missing)}")
        product = msgspec.convert(msgspec.to_builtins(wanted), Product)
        self.books.put_product(product)
        return json_response(product)

    async def list_products(self, _: web.Request) -> web.Response:
        return json_response({"products": list(self.books.products())})

    async def buy(self, request: web.Request) -> web.Response:
        wanted = await read_input(request, NewPurchase)
        product = product_of(self.books, wanted.product_id)
        if product.kind == "Pass":
            raise ControlError(400, f"{product.product_id} is a Pass: POST store/subscriptions")
        orders = []
        for player in wanted.players or [wanted.player or ""]:
            try:
                order = self.books.sell(
                    player,
                    product,
                    quantity=wanted.quantity,
                    sandbox=wanted.sandbox,
                    days_ago=wanted.days_ago,
                    trial_seconds=wanted.trial_seconds,
                )
            except NotPossibleError as error:
                raise ControlError(409, f"{player}: {error}") from error
            orders.append(_order(player, order))
        return json_response({"orders": orders} if wanted.player is None else orders[0], 201)

    async def refund(self, request: web.Request) -> web.Response:
        wanted = await read_input(request, NewRefund)
        lines = Lines(wanted.player, wanted.order_id, wanted.line_item_id, wanted.products)
        try:
            made = refund_lines(self.books, lines, keep=wanted.keep, chargeback=wanted.chargeback)
        except NotPossibleError as error:
            raise ControlError(409, str(error)) from error
        return await send_events(self.events, self.books, made, wanted.times if wanted.send else 0)

    async def reverse(self, request: web.Request) -> web.Response:
        wanted = await read_input(request, NewReversal)
        lines = Lines(wanted.player, wanted.order_id, wanted.line_item_id, wanted.products)
        try:
            made = reverse(self.books, lines)
        except NotPossibleError as error:
            raise ControlError(409, str(error)) from error
        return await send_events(self.events, self.books, made, wanted.times if wanted.send else 0)

    async def get_books(self, request: web.Request) -> web.Response:
        """``player`` may be named several times; without it everybody is shown, and the events that were made."""
        players = request.query.getall("player", [])
        accounts = [self.books.account(player) for player in players] or list(self.books.accounts())
        body: dict[str, object] = {"players": {account.player: truth_of(account) for account in accounts}}
        if not players:
            body["events"] = list(self.events.made)
        return json_response(body)


def product_of(books: Books, product_id: str) -> Product:
    """Return a product of the catalogue.

    :raises ControlError: 404.
    """
    product = books.product(product_id)
    if product is None:
        raise ControlError(404, f"there is no product {product_id}: POST store/products")
    return product


async def send_events(events: ClawbackEvents, books: Books, made: Sequence[Event], times: int) -> web.Response:
    """Send new events and answer with them; without a queue, or with ``times`` 0, nothing is sent.

    :raises ControlError: 502, the storage account did not take them; what they tell of has happened all the same.
    """
    events.note(made)
    sent = events.queue.connected and times > 0
    if sent:
        try:
            await events.send(made, books.settings, times=times)
        except QueueError as error:
            raise ControlError(502, str(error)) from error
    return json_response({"events": made, "sent": sent}, 201)


def _order(player: str, order: Order) -> dict[str, object]:
    return {
        "player": player,
        "orderId": order.order_id,
        "purchasedOn": text(order.purchased),
        "lines": [
            {"lineItemId": line.line_item_id, "productId": line.product_id, "quantity": line.quantity}
            for line in order.lines
        ],
    }
