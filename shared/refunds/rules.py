"""What events ask for (store-services reference, section 8). Pure.

A purchase is judged by all that is known about it, never by one event alone: events come twice, late and out of order,
and whatever their order was, the same set of them gives the same result.
"""

from collections.abc import Collection
from enum import Enum, StrEnum

from shared.store.models.clawback import CONTRACT, ClawbackEvent, EventState, ProductType


class Course(Enum):
    """Which way an event goes."""

    BOOKS = "take back, or give back, what consumes took of the order line"
    ENTITLEMENT = "tell the publisher, who gave it"
    NOTHING = "there is nothing to do"
    REVIEW = "nobody knows what it asks for"


class Mark(StrEnum):
    """What an event says of a purchase."""

    REFUND = "refund"
    CHARGEBACK = "chargeback"
    REVERSAL = "reversal"


_CONSUMABLES = {ProductType.CONSUMABLE, ProductType.UNMANAGED_CONSUMABLE}


def course_of(event: ClawbackEvent) -> tuple[Course, str]:
    """The way that an event goes, and why where that is the end of it."""
    if unknown := _unknown(event):
        return Course.REVIEW, unknown
    if event.state is EventState.REFUNDED:
        return Course.NOTHING, "the money was paid back and the player keeps what it bought"
    if event.product_type not in _CONSUMABLES:
        return Course.ENTITLEMENT, ""
    if event.state is EventState.RETURNED:
        return Course.NOTHING, "it was returned before it was consumed, so that nothing was granted for it"
    return Course.BOOKS, ""


def _unknown(event: ClawbackEvent) -> str | None:
    """What of an event nobody documented."""
    if event.type != CONTRACT:
        return f"events of type {event.type[:64]} are not known"
    if not event.state.known:
        return f"the state {event.data.event_state[:64]} is not known"
    if not event.product_type.known:
        return f"products of type {event.data.product_type[:64]} are not known"
    if event.product_type is ProductType.PASS and event.data.recurrence_data is None:
        return "the event does not say which subscription it is about"
    return None


def mark_of(event: ClawbackEvent) -> Mark:
    """What an event that takes back or gives back says of its purchase."""
    if event.state is EventState.CHARGEBACK_REVERSAL:
        return Mark.REVERSAL
    return Mark.CHARGEBACK if event.is_chargeback else Mark.REFUND


def concern_same(event: ClawbackEvent, other: ClawbackEvent) -> bool:
    """Whether two events of one group are about the same purchase.

    Included products share order and line with their bundle, so the product is part of it; a subscription is told by
    its id alone, since its orders change.
    """
    if event.data.product_id.lower() != other.data.product_id.lower():
        return False
    if event.product_type is ProductType.PASS:
        return True
    return event.data.line_item_id.lower() == other.data.line_item_id.lower()


def is_taken(marks: Collection[Mark]) -> bool:
    """Whether a purchase with these events is taken back: by a refund, or by a chargeback that none reverses."""
    marks = list(marks)
    return Mark.REFUND in marks or marks.count(Mark.CHARGEBACK) > marks.count(Mark.REVERSAL)
