"""Store for Business: what a tenant owns, says of its products and hands out, and the routes of all 12 operations.

Source: Store for Business reference, "Operations"; fixtures under ``store-for-business``. Seats are in
``seat_calls.py``.
"""

import base64
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from local.emulator.business import times
from local.emulator.business.calls import Paging, ProductCalls, body_response
from local.emulator.business.content import Json
from local.emulator.business.packages import Package
from local.emulator.business.records import Product
from local.emulator.business.seat_calls import seat_routes
from local.emulator.business.stock import Stock
from local.emulator.business.world import BusinessWorld
from local.emulator.cdn.addresses import SignedAnswer
from local.emulator.context import Context
from local.emulator.errors import BusinessError, business_description
from local.emulator.identity.tokens import AccessTokens
from local.emulator.service import Route, Service, json_response

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*", re.IGNORECASE)
_PRODUCT = "/business/V1/Products/{product_id}/{sku_id}"


def business_service(context: Context, world: BusinessWorld, tokens: AccessTokens) -> Service:
    """Return the service under ``/business``."""
    calls = ProductCalls(world, tokens)
    products = _Products(calls, context)
    return Service(
        name="business",
        routes=(
            Route("GET", "/business/V1/Inventory", products.get_inventory),
            Route("GET", _PRODUCT, products.get_details),
            Route("GET", f"{_PRODUCT}/LocalizedDetails/{{language}}", products.get_localized_details),
            Route("POST", f"{_PRODUCT}/OfflineLicense/{{content_id}}", products.get_offline_license),
            Route("GET", f"{_PRODUCT}/Packages", products.get_packages),
            Route("GET", f"{_PRODUCT}/Packages/{{package_id}}", products.get_package),
            *seat_routes(calls),
        ),
        error_body=lambda status: {"code": status, "description": business_description(status), "data": {}},
        headers=_headers,
    )


@dataclass(frozen=True)
class _Products:
    calls: ProductCalls
    context: Context

    async def get_inventory(self, request: web.Request) -> web.Response:
        """Removed products too; there is no limit to ``maxResults`` in the documentation."""
        stock, query = self.calls.stock(request), request.query
        since, kinds = _since(query), _license_types(query.getall("licenseTypes", []))
        paging = Paging.read(request, stock, since, sorted(kinds))
        entries, following = stock.listing(paging.start, paging.size, since, kinds)
        token = b"" if following is None else b'"continuationToken":"%b",' % paging.token(following).encode()
        return body_response(b'{%b"inventoryEntries":[%b]}' % (token, b",".join(entries)))

    async def get_details(self, request: web.Request) -> web.Response:
        stock, product = self.calls.product(request)
        return self._answer(stock.details(product))

    async def get_localized_details(self, request: web.Request) -> web.Response:
        """In another language where the product has none in the one that is asked for; its ``language`` says so."""
        stock, product = self.calls.product(request)
        language = request.match_info["language"]
        if not _LANGUAGE.fullmatch(language):
            raise BusinessError(404, itemType="Language", values=[language])
        return self._answer(stock.localized(product, language))

    async def get_packages(self, request: web.Request) -> web.Response:
        stock, product = self._owned(request)
        world = self.calls.world
        await world.hashes.prepare(_with_frameworks(stock.packages(product)))
        return self._answer(stock.package_set(product, world.hashes.get))

    async def get_package(self, request: web.Request) -> web.Response:
        stock, product = self._owned(request)
        wanted = request.match_info["package_id"].lower()
        for package in stock.packages(product):
            if package.package_id == wanted:
                await self.calls.world.hashes.prepare(_with_frameworks([package]))
                return self._answer(SignedAnswer(package.as_json(self.calls.world.hashes.get)))
        raise BusinessError(404, itemType="Package", values=[f"{'/'.join(product.key)}/{wanted}"])

    async def get_offline_license(self, request: web.Request) -> web.Response:
        """Each package has a license of its own, by its content id; framework packages need none."""
        stock, product = self._owned(request)
        if not product.offline:
            raise BusinessError(409, reason="Not offline")
        wanted = request.match_info["content_id"].lower()
        if all(package.content_id != wanted for package in stock.packages(product)):
            raise BusinessError(404, itemType="Content", values=[f"{'/'.join(product.key)}/{wanted}"])
        found: Json = stock.license(product, wanted)
        self.context.secrets.add_license_blob(str(found["licenseBlob"]))
        return json_response(found)

    def _owned(self, request: web.Request) -> tuple[Stock, Product]:
        stock, product = self.calls.product(request)
        if product.removed:
            raise BusinessError(409, reason="Not owned")
        return stock, product

    def _answer(self, answer: SignedAnswer) -> web.Response:
        return body_response(answer.encode(self.calls.world.addresses))


def _with_frameworks(packages: list[Package]) -> list[Package]:
    return [*packages, *(each for package in packages for each in package.frameworks)]


def _since(query: Mapping[str, str]) -> int | None:
    written = query.get("modifiedSince")
    if written is None:
        return None
    try:
        return times.ticks(written)
    except ValueError as error:
        raise BusinessError(
            400, parameterName="modifiedSince", reason="Invalid parameter", details=str(error)
        ) from error


def _license_types(written: list[str]) -> frozenset[bool]:
    known = {"online": False, "offline": True}
    unknown = [each for each in written if each.lower() not in known]
    if unknown:
        raise BusinessError(400, parameterName="licenseTypes", reason="Invalid parameter", details=unknown[0])
    return frozenset(known[each.lower()] for each in written) or frozenset(known.values())


def _headers(request: web.Request) -> Mapping[str, str]:
    return {
        "MS-CorrelationId": request.headers.get("MS-CorrelationId") or str(uuid.uuid4()),
        "MS-RequestId": str(uuid.uuid4()),
        "MS-CV": base64.b64encode(os.urandom(16)).decode().rstrip("=") + ".0",
    }
