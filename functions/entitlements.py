"""What players own and subscribe to, changes of subscriptions, and free products."""

import math
from typing import Annotated

import msgspec

from functions.http.answers import Answer
from functions.http.calls import Call
from functions.http.endpoints import endpoint
from functions.http.queries import Query
from functions.http.sandboxes import SANDBOX, check_ids, sandbox_of
from functions.parts import parts
from shared.entitlements.change import Asked, Change
from shared.entitlements.grant import Gift, Grant
from shared.entitlements.statuses import ChangeStatus, GrantStatus
from shared.errors import InputFault, UnprocessableError
from shared.store.models.collections import AcquisitionType, CollectionsItem, ItemStatus, ProductKind, TrialData
from shared.store.models.purchase import ChangeType, Recurrence, RecurrenceState

MAX_PRODUCTS = 1000
MAX_EXTENSION = 3660
"""Days. No page names a limit; this one is against a slip of the finger."""

_LIVE = {"Cache-Control": "no-store"}

# The sign at the end of each pattern lets no line's end pass, which $ alone does.
type _Id = Annotated[str, msgspec.Meta(pattern=r"^[!-~]{1,64}$(?!\n)")]
type _Guid = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$(?!\n)")]
type _ChangeId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._~:-]{1,128}$(?!\n)")]
type _Days = Annotated[int, msgspec.Meta(ge=-MAX_EXTENSION, le=MAX_EXTENSION)]


class OwnedProduct(msgspec.Struct, rename="camel", omit_defaults=True):
    """What a player has of a product. ``quantity`` is a consumable's balance; ``orderId`` is shared by several."""

    item_id: str
    product_id: str
    sku_id: str
    status: ItemStatus
    product_kind: ProductKind | None = None
    quantity: int | None = None
    acquisition_type: AcquisitionType | None = None
    order_id: str | None = None
    recurrence_id: str | None = None
    acquired_date: str | None = None
    start_date: str | None = None
    end_date: str | None = None
    modified_date: str | None = None
    satisfied_by_product_ids: tuple[str, ...] = ()
    trial_data: TrialData | None = None


class OwnedProductList(msgspec.Struct):
    """What a player has of the products that were asked for; nothing of those that they do not have."""

    items: list[OwnedProduct]


class Subscription(msgspec.Struct, rename="camel", omit_defaults=True):
    """A subscription. ``entitled``: it gives the player the product now, by its state and by its times."""

    recurrence_id: str
    product_id: str
    state: RecurrenceState
    entitled: bool
    sku_id: str | None = None
    auto_renew: bool | None = None
    is_trial: bool | None = None
    start_time: str | None = None
    expiration_time: str | None = None
    expiration_time_with_grace: str | None = None
    cancellation_date: str | None = None
    last_modified: str | None = None
    market: str | None = None


class SubscriptionList(msgspec.Struct):
    """All subscriptions of a player, the ended ones too."""

    items: list[Subscription]


class SubscriptionChangeBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A change, carried out once for each ``changeId``. ``extensionTimeInDays`` is for Extend, and may be negative."""

    change_id: _ChangeId
    change_type: ChangeType
    extension_time_in_days: _Days | None = None
    sandbox: _Id | None = None


class SubscriptionChange(msgspec.Struct, rename="camel", omit_defaults=True):
    """What became of a change. ``unknown``: the Store gave no answer, and the subscription does not show it (yet)."""

    change_id: str
    recurrence_id: str
    change_type: ChangeType
    status: ChangeStatus
    extension_time_in_days: int | None = None
    sandbox: str | None = None
    reason: str | None = None
    expiration_time_before: str | None = None
    expiration_time: str | None = None
    state: str | None = None


class FreeProductBody(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A free product. ``orderId`` is the caller's, and unique for the player."""

    order_id: _Guid
    product_id: _Id
    sku_id: _Id
    availability_id: _Id
    language: _Id
    market: _Id
    sandbox: _Id | None = None


class FreeProduct(msgspec.Struct, rename="camel", omit_defaults=True):
    """What became of a free product. Until it is ``granted``, send the same order again."""

    order_id: str
    product_id: str
    status: GrantStatus
    reason: str | None = None


@endpoint(
    answers={200: OwnedProductList},
    query={
        "productId": Query(
            f"a product; give it again for each, {MAX_PRODUCTS} at most",
            required=True,
            repeated=True,
            most=MAX_PRODUCTS,
        ),
        "sandbox": SANDBOX,
    },
)
async def list_owned_products(call: Call) -> Answer:
    """What a player has of some products, live from the Store."""
    user_id, product_ids = call.user_id(), call.query.all("productId")
    check_ids("?productId", *product_ids)
    items = await parts().entitlements.products.owned(user_id, product_ids, sandbox_of(call))
    return Answer(200, OwnedProductList([_product(each) for each in items]), _LIVE)


@endpoint(
    answers={200: SubscriptionList},
    query={"sandbox": SANDBOX},
)
async def list_subscriptions(call: Call) -> Answer:
    """A player's subscriptions, live from the Store, each with whether it entitles the player now."""
    found = await parts().entitlements.subscriptions.of(call.user_id(), sandbox_of(call))
    return Answer(200, SubscriptionList([_subscription(each, entitled=entitled) for each, entitled in found]), _LIVE)


@endpoint(
    body=SubscriptionChangeBody,
    answers={200: SubscriptionChange, 202: SubscriptionChange},
)
async def change_subscription(call: Call) -> Answer:
    """Changes a subscription, once for each changeId: 200 when it is done, 202 while that is not known."""
    user_id, body = call.user_id(), call.body(SubscriptionChangeBody)
    _check_extension(body)

    asked = Asked(
        body.change_id, call.path("recurrenceId"), body.change_type, body.extension_time_in_days, body.sandbox
    )
    change = await parts().entitlements.changes.carry_out(user_id, asked)
    if change.status is ChangeStatus.DONE:
        return Answer(200, _change(change))
    return Answer(202, _change(change), _come_again(parts().entitlements.changes.retry_after(change)))


@endpoint(
    body=FreeProductBody,
    answers={200: FreeProduct, 202: FreeProduct},
)
async def grant_free_product(call: Call) -> Answer:
    """Grants a free product, once for each orderId: 200 when the player has it, 202 while that is not known."""
    user_id, body = call.user_id(), call.body(FreeProductBody)

    gift = Gift(
        body.order_id.lower(),
        body.product_id,
        body.sku_id,
        body.availability_id,
        body.language,
        body.market,
        body.sandbox,
    )
    grant = await parts().entitlements.free_products.give(user_id, gift)
    if grant.status is GrantStatus.GRANTED:
        return Answer(200, _grant(grant))
    return Answer(202, _grant(grant), _come_again(parts().entitlements.free_products.retry_after(grant)))


def _check_extension(body: SubscriptionChangeBody) -> None:
    days = body.extension_time_in_days
    detail = None
    if body.change_type is not ChangeType.EXTEND:
        detail = None if days is None else f"{body.change_type} takes no days"
    elif not days:
        detail = "Extend takes a number of days other than 0"
    if detail:
        raise UnprocessableError(detail, faults=(InputFault("/extensionTimeInDays", detail),))


def _come_again(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(math.ceil(seconds))}


def _product(item: CollectionsItem) -> OwnedProduct:
    return OwnedProduct(
        item.item_id,
        item.product_id,
        item.sku_id,
        item.status,
        item.product_kind,
        item.quantity,
        item.acquisition_type,
        item.transaction_id,
        item.recurrence_id,
        item.acquired_date,
        item.start_date,
        item.end_date,
        item.modified_date,
        item.satisfied_by_product_ids,
        item.trial,
    )


def _subscription(recurrence: Recurrence, *, entitled: bool) -> Subscription:
    return Subscription(
        recurrence.id,
        recurrence.product_id,
        recurrence.recurrence_state,
        entitled,
        recurrence.sku_id,
        recurrence.auto_renew,
        recurrence.is_trial,
        recurrence.start_time,
        recurrence.expiration_time,
        recurrence.expiration_time_with_grace,
        recurrence.cancellation_date,
        recurrence.last_modified,
        recurrence.market,
    )


def _change(change: Change) -> SubscriptionChange:
    asked = change.asked
    return SubscriptionChange(
        asked.change_id,
        asked.recurrence_id,
        asked.change,
        change.status,
        asked.extension_days,
        asked.sandbox,
        change.reason,
        change.expiration,
        change.expiration_after,
        change.state_after,
    )


def _grant(grant: Grant) -> FreeProduct:
    return FreeProduct(grant.gift.order_id, grant.gift.product_id, grant.status, grant.reason)
