"""Purchase: free products, subscriptions, orders, and where refunds are told (store-services reference, 7 and 8)."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from shared.auth.tokens import ServiceToken
from shared.clock import utc_now
from shared.secret import Secret, masked
from shared.store.answers import failure, success
from shared.store.errors import StoreAnswer, StoreUnknownError
from shared.store.models.purchase import (
    ChangeType,
    ClawbackQueueAddress,
    GrantedOrder,
    LineItemState,
    Order,
    OrderPage,
    Recurrence,
    RecurrencePage,
    WireSasToken,
    moment_of,
)
from shared.store.paging import all_items
from shared.store.paths import path
from shared.store.publisher_fields import bearer, wire_sandbox
from shared.store.transport import Transport
from shared.store.user_store_id import UserStoreIdKey

_GRANTS = {6: "/v6.0/purchases/grant", 7: "/v7.0/purchases/grant"}
_RECURRENCES = "/v8.0/b2b/recurrences"
_ORDERS = "/v8.0/b2b/orders/query"
_SAS_TOKEN = "/v8.0/b2b/clawback/sastoken"  # noqa: S105 - a path


class _Body(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    b2b_key: str
    sbx: str | None = None

    __repr__ = masked


class _PageQuery(_Body, kw_only=True, rename="camel", omit_defaults=True):
    continuation_token: str | None = None


class _OrdersQuery(_PageQuery, kw_only=True, rename="camel", omit_defaults=True):
    line_item_state_filter: list[str]


class _Change(_Body, kw_only=True, rename="camel", omit_defaults=True):
    change_type: ChangeType
    extension_time_in_days: str | None = None


class _Grant(_Body, kw_only=True, rename="camel", omit_defaults=True):
    order_id: str
    product_id: str
    sku_id: str
    availability_id: str
    language: str
    market: str
    quantity: int
    dev_offer_id: str | None = None


class Purchase:
    """The Purchase service. Every operation raises as :mod:`shared.store.errors` says; keys are purchase keys."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def grant_free(
        self,
        key: UserStoreIdKey,
        token: ServiceToken,
        *,
        order_id: str,
        product_id: str,
        sku_id: str,
        availability_id: str,
        language: str,
        market: str,
        sandbox: str | None = None,
        dev_offer_id: str | None = None,
        version: Literal[6, 7] = 7,
    ) -> GrantedOrder:
        """Give the user one free product; ``order_id`` is a GUID of the caller's, unique for the user.

        What a repeat with the same ``order_id`` does is not documented. The order need not be Purchased yet, nor its
        line Fulfilled. Version 6, of the UWP pages, knows no sandboxes.
        """
        operation = "grant free product"
        body = _Grant(
            b2b_key=key.reveal(),
            sbx=wire_sandbox(sandbox) if version > 6 else None,
            order_id=order_id,
            product_id=product_id,
            sku_id=sku_id,
            availability_id=availability_id,
            language=language,
            market=market,
            quantity=1,
            dev_offer_id=dev_offer_id,
        )
        order = await self._transport.post(operation, _GRANTS[version], body, GrantedOrder, headers=bearer(token))
        if order.order_id.lower() != order_id.lower():
            raise StoreUnknownError(StoreAnswer(operation, 200, message="the answer is about another order"))
        return order

    async def recurrences(
        self, key: UserStoreIdKey, token: ServiceToken, *, sandbox: str | None = None
    ) -> list[Recurrence]:
        """All subscriptions of the user, the ended ones too."""
        operation = "query subscriptions"

        async def ask(continuation_token: str | None) -> RecurrencePage:
            body = _PageQuery(b2b_key=key.reveal(), sbx=wire_sandbox(sandbox), continuation_token=continuation_token)
            where = f"{_RECURRENCES}/query"
            return await self._transport.post(operation, where, body, RecurrencePage, headers=bearer(token))

        return await all_items(operation, ask)

    async def change_recurrence(
        self,
        key: UserStoreIdKey,
        token: ServiceToken,
        recurrence_id: str,
        change: ChangeType,
        *,
        extension_days: int | None = None,
        sandbox: str | None = None,
    ) -> Recurrence:
        """Change a subscription; ``extension_days`` are for Extend, and may be negative.

        Extend and Refund are not to be repeated after an unknown outcome: nothing tells the second from the first.

        :raises ValueError: an id that no path can carry; nothing is sent.
        """
        operation = f"{change} subscription"
        body = _Change(
            b2b_key=key.reveal(),
            sbx=wire_sandbox(sandbox),
            change_type=change,
            # Text is what the documentation says and shows; the library sends a number.
            extension_time_in_days=None if extension_days is None else str(extension_days),
        )
        # Published examples send the colons of an id as they are.
        where = _RECURRENCES + path(recurrence_id, "change").replace("%3A", ":")
        answer = await self._transport.post(operation, where, body, dict[str, Any], headers=bearer(token))
        return _changed(operation, answer, recurrence_id)

    async def orders(
        self,
        key: UserStoreIdKey,
        token: ServiceToken,
        *,
        states: Sequence[LineItemState] = (LineItemState.PURCHASED, LineItemState.REVOKED, LineItemState.REFUNDED),
        sandbox: str | None = None,
    ) -> list[Order]:
        """Orders of consumables of the last 90 days, with lines in ``states``: for support, not to find refunds."""
        operation = "query orders"

        async def ask(continuation_token: str | None) -> OrderPage:
            body = _OrdersQuery(
                b2b_key=key.reveal(),
                sbx=wire_sandbox(sandbox),
                line_item_state_filter=[each.value for each in states],
                continuation_token=continuation_token,
            )
            return await self._transport.post(operation, _ORDERS, body, OrderPage, headers=bearer(token))

        return await all_items(operation, ask)

    async def get_clawback_queue(self, token: ServiceToken) -> ClawbackQueueAddress:
        """Where the publisher's clawback events are, and until when that address is good."""
        operation = "get clawback queue"
        response, content = await self._transport.send(operation, "GET", _SAS_TOKEN, None, bearer(token))
        status, headers = response.status_code, response.headers
        if not response.is_success:
            raise failure(operation, status, headers, content, utc_now)
        answer = success(operation, status, headers, content, WireSasToken)
        try:
            return ClawbackQueueAddress(Secret(answer.uri), moment_of(answer.expires_on))
        except ValueError as error:
            unreadable = StoreAnswer(operation, status, message="expiresOn is no date-time")
            raise StoreUnknownError(unreadable) from error


def _changed(operation: str, answer: dict[str, Any], recurrence_id: str) -> Recurrence:
    """The subscription that a change answers with: alone by the library and newer pages, in ``items`` by others."""
    try:
        found = msgspec.convert(answer.get("items", [answer]), list[Recurrence])
    except msgspec.ValidationError as error:
        raise StoreUnknownError(StoreAnswer(operation, 200, message="unreadable answer")) from error
    for each in found:
        if each.id == recurrence_id:
            return each
    raise StoreUnknownError(StoreAnswer(operation, 200, message="the answer is about another subscription"))
