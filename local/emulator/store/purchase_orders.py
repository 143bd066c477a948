"""Purchase: grants of free products, the orders query, and the address of the clawback queue.

Source: store-services reference, sections 7 and 8; fixtures ``grant-*``, ``orders-query-*``, ``clawback-sastoken-*``.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from aiohttp import web

from local.emulator.market.account import NotPossibleError
from local.emulator.market.books import Books
from local.emulator.market.clawback_queue import ClawbackQueue
from local.emulator.market.records import CONSUMABLE_KINDS, RETAIL, Line, Order, Product
from local.emulator.market.times import DAY_TICKS, now, text
from local.emulator.service import Route, json_response
from local.emulator.store.calls import Caller, StoreCalls, sandbox_of
from local.emulator.store.fields import Fields

ORDERS_DAYS = 90
LINE_STATES = ("Purchased", "Revoked", "Refunded")


def order_routes(calls: StoreCalls, queue: ClawbackQueue) -> tuple[Route, ...]:
    """Return the routes. The rate limit counts the v7 grant and the orders query; v6 and sastoken it does not."""
    orders = _Orders(calls, calls.books, queue)
    return (
        Route("POST", "/purchase/v6.0/purchases/grant", orders.grant_v6),
        Route("POST", "/purchase/v7.0/purchases/grant", orders.grant_v7),
        Route("POST", "/purchase/v8.0/b2b/orders/query", orders.query),
        Route("GET", "/purchase/v8.0/b2b/clawback/sastoken", orders.sas_token),
    )


@dataclass(frozen=True)
class _Orders:
    calls: StoreCalls
    books: Books
    queue: ClawbackQueue

    async def grant_v6(self, request: web.Request) -> web.Response:
        """Without sandboxes."""
        fields, caller = await self.calls.purchase_call(request, limited=False)
        return self._grant(fields, caller, RETAIL)

    async def grant_v7(self, request: web.Request) -> web.Response:
        fields, caller = await self.calls.purchase_call(request)
        return self._grant(fields, caller, sandbox_of(fields))

    def _grant(self, fields: Fields, caller: Caller, sandbox: str) -> web.Response:
        """A user's order id is used once: sent again, it answers with the order that it made (not documented)."""
        order_id = fields.guid("orderId")
        product_id, sku_id = fields.text("productId"), fields.text("skuId")
        for name in ("availabilityId", "language", "market"):
            fields.text(name)
        fields.whole("quantity", most=1, default=1)
        fields.optional_text("devOfferId")
        known = caller.account.order(order_id)
        if known is not None:
            if known.answer is None:
                raise fields.wrong("orderId", "is that of a purchase")
            return json_response(known.answer)
        product = self.books.product(product_id) if caller.known else None
        if product is None or not product.is_in(sandbox):
            raise fields.wrong("productId", "is not in the catalog")
        if product.sku_id != sku_id:
            raise fields.wrong("skuId", "is not a SKU of the product")
        if product.price:
            raise fields.wrong("productId", "is not free")
        try:
            order = self.books.sell(caller.account.player, product, sandbox=sandbox, order_id=order_id)
        except NotPossibleError as error:
            raise self.calls.refusal(409, "NotGranted", f"{error}.", field=product_id) from error
        order.answer = msgspec.Raw(msgspec.json.encode(_granted(fields, caller, order, product)))
        return json_response(order.answer)

    async def query(self, request: web.Request) -> web.Response:
        """Orders of consumables of the last 90 days."""
        fields, caller = await self.calls.purchase_call(request)
        states = fields.texts("lineItemStateFilter") or LINE_STATES
        for state in states:
            if state not in LINE_STATES:
                raise fields.wrong("lineItemStateFilter", f"must be some of {', '.join(LINE_STATES)}")
        sandbox, oldest = sandbox_of(fields), now() - ORDERS_DAYS * DAY_TICKS
        items = [
            shown
            for order in (caller.account.record.orders if caller.known else ())
            if order.sandbox == sandbox and order.purchased >= oldest and (shown := _order(order, states)) is not None
        ]
        return json_response({"items": items})

    async def sas_token(self, request: web.Request) -> web.Response:
        """404 for a publisher without a queue; what the real service answers then is not documented."""
        client_id = self.calls.client(request)
        address = self.queue.address() if client_id == self.calls.publisher_client_id else None
        if address is None:
            raise self.calls.refusal(404, "NoClawbackQueue", "There is no clawback queue for this client id.")
        # Without seconds, as published: the address itself may be good for up to a minute longer.
        expires_on = time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime(address.expires_on))
        return json_response({"expiresOn": expires_on, "uri": address.uri})


def _order(order: Order, states: Sequence[str]) -> dict[str, object] | None:
    lines = [line for line in order.lines if line.kind in CONSUMABLE_KINDS and _line_state(line) in states]
    if not lines:
        return None
    shown: dict[str, object] = {
        "orderId": order.order_id,
        "shortOrderId": str(order.short_id),
        "orderLineItems": [
            {
                "lineItemId": line.line_item_id,
                "lineItemState": _line_state(line),
                "productId": line.product_id,
                "quantity": line.quantity,
                "skuId": line.sku_id,
                "wasConsumableQuantityRevoked": line.state == "Returned",
            }
            for line in lines
        ],
        "orderPurchasedDate": text(order.purchased),
    }
    if order.refunded is not None:
        shown["orderRefundedDate"] = text(order.refunded)
    return shown


def _line_state(line: Line) -> str:
    """The words of clawback v1: ``Revoked`` was consumed, then refunded, and ``Refunded`` refunded before that."""
    if line.state == "Purchased":
        return "Purchased"
    return "Revoked" if line.consumed else "Refunded"


def _granted(fields: Fields, caller: Caller, order: Order, product: Product) -> dict[str, object]:
    user = {"identityType": "pub", "identityValue": caller.user_id}
    line = order.lines[0]
    created = text(order.purchased)
    return {
        "clientContext": {"client": caller.client_id},
        "createdTime": created,
        "currencyCode": "USD",
        "isPIRequired": False,
        "language": fields.text("language"),
        "market": fields.text("market"),
        "orderId": order.order_id,
        "orderLineItems": [
            {
                "availabilityId": fields.text("availabilityId"),
                "beneficiary": user,
                "billingState": "Charged",
                "currencyCode": "USD",
                "description": product.title,
                "fulfillmentDate": created,
                "fulfillmentState": "Fulfilled",
                "isPIRequired": False,
                "isTaxIncluded": True,
                "lineItemId": line.line_item_id,
                "listPrice": 0.0,
                "payments": [],
                "productId": line.product_id,
                "productType": line.kind,
                "quantity": 1,
                "retailPrice": 0.0,
                "revenueRecognitionState": "None",
                "skuId": line.sku_id,
                "taxAmount": 0.0,
                "taxType": "NoApplicableTaxes",
                "title": product.title,
                "totalAmount": 0.0,
            }
        ],
        "orderState": "Purchased",
        "orderValidityEndTime": text(order.purchased + DAY_TICKS),
        "orderValidityStartTime": created,
        "purchaser": user,
        "testScenarios": "None",
        "totalAmount": 0.0,
        "totalTaxAmount": 0.0,
    }
