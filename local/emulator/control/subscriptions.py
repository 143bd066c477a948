"""Control: subscriptions are sold, renewed, lapse, recover and end."""

from dataclasses import dataclass
from typing import Annotated

import msgspec
from aiohttp import web

from local.emulator.control.input import Input, read_input
from local.emulator.control.store import product_of, send_events
from local.emulator.errors import ControlError
from local.emulator.market.account import NotPossibleError
from local.emulator.market.books import Books
from local.emulator.market.clawback_events import ClawbackEvents, RefundType
from local.emulator.market.records import RETAIL, Recurrence
from local.emulator.market.refunds import refund_subscription, reverse_subscription
from local.emulator.market.subscriptions import GRACE_DAYS, EndState, end, lapse, renew, subscribe
from local.emulator.market.truth import recurrence_truth
from local.emulator.service import Route, json_response

_Name = Annotated[str, msgspec.Meta(min_length=1)]


class NewSubscription(Input):
    """A subscription of ``player``; ``days`` from now (negative for one that is over) in place of the product's."""

    player: _Name
    product_id: _Name
    sandbox: _Name = RETAIL
    days: float | None = None
    trial: bool = False


class Lapse(Input):
    """A failed payment. Negative ``grace_days`` or large ``ended_days_ago``: the grace is over as well."""

    grace_days: float = GRACE_DAYS
    ended_days_ago: float = 0


class End(Input):
    """The state to end in: ``Inactive`` when it ran out, ``Canceled``, or ``Failed`` when it was never paid."""

    state: EndState = "Inactive"


class Refund(Input):
    """The refund of the running period."""

    refund_type: RefundType = "Full"
    days_kept: int | None = None
    chargeback: bool = False
    send: bool = True
    times: Annotated[int, msgspec.Meta(ge=1)] = 1


class Reversal(Input):
    """The reversal of a chargeback of the running period."""

    send: bool = True
    times: Annotated[int, msgspec.Meta(ge=1)] = 1


def subscription_routes(books: Books, events: ClawbackEvents) -> tuple[Route, ...]:
    """Return the routes under ``/store/subscriptions``."""
    control = _Subscriptions(books, events)
    one = "/_emulator/store/subscriptions/{recurrence_id}"
    return (
        Route("POST", "/_emulator/store/subscriptions", control.subscribe),
        Route("POST", f"{one}/lapses", control.lapse),
        Route("POST", f"{one}/renewals", control.renew),
        Route("POST", f"{one}/ends", control.end),
        Route("POST", f"{one}/refunds", control.refund),
        Route("POST", f"{one}/reversals", control.reverse),
    )


@dataclass(frozen=True)
class _Subscriptions:
    books: Books
    events: ClawbackEvents

    async def subscribe(self, request: web.Request) -> web.Response:
        wanted = await read_input(request, NewSubscription)
        product = product_of(self.books, wanted.product_id)
        try:
            recurrence = subscribe(
                self.books, wanted.player, product, sandbox=wanted.sandbox, days=wanted.days, trial=wanted.trial
            )
        except NotPossibleError as error:
            raise ControlError(409, str(error)) from error
        return self._answer(recurrence)

    async def lapse(self, request: web.Request) -> web.Response:
        _, recurrence = self._find(request)
        wanted = await read_input(request, Lapse)
        try:
            lapse(recurrence, grace_days=wanted.grace_days, ended_days_ago=wanted.ended_days_ago)
        except NotPossibleError as error:
            raise ControlError(409, str(error)) from error
        return self._answer(recurrence)

    async def renew(self, request: web.Request) -> web.Response:
        """The next period is paid; also what recovers a subscription from its grace."""
        player, recurrence = self._find(request)
        try:
            renew(self.books, player, recurrence, product_of(self.books, recurrence.product_id))
        except NotPossibleError as error:
            raise ControlError(409, str(error)) from error
        return self._answer(recurrence)

    async def end(self, request: web.Request) -> web.Response:
        _, recurrence = self._find(request)
        wanted = await read_input(request, End)
        try:
            end(recurrence, wanted.state)
        except NotPossibleError as error:
            raise ControlError(409, str(error)) from error
        return self._answer(recurrence)

    async def refund(self, request: web.Request) -> web.Response:
        player, recurrence = self._find(request)
        wanted = await read_input(request, Refund)
        try:
            made = refund_subscription(
                self.books,
                player,
                recurrence,
                refund_type=wanted.refund_type,
                days_kept=wanted.days_kept,
                chargeback=wanted.chargeback,
            )
        except NotPossibleError as error:
            raise ControlError(409, str(error)) from error
        return await send_events(self.events, self.books, made, wanted.times if wanted.send else 0)

    async def reverse(self, request: web.Request) -> web.Response:
        player, recurrence = self._find(request)
        wanted = await read_input(request, Reversal)
        product = product_of(self.books, recurrence.product_id)
        try:
            made = reverse_subscription(self.books, player, recurrence, product)
        except NotPossibleError as error:
            raise ControlError(409, str(error)) from error
        return await send_events(self.events, self.books, made, wanted.times if wanted.send else 0)

    def _find(self, request: web.Request) -> tuple[str, Recurrence]:
        recurrence_id = request.match_info["recurrence_id"]
        for account in self.books.accounts():
            recurrence = account.recurrence(recurrence_id)
            if recurrence is not None:
                return account.player, recurrence
        raise ControlError(404, f"there is no subscription {recurrence_id}")

    def _answer(self, recurrence: Recurrence) -> web.Response:
        self.books.touch()
        return json_response(recurrence_truth(recurrence), 201)
