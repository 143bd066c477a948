"""Durables, games, bundles and subscriptions: the publisher gave their benefits, and is told to take them back.

An event is sent before it is noted that it was, so a crash in between sends it again, under the same id.
"""

from collections.abc import Sequence
from typing import Literal

from shared.clock import Clock, utc_now
from shared.events import EntitlementData, Events, entitlement_restored, entitlement_revoked
from shared.ledger.ledger import Ledger
from shared.refunds.findings import Finding, applied, ignored, waits
from shared.refunds.history import History
from shared.refunds.record import Refund
from shared.refunds.rules import Mark, mark_of
from shared.store.models.clawback import ClawbackEvent

_CAUSES: dict[Mark, Literal["refund", "chargeback", "chargebackReversal"]] = {
    Mark.REFUND: "refund",
    Mark.CHARGEBACK: "chargeback",
    Mark.REVERSAL: "chargebackReversal",
}


class Entitlements:
    """Tells of what is no consumable."""

    def __init__(self, ledger: Ledger, events: Events, *, clock: Clock = utc_now) -> None:
        self._ledger = ledger
        self._events = events
        self._clock = clock

    async def settle(self, event: ClawbackEvent, group: Sequence[Refund]) -> Finding:
        """Tell the publisher what became of the purchase.

        :raises UnavailableError: storage is away; what was not sent is sent at the next try.
        """
        mark, history = mark_of(event), History(event, group)
        if mark is Mark.REVERSAL:
            if history.awaits_chargeback():
                return waits("the chargeback that it reverses has not come yet")
            if history.is_taken(mark):
                return ignored("the chargeback was reversed, but the purchase was paid back for another cause as well")
        data = await self._data(event, mark)
        now = self._clock()
        await self._events.send(
            entitlement_restored(data, now) if mark is Mark.REVERSAL else entitlement_revoked(data, now)
        )
        said = "given back" if mark is Mark.REVERSAL else "taken back"
        return applied(f"the publisher was told that it is {said}", user_id=data.user_id)

    async def _data(self, event: ClawbackEvent, mark: Mark) -> EntitlementData:
        data, recurrence = event.data, event.data.recurrence_data
        # The Store names no user; but where the order had consumables in it as well, our books know whose it is.
        users = {line.user_id for line in await self._ledger.lines_of_order(data.order_id)}
        return EntitlementData(
            clawback_event_id=event.id,
            order_id=data.order_id,
            line_item_id=data.line_item_id,
            product_id=data.product_id,
            product_type=event.product_type.value,
            cause=_CAUSES[mark],
            user_id=users.pop() if len(users) == 1 else None,
            recurrence_id=recurrence.recurrence_id if recurrence else None,
            refund_type=recurrence.refund_type.lower() if recurrence and recurrence.refund_type else None,
            kept_days=recurrence.consumed_duration_in_days if recurrence else None,
        )
