"""What the operations of Store for Business share: who calls, of which product, which page of what."""

import base64
import hashlib
import re
from dataclasses import dataclass

from aiohttp import web

from local.emulator.business.records import Product
from local.emulator.business.stock import Stock
from local.emulator.business.world import BusinessWorld
from local.emulator.errors import BusinessError
from local.emulator.identity.audiences import SERVICE_AUDIENCE
from local.emulator.identity.tokens import AccessTokens, InvalidAccessTokenError
from local.emulator.service import CLIENT_ID

DEFAULT_RESULTS = 25

_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


@dataclass(frozen=True)
class ProductCalls:
    """Finds the tenant and the product that a request is about."""

    world: BusinessWorld
    tokens: AccessTokens

    def stock(self, request: web.Request) -> Stock:
        """Return what the caller's tenant owns.

        :raises BusinessError: 401, no token of a Store for Business tenant for the service's audience.
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise _unauthorized("a Bearer token is missing")
        try:
            verified = self.tokens.verify(token, SERVICE_AUDIENCE)
        except InvalidAccessTokenError as error:
            raise _unauthorized(str(error)) from error
        request[CLIENT_ID] = verified.client_id
        stock = self.world.stocks.get(verified.tenant_id)
        if stock is None:
            raise _unauthorized("the tenant does not use Store for Business")
        return stock

    def product(self, request: web.Request, item_type: str = "Product/SKU") -> tuple[Stock, Product]:
        """Return the product that the path names.

        :raises BusinessError: 401; 400, an id that cannot be one; 404, the tenant has no such product.
        """
        stock = self.stock(request)
        key = request.match_info["product_id"], request.match_info["sku_id"]
        for name, value in zip(("productId", "skuId"), key, strict=True):
            if not _ID.fullmatch(value):
                raise BusinessError(400, parameterName=name, reason="Invalid parameter", details=value)
        product = stock.find(key)
        if product is None or product.vanished:
            raise BusinessError(404, itemType=item_type, values=["/".join(key)])
        return stock, product


@dataclass(frozen=True)
class Paging:
    """Where a page begins and how long it is; makes the token of the page that follows."""

    start: int
    size: int
    _query: bytes

    @classmethod
    def read(cls, request: web.Request, stock: Stock, *restrictions: object, maximum: int | None = None) -> "Paging":
        """Read ``continuationToken`` and ``maxResults``; a token serves the same query of the same tenant only.

        :raises BusinessError: 400, which of the two is wrong.
        """
        described = repr((request.path.lower(), stock.tenant.tenant_id, restrictions)).encode()
        query = hashlib.blake2b(described, digest_size=8).digest()
        return cls(_start(request.query.get("continuationToken"), query), _size(request, maximum), query)

    def token(self, position: int) -> str:
        """Return the opaque token of the page from ``position``."""
        return base64.b64encode(self._query + position.to_bytes(8)).decode()


def _size(request: web.Request, maximum: int | None) -> int:
    written = request.query.get("maxResults", str(DEFAULT_RESULTS))
    size = int(written) if written.isdecimal() and written.isascii() else 0
    if size < 1 or (maximum is not None and size > maximum):
        limit = "of 1 or more" if maximum is None else f"from 1 to {maximum}"
        raise BusinessError(
            400, parameterName="maxResults", reason="Invalid parameter", details=f"must be a number {limit}"
        )
    return size


def _start(token: str | None, query: bytes) -> int:
    if token is None:
        return 0
    try:
        content = base64.b64decode(token, validate=True)
    except ValueError:
        content = b""
    if len(content) != 16 or content[:8] != query:
        raise BusinessError(
            400, parameterName="continuationToken", reason="Invalid parameter", details="not a token of this query"
        )
    return int.from_bytes(content[8:])


def body_response(body: bytes) -> web.Response:
    """Return JSON that is encoded already."""
    return web.Response(body=body, content_type="application/json", charset="utf-8")


def _unauthorized(why: str) -> BusinessError:
    return BusinessError(401, {"WWW-Authenticate": "Bearer"}, reason=why)
