"""Clawback events as they are published, in every encoding that the documentation or its library uses."""

import base64
import json

import pytest

from shared.refunds.rules import Course, Mark, concern_same, course_of, mark_of
from shared.store.models.clawback import (
    ClawbackEvent,
    EventState,
    ProductType,
    UnreadableEventError,
    decode_event,
)
from tests.support.fixtures import FOLDER, names, wire

EVENTS = names("clawback-event-*")
MESSAGES = [name for name in names("clawback-queue-message-*") if not name.endswith("poison")]


def text_of(content: object) -> str:
    return base64.b64encode(json.dumps(content).encode()).decode()


def published(name: str) -> ClawbackEvent:
    return decode_event(text_of(wire(name)))


@pytest.mark.parametrize("name", EVENTS)
def test_a_published_event_is_read_whole(name: str) -> None:
    sent, event = wire(name), published(name)

    assert (event.id, event.source, event.type, event.time) == tuple(
        sent[key] for key in ("id", "source", "type", "time")
    )
    data = sent["data"]
    assert event.state == data["eventState"]
    assert event.state.known
    assert event.product_type == data["productType"]
    assert event.product_type.known
    assert (event.data.order_id, event.data.line_item_id) == (data["orderId"], data["lineItemId"])
    assert (event.data.product_id, event.data.sku_id) == (data["productId"], data["skuId"])
    assert event.data.sandbox_id == data["sandboxId"]
    assert event.is_chargeback == (sent["source"] == "/Purchase/Chargeback")


def test_the_two_subscription_events_tell_what_stays() -> None:
    for name, refund_type in (("full", "Full"), ("partial", "Partial")):
        recurrence = published(f"clawback-event-subscription-{name}").data.recurrence_data

        assert recurrence is not None
        sent = wire(f"clawback-event-subscription-{name}")["data"]["recurrenceData"]
        assert recurrence.recurrence_id == sent["recurrenceId"]
        assert recurrence.consumed_duration_in_days == 6
        assert recurrence.refund_type == refund_type


@pytest.mark.parametrize(
    ("name", "course", "mark"),
    [
        ("clawback-event-returned-consumable", Course.NOTHING, None),
        ("clawback-event-refunded-consumable", Course.NOTHING, None),
        ("clawback-event-revoked-consumable", Course.BOOKS, Mark.REFUND),
        ("clawback-event-chargeback-revoked", Course.BOOKS, Mark.CHARGEBACK),
        ("clawback-event-chargeback-reversal", Course.BOOKS, Mark.REVERSAL),
        ("clawback-event-developer-managed-sandbox", Course.BOOKS, Mark.REFUND),
        ("clawback-event-subscription-full", Course.ENTITLEMENT, Mark.REFUND),
        ("clawback-event-subscription-partial", Course.ENTITLEMENT, Mark.REFUND),
    ],
)
def test_each_published_event_goes_its_way(name: str, course: Course, mark: Mark | None) -> None:
    event = published(name)

    assert course_of(event)[0] is course
    assert mark is None or mark_of(event) is mark


def test_the_events_of_a_bundle_share_their_line_and_are_told_apart_by_product() -> None:
    content = json.loads((FOLDER / "clawback-events-bundle-shared-line-item.json").read_text("utf-8"))
    bundle = [decode_event(text_of(each)) for each in content]

    assert len({(event.data.order_id, event.data.line_item_id) for event in bundle}) == 1
    assert [course_of(event)[0] for event in bundle] == [Course.ENTITLEMENT, Course.BOOKS, Course.BOOKS]
    for event in bundle:
        assert [concern_same(event, other) for other in bundle] == [event is other for other in bundle]


@pytest.mark.parametrize("name", MESSAGES)
def test_every_published_message_is_decoded(name: str) -> None:
    event = decode_event(wire(name)["MessageText"])

    assert event.id == "0d1e2f30-4152-4637-8495-a6b7c8d9e0f1"
    assert event.state is EventState.REVOKED


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("tail", ["", "~", "~~", "ÿ>?"])
def test_both_alphabets_are_read_padded_or_not(encode: object, *, padded: bool, tail: str) -> None:
    content = json.dumps(wire("clawback-event-revoked-consumable") | {"subject": f"?>~{tail}"}, ensure_ascii=False)
    assert callable(encode)
    text = encode(content.encode()).decode()

    event = decode_event(text if padded else text.rstrip("="))

    assert event == published("clawback-event-revoked-consumable")


@pytest.mark.parametrize(
    ("written", "state"), [("Return", EventState.RETURNED), ("Refund", EventState.REFUNDED), ("revoked", "Revoked")]
)
def test_both_spellings_of_a_state_are_one(written: str, state: str) -> None:
    content = wire("clawback-event-revoked-consumable")
    content["data"]["eventState"] = written

    assert decode_event(text_of(content)).state == state


def test_the_published_poison_is_unreadable() -> None:
    with pytest.raises(UnreadableEventError):
        decode_event(wire("clawback-queue-message-poison")["MessageText"])


@pytest.mark.parametrize("text", ["", "=", "###", "{}", "A", "bm90IGpzb24=", text_of([]), text_of({"id": "1"})])
def test_what_is_no_event_says_why(text: str) -> None:
    with pytest.raises(UnreadableEventError, match="the message is no"):
        decode_event(text)


@pytest.mark.parametrize("field", ["orderId", "lineItemId", "productId"])
@pytest.mark.parametrize("value", ["", "a|b", "a/b", "a\n", "x" * 129, None])
def test_an_id_that_could_be_no_key_is_no_id(field: str, value: str | None) -> None:
    content = wire("clawback-event-revoked-consumable")
    content["data"][field] = value

    with pytest.raises(UnreadableEventError):
        decode_event(text_of(content))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"eventState": "Confiscated"}, "the state Confiscated is not known"),
        ({"productType": "Spaceship"}, "products of type Spaceship are not known"),
        ({"productType": "Pass"}, "the event does not say which subscription it is about"),
    ],
)
def test_what_nobody_documented_goes_to_a_person(change: dict[str, str], said: str) -> None:
    content = wire("clawback-event-revoked-consumable")
    content["data"] |= change

    assert course_of(decode_event(text_of(content))) == (Course.REVIEW, said)


def test_a_contract_that_nobody_documented_goes_to_a_person() -> None:
    event = decode_event(text_of(wire("clawback-event-revoked-consumable") | {"type": "ClawbackEventContractV3"}))

    assert course_of(event)[0] is Course.REVIEW


@pytest.mark.parametrize("kind", [ProductType.DURABLE, ProductType.GAME, ProductType.APPLICATION])
@pytest.mark.parametrize("state", ["Returned", "Revoked", "ChargebackReversal"])
def test_of_what_is_no_consumable_the_publisher_is_told(kind: ProductType, state: str) -> None:
    content = wire("clawback-event-revoked-consumable")
    content["data"] |= {"productType": kind.value, "eventState": state}

    assert course_of(decode_event(text_of(content)))[0] is Course.ENTITLEMENT
