"""Store for Business: its 12 operations for one tenant (reference "store-for-business", section "Operations")."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Literal

import msgspec

from shared.auth.entra import Entra
from shared.clock import Clock, utc_now
from shared.settings import Identity
from shared.store.business_answers import Call, answered_on
from shared.store.business_calls import BusinessCalls
from shared.store.models.business import (
    BulkSeatResult,
    InventoryPage,
    InventoryResultSet,
    LicenseType,
    LocalizedProductDetail,
    OfflineLicense,
    ProductDetails,
    ProductKey,
    ProductPackageDetails,
    ProductPackageSet,
    SeatAction,
    SeatDetails,
    SeatPage,
)
from shared.store.paths import path
from shared.store.transport import Transport

_VERSION = "V1"

type _Method = Literal["GET", "POST", "DELETE"]


class _BulkBody(msgspec.Struct, rename="camel"):
    user_names: Sequence[str]
    seat_action: SeatAction


class BusinessStore:
    """One tenant's Store for Business; ``transport`` is the tenant's own.

    Every operation raises:

    - :class:`~shared.store.errors.StoreRefusedError`: the Store says no (400, 404, 409); ``answer`` has why.
    - :class:`~shared.store.errors.StoreCredentialsError`: it takes no token of ours.
    - :class:`~shared.store.errors.StoreThrottledError`: it wants to be left alone for longer than a call waits.
    - :class:`~shared.store.errors.StoreUnknownError`: it may or may not have happened.
    - :class:`~shared.auth.entra.EntraRefusedError` and :class:`~shared.errors.UnavailableError`: no token can be had.
    - :class:`ValueError`: an id or a name that no path can carry, such as an empty one; nothing is sent.
    """

    def __init__(
        self,
        identity: Identity,
        transport: Transport,
        entra: Entra,
        *,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.tenant_id = identity.tenant_id
        self._calls = BusinessCalls(identity, transport, entra, clock=clock, monotonic=monotonic)

    async def inventory(
        self,
        *,
        modified_since: str | None = None,
        continuation_token: str | None = None,
        license_types: Sequence[LicenseType] = (),
        page_size: int = 100,
    ) -> AsyncIterator[InventoryPage]:
        """The inventory, page by page; from ``continuation_token`` on, which belongs to the same other arguments.

        :param modified_since: a ``lastModified`` exactly as the Store gave it.
        """
        since = (("modifiedSince", modified_since),) if modified_since else ()
        # The reference spells the values of this parameter in small letters.
        types = tuple(("licenseTypes", each.value.lower()) for each in license_types)
        parameters = (*since, *types, ("maxResults", str(page_size)))
        call = Call("get inventory", "GET", path(_VERSION, "Inventory"), parameters)
        async for page, headers in self._calls.pages(call, continuation_token, InventoryResultSet):
            yield InventoryPage(page.inventory_entries, page.continuation_token or None, answered_on(headers))

    async def get_product(self, product: ProductKey) -> ProductDetails:
        """What a product is."""
        return await self._send("get product details", "GET", _product(product), ProductDetails)

    async def get_localized_product(self, product: ProductKey, language: str) -> LocalizedProductDetail:
        """What a product is in a language such as ``en-us``, or in the fallback language that the answer names."""
        where = _product(product, "LocalizedDetails", language)
        return await self._send("get localized product details", "GET", where, LocalizedProductDetail)

    async def get_packages(self, product: ProductKey) -> ProductPackageSet:
        """All packages of a product. 409 ``Not owned`` for one that the tenant does not have."""
        return await self._send("get product packages", "GET", _product(product, "Packages"), ProductPackageSet)

    async def get_package(self, product: ProductKey, package_id: str) -> ProductPackageDetails:
        """One package, with an address that was made for this answer. 409 as :meth:`get_packages`."""
        where = _product(product, "Packages", package_id)
        return await self._send("get product package", "GET", where, ProductPackageDetails)

    async def get_offline_license(self, product: ProductKey, content_id: str) -> OfflineLicense:
        """The license of an offline product's package. 409 ``Not owned``, ``Not offline``."""
        where = _product(product, "OfflineLicense", content_id)
        return await self._send("get offline license", "POST", where, OfflineLicense)

    def seats(self, product: ProductKey, *, page_size: int = 100) -> AsyncIterator[SeatPage]:
        """The seats of an online product, page by page; 100 a page at most. 409 ``Not online``."""
        return self._seat_pages("get seats", _seats(product), page_size)

    async def get_seat(self, product: ProductKey, user_name: str) -> SeatDetails:
        """A user's seat. 404 without inventory, user or seat; 409 ``Not online``."""
        return await self._send("get seat", "GET", _seats(product, user_name), SeatDetails)

    async def assign_seat(self, product: ProductKey, user_name: str) -> SeatDetails:
        """Give a user a seat. Errors as :meth:`get_seat`, and what the Store says of a full product."""
        return await self._send("assign seat", "POST", _seats(product, user_name), SeatDetails)

    async def reclaim_seat(self, product: ProductKey, user_name: str) -> SeatDetails:
        """Take a user's seat back. Errors as :meth:`get_seat`."""
        return await self._send("reclaim seat", "DELETE", _seats(product, user_name), SeatDetails)

    async def change_seats(self, product: ProductKey, user_names: Sequence[str], action: SeatAction) -> BulkSeatResult:
        """Assign or reclaim seats of many users; who failed is in the result, not an error."""
        body = msgspec.json.encode(_BulkBody(user_names, action))
        return await self._send(f"bulk {action.lower()}", "POST", _seats(product), BulkSeatResult, body)

    def seats_of_user(self, user_name: str, *, page_size: int = 100) -> AsyncIterator[SeatPage]:
        """A user's seats of all products, page by page; 100 a page at most. 404 without such a user."""
        return self._seat_pages("get seats of a user", path(_VERSION, "Users", user_name, "Seats"), page_size)

    async def _send[T](
        self, operation: str, method: _Method, where: str, shape: type[T], body: bytes | None = None
    ) -> T:
        answer, _ = await self._calls.send(Call(operation, method, where, content=body), shape)
        return answer

    async def _seat_pages(self, operation: str, where: str, page_size: int) -> AsyncIterator[SeatPage]:
        call = Call(operation, "GET", where, (("maxResults", str(page_size)),))
        async for page, _ in self._calls.pages(call, None, SeatPage):
            yield page


def _product(product: ProductKey, *more: str) -> str:
    return path(_VERSION, "Products", product.product_id, product.sku_id, *more)


def _seats(product: ProductKey, *more: str) -> str:
    return path(_VERSION, "Inventory", product.product_id, product.sku_id, "Seats", *more)
