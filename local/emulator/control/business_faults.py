"""Control: seat operations that fail for some users, and how downloads from the CDN go wrong or expire."""

import re
from dataclasses import dataclass
from typing import Annotated

import msgspec
from aiohttp import web

from local.emulator.business.refusals import Refusal
from local.emulator.business.world import BusinessWorld
from local.emulator.cdn.disturbances import Disturbance
from local.emulator.control.business import KeyInput
from local.emulator.control.input import Input, read_input
from local.emulator.service import Route, json_response


class NewRefusal(Input):
    """Users who are refused, as ``user_names`` or a regular expression for whole names, without case.

    Single operations answer with ``status``. ``times`` is how many refusals there will be in all, without end when it
    is left out.
    """

    reason: str
    user_names: list[str] | None = None
    pattern: str | None = None
    status: Annotated[int, msgspec.Meta(ge=400, le=599)] = 409
    product: KeyInput | None = None
    times: Annotated[int, msgspec.Meta(ge=1)] | None = None

    def __post_init__(self) -> None:
        """Refuse what names no users; msgspec reports a ``ValueError`` with its path."""
        if (self.user_names is None) == (self.pattern is None):
            raise ValueError("needs either userNames or pattern")
        _compiled(self.pattern or "")

    def refusal(self) -> Refusal:
        """Return it ready for use."""
        users = self.pattern or "|".join(re.escape(name) for name in self.user_names or ())
        key = None if self.product is None else (self.product.product_id.upper(), self.product.sku_id.upper())
        return Refusal(_compiled(users), self.reason, self.status, key, self.times)


class CdnChanges(Input):
    """How long addresses are good from when they are given out; ``expire_all`` ends those given out so far."""

    address_lifetime_seconds: Annotated[float, msgspec.Meta(gt=0)] | None = None
    expire_all: bool = False


class NewDisturbance(Input):
    """What happens to the next ``times`` downloads whose path a regular expression is found in: exactly one thing."""

    path: str = ""
    times: Annotated[int, msgspec.Meta(ge=1)] = 1
    corrupt: bool = False
    drop_after_bytes: Annotated[int, msgspec.Meta(ge=0)] | None = None
    end_after_bytes: Annotated[int, msgspec.Meta(ge=0)] | None = None
    bytes_per_second: Annotated[int, msgspec.Meta(ge=1)] | None = None

    def __post_init__(self) -> None:
        """Refuse none and several; msgspec reports a ``ValueError`` with its path."""
        numbers = (self.drop_after_bytes, self.end_after_bytes, self.bytes_per_second)
        if sum((self.corrupt, *(each is not None for each in numbers))) != 1:
            raise ValueError("needs one of corrupt, dropAfterBytes, endAfterBytes and bytesPerSecond")
        _compiled(self.path)


def business_fault_routes(world: BusinessWorld) -> tuple[Route, ...]:
    """Return the routes under ``/business/seat-refusals`` and ``/business/cdn``."""
    faults = _BusinessFaults(world)
    return (
        Route("POST", "/_emulator/business/seat-refusals", faults.refuse_seats),
        Route("DELETE", "/_emulator/business/seat-refusals", faults.lift_refusals),
        Route("PATCH", "/_emulator/business/cdn", faults.change_cdn),
        Route("POST", "/_emulator/business/cdn/disturbances", faults.disturb_downloads),
        Route("DELETE", "/_emulator/business/cdn/disturbances", faults.lift_disturbances),
    )


@dataclass(frozen=True)
class _BusinessFaults:
    world: BusinessWorld

    async def refuse_seats(self, request: web.Request) -> web.Response:
        self.world.refusals.add((await read_input(request, NewRefusal)).refusal())
        return web.Response(status=204)

    async def lift_refusals(self, _: web.Request) -> web.Response:
        self.world.refusals.clear()
        return web.Response(status=204)

    async def change_cdn(self, request: web.Request) -> web.Response:
        """Answers with the lifetime, so that a test can put it back."""
        wanted = await read_input(request, CdnChanges)
        if wanted.address_lifetime_seconds is not None:
            self.world.addresses.lifetime_seconds = wanted.address_lifetime_seconds
        if wanted.expire_all:
            self.world.addresses.expire_all()
        self.world.touch()
        return json_response({"addressLifetimeSeconds": self.world.addresses.lifetime_seconds})

    async def disturb_downloads(self, request: web.Request) -> web.Response:
        wanted = await read_input(request, NewDisturbance)
        self.world.disturbances.add(
            Disturbance(
                re.compile(wanted.path),
                wanted.times,
                wanted.corrupt,
                wanted.drop_after_bytes,
                wanted.end_after_bytes,
                wanted.bytes_per_second,
            )
        )
        return web.Response(status=204)

    async def lift_disturbances(self, _: web.Request) -> web.Response:
        self.world.disturbances.clear()
        return web.Response(status=204)


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"not a regular expression: {error}") from error
