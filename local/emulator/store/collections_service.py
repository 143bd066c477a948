"""Collections beyond its keys: the queries of v8 and v9, and the consume of v8.

Source: store-services reference, sections 5 and 6; fixtures ``collections-v8-*``, ``collections-v9-*`` and
``consume-v8-*``.
"""

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web

from local.emulator.errors import StoreError
from local.emulator.market.account import NotOwnedError, QuantityTooLowError
from local.emulator.market.books import Books
from local.emulator.market.records import RETAIL, Consume, Product
from local.emulator.market.times import now
from local.emulator.service import Route, json_response
from local.emulator.store.calls import Caller, StoreCalls, sandbox_of
from local.emulator.store.collections_items import VALIDITIES, Item, Wanted, items_of, without_duplicates
from local.emulator.store.collections_pages import page_of
from local.emulator.store.fields import Fields

MOST_PRODUCTS = 100
V8_PAGE_SIZE = 100
V9_PAGE_SIZE = 200
FILTERS = ("*:Game", "*:Application", "*:Durable", "*:Consumable", "*:UnmanagedConsumable", "*:Pass")

_PRODUCTS = "productSkuIds"


def collections_routes(calls: StoreCalls) -> tuple[Route, ...]:
    """Return the routes; the v9 query in both spellings, that of the documentation and that of the library."""
    collections = _Collections(calls, calls.books)
    return (
        Route("POST", "/collections/v9.0/collections/publisherQuery", collections.query_v9),
        Route("POST", "/collections/v9.0/collections/PublisherQuery", collections.query_v9),
        Route("POST", "/collections/v8.0/collections/b2bLicensePreview", collections.query_v8),
        Route("POST", "/collections/v8.0/collections/consume", collections.consume),
    )


@dataclass(frozen=True)
class _Collections:
    calls: StoreCalls
    books: Books

    async def query_v9(self, request: web.Request) -> web.Response:
        """Satisfying entitlements are always found; ``productSkuIds`` is required."""
        fields, caller, _ = await self.calls.collections_call(request, several=True)
        wanted = _wanted(fields)
        if not wanted:
            raise fields.wrong(_PRODUCTS, "must name the products that are asked for")
        if len(wanted) > MOST_PRODUCTS:
            raise fields.wrong(_PRODUCTS, f"must not have more than {MOST_PRODUCTS} products")
        size = fields.whole("maxPageSize", most=V9_PAGE_SIZE, default=100)
        items = self._items(fields, caller, wanted, expand=True)
        return self._answer(items, fields, size, self._item_v9)

    async def query_v8(self, request: web.Request) -> web.Response:
        """``market`` is required; without ``productSkuIds`` everything is listed."""
        fields, caller, reference = await self.calls.collections_call(request, several=True)
        fields.text("market")
        size = fields.whole("maxPageSize", most=V8_PAGE_SIZE, default=V8_PAGE_SIZE)
        filters = fields.texts("entitlementFilters")
        for name in filters or ():
            if name not in FILTERS:
                raise fields.wrong("entitlementFilters", f"must be some of {', '.join(FILTERS)}")
        expand = fields.flag("expandSatisfyingItems", default=False)
        items = self._items(fields, caller, _wanted(fields) or None, expand=expand)
        if filters:
            items = [item for item in items if f"*:{item.kind}" in filters]
        return self._answer(items, fields, size, lambda item: self._item_v8(item, caller, reference))

    def _items(self, fields: Fields, caller: Caller, wanted: list[Wanted] | None, *, expand: bool) -> list[Item]:
        validity = fields.one_of("validityType", VALIDITIES, "All")
        sandbox = sandbox_of(fields)
        if not caller.known:
            return []
        moment = now()
        found = items_of(self.books, caller.account, sandbox, wanted, expand=expand)
        return [item for item in found if item.is_valid(moment, validity)]

    def _answer(
        self, items: list[Item], fields: Fields, size: int, shown: Callable[[Item], dict[str, object]]
    ) -> web.Response:
        page = page_of(items, fields, size, empty_pages=self.books.settings.empty_pages)
        # A page at a time: that is how duplicates come to be on different pages (section 5).
        listed = page.items
        if fields.flag("excludeDuplicates", default=False):
            listed = without_duplicates(listed)
        body: dict[str, object] = {"items": [shown(item) for item in listed]}
        if page.token is not None:
            body["continuationToken"] = page.token
        return json_response(body)

    def _item_v9(self, item: Item) -> dict[str, object]:
        shown = item.as_json()
        if item.recurrence_id is not None:
            match self.books.settings.recurrence_field:
                case "recurrenceDataObject":
                    shown["recurrenceData"] = {"recurrenceId": item.recurrence_id}
                case name:
                    shown[name] = item.recurrence_id
        return shown

    def _item_v8(self, item: Item, caller: Caller, reference: str) -> dict[str, object]:
        shown = item.as_json()
        shown[self.books.settings.kind_field] = shown.pop("productKind")
        return shown | {
            "beneficiary": {"identityType": "pub", "identityValue": caller.user_id},
            "devOfferId": "",
            "localTicketReference": reference,
            "purchasedCountry": "US",
            "productFamily": "Games",
            "recurrenceData": {} if item.recurrence_id is None else {"recurrenceId": item.recurrence_id},
            "sharingSource": "None",
        }

    async def consume(self, request: web.Request) -> web.Response:
        """Same tracking id, product, quantity and sandbox: no second deduction, and the balance of now."""
        fields, caller, _ = await self.calls.collections_call(request, several=False)
        product_id, tracking_id = fields.text("productId"), fields.guid("trackingId")
        order_ids = fields.flag("includeOrderIds", default=False)
        sandbox = sandbox_of(fields)
        product = self.books.product(product_id) if caller.known else None
        if product is None:
            raise self._not_owned(f"The user does not own {product_id}.", product_id)
        quantity = self._quantity(fields, product, sandbox)
        try:
            consume, replayed = caller.account.consume(tracking_id, product, quantity, sandbox, now())
        except NotOwnedError as error:
            raise self._not_owned(str(error), product_id) from error
        except QuantityTooLowError as error:
            raise self.calls.refusal(400, "QuantityTooLow", str(error), field=product_id) from error
        self.books.touch()
        answer = self._consumed(caller, consume)
        # A developer-managed consume tells its orders once, and never on a replay (section 6).
        if order_ids and not (replayed and quantity is None):
            answer["orderTransactions"] = consume.fills
        return json_response(answer)

    def _quantity(self, fields: Fields, product: Product, sandbox: str) -> int | None:
        if product.kind == "Consumable":
            return fields.whole("removeQuantity")
        if product.kind != "UnmanagedConsumable":
            message = f"{product.product_id} is a {product.kind}, which cannot be consumed."
            raise self.calls.refusal(400, "NotConsumable", message, field=product.product_id)
        if fields.get("removeQuantity") is not None:
            raise fields.wrong("removeQuantity", "must be left out for a developer-managed consumable")
        if sandbox != RETAIL:
            message = "Developer-managed consumables are not consumed outside RETAIL with this authentication."
            raise self.calls.refusal(400, "SandboxNotSupported", message, field="sbx")
        return None

    def _consumed(self, caller: Caller, consume: Consume) -> dict[str, object]:
        holding = caller.account.holdings[consume.sandbox, consume.product_id]
        return {
            "newQuantity": holding.shown_quantity,
            "itemId": holding.item_id,
            "trackingId": consume.tracking_id,
            "productId": consume.product_id,
        }

    def _not_owned(self, message: str, product_id: str) -> StoreError:
        return self.calls.refusal(404, "ProductNotOwned", message, field=product_id)


def _wanted(fields: Fields) -> list[Wanted]:
    products = fields.objects(_PRODUCTS) or []
    return [Wanted(product.text("productId"), product.optional_text("skuId")) for product in products]
