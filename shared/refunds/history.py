"""What is known about one purchase: the events of it that were dealt with before. Pure."""

from collections.abc import Sequence

from shared.refunds.record import Refund
from shared.refunds.rules import Mark, concern_same, is_taken, mark_of
from shared.refunds.status import RefundStatus
from shared.store.models.clawback import ClawbackEvent, EventState


class History:
    """The events of one purchase but ``event`` itself, of all that its group has."""

    def __init__(self, event: ClawbackEvent, group: Sequence[Refund]) -> None:
        self._others = [
            other
            for refund in group
            if refund.status in {RefundStatus.APPLIED, RefundStatus.IGNORED}
            and (other := refund.event)
            and other.id.lower() != event.id.lower()
            and concern_same(event, other)
            and other.state is not EventState.REFUNDED
            and not _is_refund_of_another_period(event, other)
        ]
        self._marks = [mark_of(other) for other in self._others]

    def awaits_chargeback(self) -> bool:
        """Whether a reversal has nothing to reverse: each chargeback that came has its reversal."""
        return self._marks.count(Mark.CHARGEBACK) <= self._marks.count(Mark.REVERSAL)

    def times_added_back(self) -> int:
        """How often the Store has returned a purchase that had been consumed, with one more reversal.

        0 where no chargeback came after a consume: then none took anything from our books.
        """
        consumed = [other for other in self._others if other.is_chargeback and other.state is EventState.REVOKED]
        return min(len(consumed), self._marks.count(Mark.REVERSAL) + 1)

    def chargebacks(self) -> frozenset[str]:
        """The ids of the chargebacks that are known, in lower case."""
        return frozenset(other.id.lower() for other in self._others if mark_of(other) is Mark.CHARGEBACK)

    def is_taken(self, mark: Mark) -> bool:
        """Whether the purchase is taken back, with one more event of this mark."""
        return is_taken([*self._marks, mark])


def _is_refund_of_another_period(event: ClawbackEvent, other: ClawbackEvent) -> bool:
    """Whether ``other`` paid back a period of the subscription that ``event`` is not about: each is an order."""
    is_other_order = event.data.order_id.lower() != other.data.order_id.lower()
    return is_other_order and mark_of(other) is Mark.REFUND
