"""What goes to the Store for a consume, and what each answer means, by the published examples."""

import pytest

from shared.store.collections import Collections
from shared.store.errors import (
    StoreError,
    StoreRefusedError,
    StoreUnknownError,
)
from shared.store.models.collections import ConsumeAnswer, OrderTransaction
from tests.support.business import LoopbackStore, Said, Sent
from tests.support.fixtures import names, wire
from tests.support.publisher import CLASSES, KEY, TOKEN, body_of, published

TRACKING_ID = "3b9e2f10-7a6c-4d21-b0f3-8c5d4e6f7a81"


async def consume(
    collections: Collections, product_id: str = "9NABCDEF0001", quantity: int | None = 3, sandbox: str | None = "XDKS.1"
) -> ConsumeAnswer:
    return await collections.consume(
        KEY, TOKEN, tracking_id=TRACKING_ID, product_id=product_id, quantity=quantity, sandbox=sandbox
    )


def anonymous(request: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """A published request without the player's name, which may be left empty."""
    return request | {"beneficiary": request["beneficiary"] | {"localTicketReference": ""}}


async def test_a_store_managed_consume_is_sent_and_read_as_published(
    store: LoopbackStore, collections: Collections
) -> None:
    store.says(published("consume-v8-response"))

    answer = await consume(collections)

    (sent,) = store.sent
    assert body_of(sent) == anonymous(wire("consume-v8-request-store-managed"))
    assert (sent.method, sent.target) == ("POST", "/v8.0/collections/consume")
    assert sent.headers["Authorization"] == "Bearer SERVICE-TOKEN"
    assert answer == ConsumeAnswer(
        "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
        "9NABCDEF0001",
        TRACKING_ID,
        4,
        (
            OrderTransaction("0f8b3c52-6f0d-4f53-9a4e-3a1f7c2d9b10", "5d1c7a9e-2b34-4c68-8e70-91b2a3c4d5e6", 2),
            OrderTransaction("7c2f1a44-93d8-4a0b-b6a5-0d2e4f6a8b1c", "e3a90b17-5c42-4d7f-9f08-6b1d2c3e4f50", 1),
        ),
    )


async def test_a_developer_managed_consume_names_no_quantity_and_its_replay_no_orders(
    store: LoopbackStore, collections: Collections
) -> None:
    store.says(published("consume-v8-response-developer-managed-replay"))

    answer = await consume(collections, "9NABCDEF0002", None, None)

    assert body_of(store.sent[0]) == anonymous(wire("consume-v8-request-developer-managed"))
    assert (answer.new_quantity, answer.order_transactions) == (0, ())


async def test_a_repeat_is_the_same_to_the_letter(store: LoopbackStore, collections: Collections) -> None:
    store.says(published("error-500-unknown-internal-failure"), published("consume-v8-response"))
    with pytest.raises(StoreUnknownError):
        await consume(collections)

    await consume(collections)

    assert store.sent[0].body == store.sent[1].body


async def test_a_refusal_of_the_service_is_definitive(store: LoopbackStore, collections: Collections) -> None:
    for status in (400, 404, 409):
        store.says(Said(status, wire("error-consume-insufficient-balance")))
        with pytest.raises(StoreRefusedError, match="enough quantity"):
            await consume(collections)


@pytest.mark.parametrize("status", [400, 403, 404, 405, 409, 413])
@pytest.mark.parametrize("body", [b"", b"<html>Not Found</html>", b"{}", b'{"message":"no route"}', b'"text"'])
async def test_what_anybody_on_the_way_could_have_said_is_no_refusal(
    store: LoopbackStore, collections: Collections, status: int, body: bytes
) -> None:
    store.says(Said(status, body))

    with pytest.raises(StoreUnknownError):
        await consume(collections)


async def test_a_403_is_no_refusal_whatever_it_says(store: LoopbackStore, collections: Collections) -> None:
    store.says(Said(403, {"code": "Unauthorized", "message": "Invalid Token"}))

    with pytest.raises(StoreUnknownError, match="Invalid Token"):
        await consume(collections)


@pytest.mark.parametrize("name", names("error-[0-9]*"))
async def test_every_published_error_is_told_by_its_class(
    store: LoopbackStore, collections: Collections, name: str
) -> None:
    said = published(name)
    store.says(said)

    with pytest.raises(StoreError) as refusal:
        await consume(collections)

    assert type(refusal.value) is CLASSES[said.status]
    assert len(store.sent) == 1


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 302])
async def test_what_may_have_happened_is_an_unknown_outcome(
    store: LoopbackStore, collections: Collections, status: int
) -> None:
    store.says(Said(status, {"code": "x"}, {"Retry-After": "7"}))

    with pytest.raises(StoreUnknownError) as refusal:
        await consume(collections)

    assert refusal.value.retry_after == 7


@pytest.mark.parametrize(
    "changes",
    [
        {"trackingId": "00000000-0000-4000-8000-000000000000"},
        {"productId": "9NABCDEF0009"},
        {"newQuantity": None},
        {"orderTransactions": [{"orderId": "x"}]},
        {"orderTransactions": [{"orderId": "x", "orderLineItemId": "y", "quantityConsumed": "many"}]},
    ],
    ids=str,
)
async def test_an_answer_that_does_not_tell_is_an_unknown_outcome(
    store: LoopbackStore, collections: Collections, changes: dict[str, object]
) -> None:
    store.says(Said(200, wire("consume-v8-response") | changes))

    with pytest.raises(StoreUnknownError):
        await consume(collections)


async def test_ids_in_other_letter_case_are_the_same(store: LoopbackStore, collections: Collections) -> None:
    said = wire("consume-v8-response") | {"trackingId": TRACKING_ID.upper(), "orderTransactions": None}
    store.says(Said(200, said))

    assert (await consume(collections)).order_transactions == ()


async def test_a_lost_answer_is_an_unknown_outcome(store: LoopbackStore, collections: Collections) -> None:
    def drop(_: Sent) -> None:
        return None

    store.says(drop)

    with pytest.raises(StoreUnknownError, match="no answer"):
        await consume(collections)
