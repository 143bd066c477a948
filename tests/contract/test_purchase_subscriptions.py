"""Subscriptions at Purchase: the query and the changes, by the published examples."""

from typing import Any

import pytest

from shared.store.errors import (
    StoreError,
    StoreUnknownError,
)
from shared.store.models.purchase import ChangeType, Recurrence, RecurrenceState
from shared.store.purchase import Purchase
from tests.support.business import LoopbackStore, Said
from tests.support.fixtures import names, wire
from tests.support.publisher import CLASSES, PURCHASE_KEY, SUBSCRIPTION, TOKEN, body_of, published


async def change(
    purchase: Purchase, change_type: ChangeType, days: int | None = None, sandbox: str | None = None
) -> Recurrence:
    return await purchase.change_recurrence(
        PURCHASE_KEY, TOKEN, SUBSCRIPTION, change_type, extension_days=days, sandbox=sandbox
    )


async def test_all_pages_are_asked_for_as_published(store: LoopbackStore, purchase: Purchase) -> None:
    more = {"continuationToken": wire("recurrence-query-request-page-2")["continuationToken"]}
    store.says(Said(200, wire("recurrence-query-response") | more), published("recurrence-query-response-in-dunning"))

    active, canceled, dunning = await purchase.recurrences(PURCHASE_KEY, TOKEN, sandbox="XDKS.1")

    assert [body_of(sent) for sent in store.sent] == [
        wire("recurrence-query-request"),
        wire("recurrence-query-request-page-2"),
    ]
    assert {(sent.method, sent.target) for sent in store.sent} == {("POST", "/v8.0/b2b/recurrences/query")}
    assert {sent.headers["Authorization"] for sent in store.sent} == {"Bearer SERVICE-TOKEN"}
    assert (active.id, active.recurrence_state) == (SUBSCRIPTION, RecurrenceState.ACTIVE)
    assert active.expiration_time_with_grace == "2026-12-15T23:59:59.00+00:00"
    assert (canceled.recurrence_state, canceled.cancellation_date) == (
        RecurrenceState.CANCELED,
        "2026-09-10T21:08:31.52+00:00",
    )
    assert dunning.recurrence_state is RecurrenceState.IN_DUNNING


async def test_times_that_exist_in_some_states_only_may_be_missing(store: LoopbackStore, purchase: Purchase) -> None:
    bare = {"id": "x", "productId": "A", "recurrenceState": "cancelled", "expirationTime": None}
    store.says(Said(200, {"items": [bare]}))

    (found,) = await purchase.recurrences(PURCHASE_KEY, TOKEN)

    assert (found.recurrence_state, found.expiration_time, found.is_trial) == (RecurrenceState.CANCELED, None, None)


@pytest.mark.parametrize(
    ("name", "change_type", "days"),
    [
        ("cancel", ChangeType.CANCEL, None),
        ("extend-string", ChangeType.EXTEND, 5),
        ("refund", ChangeType.REFUND, None),
        ("toggle-auto-renew", ChangeType.TOGGLE_AUTO_RENEW, None),
    ],
)
async def test_a_change_is_sent_as_published(
    store: LoopbackStore, purchase: Purchase, name: str, change_type: ChangeType, days: int | None
) -> None:
    store.says(published("recurrence-change-response-single"))

    await change(purchase, change_type, days)

    (sent,) = store.sent
    assert body_of(sent) == wire(f"recurrence-change-request-{name}")
    assert (sent.method, sent.target) == ("POST", f"/v8.0/b2b/recurrences/{SUBSCRIPTION}/change")


async def test_of_text_and_number_the_documented_one_is_sent(store: LoopbackStore, purchase: Purchase) -> None:
    """The library sends days as a number; the documentation says text, and shows it."""
    store.says(published("recurrence-change-response-single"))

    await change(purchase, ChangeType.EXTEND, 5, "XDKS.1")
    await change(purchase, ChangeType.EXTEND, -5)

    assert body_of(store.sent[0]) == wire("recurrence-change-request-extend-number") | {"extensionTimeInDays": "5"}
    assert body_of(store.sent[1])["extensionTimeInDays"] == "-5"


@pytest.mark.parametrize("name", names("recurrence-change-response-*"))
async def test_both_shapes_of_the_answer_are_read(store: LoopbackStore, purchase: Purchase, name: str) -> None:
    store.says(published(name))

    changed = await change(purchase, ChangeType.EXTEND, 5)

    assert (changed.id, changed.expiration_time) == (SUBSCRIPTION, "2026-12-06T23:59:59.00+00:00")


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"items":[]}', b'{"items":null}', b'{"items":[{"id":"x"}]}', b"\xff"]
)
async def test_an_answer_without_the_subscription_is_an_unknown_outcome(
    store: LoopbackStore, purchase: Purchase, body: bytes
) -> None:
    store.says(Said(200, body))

    with pytest.raises(StoreUnknownError):
        await change(purchase, ChangeType.EXTEND, 5)


async def test_an_answer_about_another_subscription_is_an_unknown_outcome(
    store: LoopbackStore, purchase: Purchase
) -> None:
    store.says(Said(200, wire("recurrence-change-response-single") | {"id": "mdr:0:other"}))

    with pytest.raises(StoreUnknownError, match="another subscription"):
        await change(purchase, ChangeType.CANCEL)


@pytest.mark.parametrize(
    ("subscription", "sent"), [("a/../b?c", "a%2F..%2Fb%3Fc"), ("mdr:0:é", "mdr:0:%C3%A9"), ("a%3Ab", "a%253Ab")]
)
async def test_an_id_is_one_segment_of_the_path(
    store: LoopbackStore, purchase: Purchase, subscription: str, sent: str
) -> None:
    store.says(Said(200, wire("recurrence-change-response-single") | {"id": subscription}))

    await purchase.change_recurrence(PURCHASE_KEY, TOKEN, subscription, ChangeType.CANCEL)

    assert store.sent[0].target == f"/v8.0/b2b/recurrences/{sent}/change"


@pytest.mark.parametrize("subscription", ["", ".", ".."])
async def test_an_id_that_no_path_can_carry_is_not_sent(
    store: LoopbackStore, purchase: Purchase, subscription: str
) -> None:
    with pytest.raises(ValueError, match="empty, or nothing but dots"):
        await purchase.change_recurrence(PURCHASE_KEY, TOKEN, subscription, ChangeType.CANCEL)

    assert store.sent == []


@pytest.mark.parametrize("name", names("error-[0-9]*"))
@pytest.mark.parametrize("operation", ["query", "change"])
async def test_every_published_error_is_told_by_its_class(
    store: LoopbackStore, purchase: Purchase, name: str, operation: str
) -> None:
    said = published(name)
    store.says(said)
    call: Any = (
        purchase.recurrences(PURCHASE_KEY, TOKEN) if operation == "query" else change(purchase, ChangeType.EXTEND, 5)
    )

    with pytest.raises(StoreError) as refusal:
        await call

    assert type(refusal.value) is CLASSES[said.status]
    assert refusal.value.retry_after == (37 if said.status == 429 else None)
    assert len(store.sent) == 1
