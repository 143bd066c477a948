"""Collections: what a user owns, and consumes of it (store-services reference, sections 5 and 6)."""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from shared.auth.tokens import ServiceToken
from shared.secret import masked
from shared.store.duplicates import without_duplicates
from shared.store.errors import StoreAnswer, StoreRefusedError, StoreUnknownError
from shared.store.models.collections import CollectionsItem, ConsumeAnswer, ItemPage, ProductKind, WireConsumed
from shared.store.paging import all_items
from shared.store.publisher_fields import bearer, wire_sandbox
from shared.store.transport import Transport
from shared.store.user_store_id import UserStoreIdKey

MAX_IDS = 100
"""Products that one v9 query names, at most; more is HTTP 400."""

PAGE_SIZE = 100
"""Items a page. v9 is said to give 200, by one source of two."""

type Validity = Literal["All", "Valid", "Invalid"]

_V9 = "/v9.0/collections/publisherQuery"
_V8 = "/v8.0/collections/b2bLicensePreview"
_CONSUME = "/v8.0/collections/consume"

# Any other 4xx may come from whatever stands between us and the service, and says nothing of the consume.
_CONSUME_REFUSALS = frozenset({400, 404, 409})


class _User(msgspec.Struct, rename="camel"):
    identity_value: str
    identity_type: str = "b2b"
    local_ticket_reference: str = ""

    __repr__ = masked


class _Product(msgspec.Struct, rename="camel"):
    product_id: str


class _Query(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    beneficiaries: list[_User]
    max_page_size: int
    exclude_duplicates: bool
    validity_type: Validity
    product_sku_ids: list[_Product] | None = None
    entitlement_filters: list[str] | None = None
    market: str | None = None
    expand_satisfying_items: bool | None = None
    sbx: str | None = None
    continuation_token: str | None = None

    __repr__ = masked


class _Consume(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    beneficiary: _User
    product_id: str
    tracking_id: str
    include_order_ids: bool
    remove_quantity: int | None = None
    sbx: str | None = None

    __repr__ = masked


class Collections:
    """The Collections service. Every operation raises as :mod:`shared.store.errors` says.

    Keys are collections keys. ``reference`` is the ``localTicketReference`` that some answers repeat.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def query_v9(
        self,
        key: UserStoreIdKey,
        token: ServiceToken,
        product_ids: Sequence[str],
        *,
        sandbox: str | None = None,
        exclude_duplicates: bool = True,
        validity: Validity = "All",
        page_size: int = PAGE_SIZE,
        reference: str = "",
    ) -> list[CollectionsItem]:
        """What the user has of ``product_ids``, however many those are; satisfying items and Game Pass included."""
        items: list[CollectionsItem] = []
        wanted = list(dict.fromkeys(product_ids))
        for at in range(0, len(wanted), MAX_IDS):
            query = _Query(
                beneficiaries=[_User(key.reveal(), local_ticket_reference=reference)],
                max_page_size=page_size,
                exclude_duplicates=exclude_duplicates,
                validity_type=validity,
                product_sku_ids=[_Product(each) for each in wanted[at : at + MAX_IDS]],
                sbx=wire_sandbox(sandbox),
            )
            items += await self._all("query products (v9)", _V9, query, token)
        return without_duplicates(items) if exclude_duplicates else items

    async def query_v8(
        self,
        key: UserStoreIdKey,
        token: ServiceToken,
        *,
        product_ids: Sequence[str] = (),
        market: str = "neutral",
        sandbox: str | None = None,
        kinds: Iterable[ProductKind] = (),
        expand_satisfying_items: bool = True,
        exclude_duplicates: bool = True,
        validity: Validity = "All",
        page_size: int = PAGE_SIZE,
        reference: str = "",
    ) -> list[CollectionsItem]:
        """What the user has: of ``product_ids`` where there are any (else of all, which may time out), of ``kinds``."""
        query = _Query(
            beneficiaries=[_User(key.reveal(), local_ticket_reference=reference)],
            max_page_size=page_size,
            exclude_duplicates=exclude_duplicates,
            validity_type=validity,
            product_sku_ids=[_Product(each) for each in dict.fromkeys(product_ids)] or None,
            entitlement_filters=[f"*:{kind}" for kind in kinds] or None,
            market=market,
            expand_satisfying_items=expand_satisfying_items,
            sbx=wire_sandbox(sandbox),
        )
        items = await self._all("query products (v8)", _V8, query, token)
        return without_duplicates(items) if exclude_duplicates else items

    async def consume(
        self,
        key: UserStoreIdKey,
        token: ServiceToken,
        *,
        tracking_id: str,
        product_id: str,
        quantity: int | None,
        sandbox: str | None,
    ) -> ConsumeAnswer:
        """Take ``quantity`` of a store-managed consumable, or (None) all of a developer-managed one.

        To be repeated until its outcome is known, with the same values: then nothing is taken twice. A refusal is one
        only where the service itself gave it.
        """
        operation = "consume"
        body = _Consume(
            beneficiary=_User(key.reveal()),
            product_id=product_id,
            tracking_id=tracking_id,
            include_order_ids=True,
            remove_quantity=quantity,
            sbx=wire_sandbox(sandbox),
        )
        try:
            consumed = await self._transport.post(operation, _CONSUME, body, WireConsumed, headers=bearer(token))
        except StoreRefusedError as refusal:
            answer = refusal.answer
            if answer.status in _CONSUME_REFUSALS and (answer.inner_code or answer.code):
                raise
            raise StoreUnknownError(answer, refusal.retry_after) from refusal
        if (consumed.tracking_id.lower(), consumed.product_id.lower()) != (tracking_id.lower(), product_id.lower()):
            raise StoreUnknownError(StoreAnswer(operation, 200, message="the answer is to another consume"))
        return consumed.answer()

    async def _all(self, operation: str, path: str, query: _Query, token: ServiceToken) -> list[CollectionsItem]:
        async def ask(continuation_token: str | None) -> ItemPage:
            body = msgspec.structs.replace(query, continuation_token=continuation_token)
            return await self._transport.post(operation, path, body, ItemPage, headers=bearer(token))

        return [each.item() for each in await all_items(operation, ask)]
