"""Store for Business: seats of online-licensed products, for one user, for many, and of a user.

Source: Store for Business reference, "Operations"; fixtures ``seat*`` and ``bulk-*``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec
from aiohttp import web

from local.emulator.business.calls import Paging, ProductCalls
from local.emulator.business.content import Json, key_json
from local.emulator.business.records import Product, ProductKey, Seat
from local.emulator.business.stock import SeatReason, Stock, seat_json
from local.emulator.errors import BusinessError
from local.emulator.service import Route, json_response

MAXIMUM_RESULTS = 100

type Action = Literal["assign", "reclaim"]

_SEATS = "/business/V1/Inventory/{product_id}/{sku_id}/Seats"


class BulkRequest(msgspec.Struct, rename="camel"):
    """Body of a bulk operation; ``seat_action`` is ``Assign`` or ``Reclaim``, in any letter case."""

    user_names: list[str]
    seat_action: str


def seat_routes(calls: ProductCalls) -> tuple[Route, ...]:
    """Return the six routes of seats."""
    seats = _Seats(calls)
    return (
        Route("GET", _SEATS, seats.get_seats),
        Route("POST", _SEATS, seats.change_many),
        Route("GET", f"{_SEATS}/{{user_name}}", seats.get_seat),
        Route("POST", f"{_SEATS}/{{user_name}}", seats.assign),
        Route("DELETE", f"{_SEATS}/{{user_name}}", seats.reclaim),
        Route("GET", "/business/V1/Users/{user_name}/Seats", seats.get_seats_of_user),
    )


@dataclass(frozen=True)
class _Seats:
    calls: ProductCalls

    async def get_seats(self, request: web.Request) -> web.Response:
        stock, product = self._online(request)
        paging = Paging.read(request, stock, maximum=MAXIMUM_RESULTS)
        found = stock.seats.of_product(product.key, paging.start, paging.size + 1)
        return _page([(product.key, seat) for seat in found], paging)

    async def get_seats_of_user(self, request: web.Request) -> web.Response:
        stock = self.calls.stock(request)
        user = _user_name(request)
        if not stock.is_user(user):
            raise BusinessError(404, itemType="User", values=[user])
        paging = Paging.read(request, stock, maximum=MAXIMUM_RESULTS)
        return _page(stock.seats.of_user(user, paging.start, paging.size + 1), paging)

    async def get_seat(self, request: web.Request) -> web.Response:
        stock, product = self._online(request)
        user = _user_name(request)
        if not stock.is_user(user):
            raise _refused("UserNotFound", product, user)
        seat = stock.seats.get(product.key, user)
        if seat is None:
            raise _refused("SeatNotFound", product, user)
        return json_response(seat_json(product.key, seat))

    async def assign(self, request: web.Request) -> web.Response:
        """A user who has a seat keeps it; the answer is the same."""
        stock, product = self._online(request)
        return self._change_one(stock, product, _user_name(request), "assign")

    async def reclaim(self, request: web.Request) -> web.Response:
        stock, product = self._online(request)
        return self._change_one(stock, product, _user_name(request), "reclaim")

    async def change_many(self, request: web.Request) -> web.Response:
        """Each user by itself: those that fail are listed with the reason, and the status is 200 all the same."""
        stock, product = self._online(request)
        body, action = await _bulk(request)
        done: list[Json] = []
        failed: list[Json] = []
        for user in body.user_names:
            refusal = self.calls.world.refusals.find(product.key, user)
            outcome = refusal.reason if refusal is not None else _change(stock, product, user, action)
            if isinstance(outcome, Seat):
                done.append(seat_json(product.key, outcome, "Active" if action == "assign" else "Revoked"))
            else:
                failed.append({"failureReason": outcome, "productKey": key_json(product.key), "userName": user})
        return json_response({"seatDetails": done, "failedSeatOperations": failed})

    def _change_one(self, stock: Stock, product: Product, user: str, action: Action) -> web.Response:
        refusal = self.calls.world.refusals.find(product.key, user)
        if refusal is not None:
            raise BusinessError(refusal.status, reason=refusal.reason)
        outcome = _change(stock, product, user, action)
        if isinstance(outcome, Seat):
            return json_response(seat_json(product.key, outcome, "Active" if action == "assign" else "Revoked"))
        raise _refused(outcome, product, user)

    def _online(self, request: web.Request) -> tuple[Stock, Product]:
        stock, product = self.calls.product(request, "Inventory")
        if product.removed:
            # No longer in the organisation's inventory; the reference names no other answer for seats of such products.
            raise BusinessError(404, itemType="Inventory", values=["/".join(product.key)])
        if product.offline:
            raise BusinessError(409, reason="Not online")
        return stock, product


def _change(stock: Stock, product: Product, user: str, action: Action) -> Seat | SeatReason:
    return stock.assign(product, user) if action == "assign" else stock.reclaim(product, user)


def _refused(reason: SeatReason, product: Product, user: str) -> BusinessError:
    match reason:
        case "UserNotFound":
            return BusinessError(404, itemType="User", values=[user])
        case "SeatNotFound":
            return BusinessError(404, itemType="Seat", values=[f"{'/'.join(product.key)}/{user}"])
        case "NoSeatsAvailable":
            return BusinessError(409, reason="No seats available")


def _user_name(request: web.Request) -> str:
    user = request.match_info["user_name"]
    if "@" not in user:
        raise BusinessError(400, parameterName="username", reason="Invalid parameter", details=user)
    return user


async def _bulk(request: web.Request) -> tuple[BulkRequest, Action]:
    try:
        body = msgspec.json.decode(await request.read(), type=BulkRequest)
    except msgspec.DecodeError as error:
        raise BusinessError(
            400, parameterName="body", reason="Missing parameter or invalid parameter", details=str(error)
        ) from error
    match body.seat_action.lower():
        case "assign":
            return body, "assign"
        case "reclaim":
            return body, "reclaim"
    raise BusinessError(400, parameterName="seatAction", reason="Invalid parameter", details=body.seat_action)


def _page(found: Sequence[tuple[ProductKey, Seat]], paging: Paging) -> web.Response:
    """One more than the page holds was asked for, to know whether another follows."""
    shown = found[: paging.size]
    body: Json = {"seats": [seat_json(key, seat) for key, seat in shown]}
    if len(found) > paging.size:
        body["continuationToken"] = paging.token(shown[-1][1].number)
    return json_response(body)
