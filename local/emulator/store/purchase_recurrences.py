"""Purchase: subscriptions, listed and changed.

Source: store-services reference, section 7, "Recurrences query" and "Recurrence change"; fixtures ``recurrence-*``.
"""

from dataclasses import dataclass
from typing import Literal

from aiohttp import web

from local.emulator.errors import StoreError
from local.emulator.market.account import NotPossibleError
from local.emulator.market.books import Books
from local.emulator.market.clawback_events import ClawbackEvents
from local.emulator.market.clawback_queue import QueueError
from local.emulator.market.records import RETAIL, Recurrence
from local.emulator.market.refunds import refund_subscription
from local.emulator.market.subscriptions import end, extend, stop_renewal
from local.emulator.market.times import text
from local.emulator.service import Route, json_response
from local.emulator.store.calls import Caller, StoreCalls, sandbox_of
from local.emulator.store.fields import Fields

PAGE_SIZE = 25

Change = Literal["Cancel", "Extend", "Refund", "ToggleAutoRenew"]
CHANGES: tuple[Change, ...] = ("Cancel", "Extend", "Refund", "ToggleAutoRenew")

_TOKEN = "recurrences-from-"


def recurrence_routes(calls: StoreCalls, events: ClawbackEvents) -> tuple[Route, ...]:
    """Return the routes."""
    recurrences = _Recurrences(calls, calls.books, events)
    return (
        Route("POST", "/purchase/v8.0/b2b/recurrences/query", recurrences.query),
        Route("POST", "/purchase/v8.0/b2b/recurrences/{recurrence_id}/change", recurrences.change),
    )


@dataclass(frozen=True)
class _Recurrences:
    calls: StoreCalls
    books: Books
    events: ClawbackEvents

    async def query(self, request: web.Request) -> web.Response:
        """Pages of 25 unless ``pageSize`` says otherwise, which is a string in the documents and may be a number."""
        fields, caller = await self.calls.purchase_call(request)
        sandbox = sandbox_of(fields)
        size = _number(fields, "pageSize", PAGE_SIZE)
        if size < 1:
            raise fields.wrong("pageSize", "must be 1 or more")
        start = _start(fields)
        listed = caller.account.record.recurrences if caller.known else []
        found = [recurrence for recurrence in listed if recurrence.sandbox == sandbox]
        body: dict[str, object] = {"items": [shown(each, caller) for each in found[start : start + size]]}
        if start + size < len(found):
            body["continuationToken"] = f"{_TOKEN}{start + size}"
        return json_response(body)

    async def change(self, request: web.Request) -> web.Response:
        """Carry the change out as often as it is asked for: there is no tracking id (section 7)."""
        fields, caller = await self.calls.purchase_call(request)
        change = fields.one_of("changeType", CHANGES)
        recurrence = self._recurrence(request.match_info["recurrence_id"], fields, caller)
        product = self.books.product(recurrence.product_id)
        if product is None or product.sandbox != RETAIL:
            message = "Requested catalog product data wasn't found."
            raise self.calls.refusal(400, "CatalogProductNotFound", message)
        try:
            await self._carry_out(change, fields, recurrence, caller)
        except NotPossibleError as error:
            raise self.calls.refusal(400, "RecurrenceEnded", f"{error}.") from error
        self.books.touch()
        item = shown(recurrence, caller)
        return json_response({"items": [item]} if self.books.settings.change_answer == "items" else item)

    def _recurrence(self, recurrence_id: str, fields: Fields, caller: Caller) -> Recurrence:
        recurrence = caller.account.recurrence(recurrence_id) if caller.known else None
        if recurrence is None or recurrence.sandbox != sandbox_of(fields):
            raise self._not_found(recurrence_id)
        return recurrence

    async def _carry_out(self, change: Change, fields: Fields, recurrence: Recurrence, caller: Caller) -> None:
        match change:
            case "Extend":
                if fields.get("extensionTimeInDays") is None:
                    raise fields.wrong("extensionTimeInDays", "is required")
                extend(recurrence, _number(fields, "extensionTimeInDays", 0))
            case "ToggleAutoRenew":
                stop_renewal(recurrence)
            case "Cancel" if self.books.settings.cancel == "keepsPaidTime":
                stop_renewal(recurrence)
            case "Cancel":
                end(recurrence, "Canceled")
            case "Refund":
                await self._refund(recurrence, caller)

    async def _refund(self, recurrence: Recurrence, caller: Caller) -> None:
        events = refund_subscription(self.books, caller.account.player, recurrence)
        self.events.note(events)
        if self.events.queue.connected:
            try:
                await self.events.send(events, self.books.settings)
            except QueueError as error:
                message = f"The clawback event was not sent: {error}"
                raise StoreError(500, self.calls.kind.source, "UnknownInternalFailure", message) from error

    def _not_found(self, recurrence_id: str) -> StoreError:
        return self.calls.refusal(404, "RecurrenceNotFound", f"The user has no recurrence {recurrence_id}.")


def shown(recurrence: Recurrence, caller: Caller) -> dict[str, object]:
    """Return a subscription as the service lists it."""
    item: dict[str, object] = {
        "autoRenew": recurrence.auto_renew,
        "beneficiary": f"pub:{caller.user_id}",
        "expirationTime": text(recurrence.expiration),
        "expirationTimeWithGrace": text(recurrence.grace),
        "id": recurrence.id,
        "isTrial": recurrence.trial,
        "lastModified": text(recurrence.modified),
        "market": recurrence.market,
        "productId": recurrence.product_id,
        "skuId": recurrence.sku_id,
        "startTime": text(recurrence.start),
        "recurrenceState": recurrence.state,
    }
    if recurrence.canceled is not None:
        item["cancellationDate"] = text(recurrence.canceled)
    return item


def _start(fields: Fields) -> int:
    token = fields.optional_text("continuationToken")
    if not token:
        return 0
    number = token.removeprefix(_TOKEN)
    if number == token or not number.isdecimal():
        raise fields.wrong("continuationToken", "is not a continuation token")
    return int(number)


def _number(fields: Fields, name: str, default: int) -> int:
    """Return what the documents send as a string and the library as a number."""
    value = fields.get(name)
    if value is None:
        return default
    if isinstance(value, str) and value.removeprefix("-").isdecimal():
        return int(value)
    return fields.whole(name, least=-10_000, most=10_000)
