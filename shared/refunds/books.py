"""Consumables: what was granted for a refunded purchase is taken out of the players' books, once.

The ledger changes a player's lines, balance and outbox in one transaction that holds the event's id, so nothing here
may be done twice. What it cannot see is what comes later: a consume that was under way when the refund came is granted
afterwards. So while a player of the order has such work in hand, the event is looked at again, until none has.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from weakref import WeakValueDictionary

from shared.clock import Clock, utc_now
from shared.ledger.corrections import Clawback, Correction
from shared.ledger.ledger import Ledger
from shared.ledger.record import LineRef, LineState
from shared.refunds.findings import PATIENCE, Finding, applied, ignored, review, waits
from shared.refunds.history import History
from shared.refunds.in_hand import WorkInHand
from shared.refunds.reconsuming import Reconsuming
from shared.refunds.record import Refund
from shared.refunds.rules import Mark, mark_of
from shared.refunds.status import RefundStatus
from shared.store.models.clawback import ClawbackEvent, ProductType


class Books:
    """Takes from players' books and gives back. Methods raise :class:`UnavailableError` where storage is away."""

    def __init__(self, ledger: Ledger, reconsuming: Reconsuming, *, clock: Clock = utc_now) -> None:
        self._ledger = ledger
        self._reconsuming = reconsuming
        self._clock = clock
        self._in_hand = WorkInHand(ledger)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def now(self) -> float:
        """The time by which ``since`` is told, in seconds."""
        return self._in_hand.now()

    async def settle(
        self, event: ClawbackEvent, before: Refund | None, group: Sequence[Refund], since: float
    ) -> Finding:
        """Do what an event asks for, which was in hand ``since`` then; ``before`` is what was found out earlier."""
        received_on = before.received_on if before else self._clock()
        history = History(event, group)
        if mark_of(event) is Mark.REVERSAL:
            return await self._give_back(event, history, received_on)
        if before and before.status is RefundStatus.APPLIED:
            return await self._take_the_rest(event, before, history, since)
        return await self._take(event, received_on, since)

    async def _take(self, event: ClawbackEvent, received_on: datetime, since: float) -> Finding:
        busy, lines = await self._lines_and_work(event, received_on, since)
        if not lines:
            return await self._without_lines(event, received_on)
        players = _by_player(lines)
        found = [await self._apply(user_id, theirs, _clawback(event)) for user_id, theirs in players.items()]
        quantity = sum(each.quantity for each in found)
        # Applied before, by who died before filing that: then there may be lines that it had not seen.
        again = busy or any(not each.is_new for each in found)
        return applied(_taken(quantity, found), quantity, next(iter(players)), look_again=again)

    async def _take_the_rest(self, event: ClawbackEvent, before: Refund, history: History, since: float) -> Finding:
        """What came after an event had been applied, and was consumed before it."""
        if not history.is_taken(mark_of(event)):
            return applied(before.reason, before.quantity, before.user_id)
        busy, lines = await self._lines_and_work(event, before.received_on, since)
        late = await self._late(event, lines)
        reason = f"{before.reason}; {late} more taken back from later grants" if late else before.reason
        return applied(reason, before.quantity + late, before.user_id, look_again=busy)

    async def _late(self, event: ClawbackEvent, lines: Sequence[LineRef]) -> int:
        """Take the lines that nothing has changed so far, each as a correction of its own; how many units that were."""
        if event.product_type is not ProductType.CONSUMABLE:
            return 0
        quantity = 0
        for line in lines:
            if await self._state(line) is LineState.GRANTED:
                clawback = _clawback(event, f"{event.id.lower()}.{line.tracking_id}")
                quantity += (await self._apply(line.user_id, [line], clawback)).quantity
        return quantity

    async def _without_lines(self, event: ClawbackEvent, received_on: datetime) -> Finding:
        if self._clock() - received_on >= PATIENCE and await self._ledger.unlinked_lines(event.data.product_id, 1):
            reason = "of some grants of the product the Store did not tell the order: it may be about one of them"
            return review(reason, look_again=True)
        return waits("nothing that we granted is known to come from this order line, so far")

    async def _give_back(self, event: ClawbackEvent, history: History, received_on: datetime) -> Finding:
        if history.awaits_chargeback():
            return waits("the chargeback that it reverses has not come yet")
        if history.is_taken(Mark.REVERSAL):
            return ignored("the chargeback was reversed, but the purchase was paid back for another cause as well")
        if not history.times_added_back():
            return ignored("the chargeback took nothing that was granted, and the Store returns the quantity itself")
        lines = await self._lines(event)
        if event.product_type is ProductType.UNMANAGED_CONSUMABLE:
            return await self._give_back_by_consuming(event, lines, received_on, history)
        return await self._restore(event, lines, history)

    async def _restore(self, event: ClawbackEvent, lines: Sequence[LineRef], history: History) -> Finding:
        players = _by_player(lines)
        found: list[Correction] = []
        for user_id, theirs in players.items():
            # Alone those: what was consumed since the reversal was never taken, and the next chargeback may take it.
            taken = [line for line in theirs if await self._state(line) is LineState.CHARGED_BACK]
            async with self._turn(user_id):
                found.append(await self._ledger.restore(user_id, taken, _clawback(event), history.chargebacks()))
        quantity = sum(each.quantity for each in found)
        return applied(f"{quantity} given back", -quantity, next(iter(players), None))

    async def _give_back_by_consuming(
        self, event: ClawbackEvent, lines: Sequence[LineRef], received_on: datetime, history: History
    ) -> Finding:
        """The Store has added the unit back although it had been consumed; whoever consumes it brings it back to us.

        The grant of that consume finds the line that was charged back and restores it, in place of granting.
        """
        user_id = lines[0].user_id
        for line in lines:
            state = await self._state(line)
            if state and state.is_held:
                return applied("given back by the consume of the unit that the Store added back", -1, line.user_id)
        progress = await self._reconsuming.go_on(event, lines[0])
        if not progress.is_over:
            return waits(progress.reason, user_id)
        if await self._consumes(lines) > history.times_added_back():
            # It was consumed before we knew of the chargeback that took it since: nothing more will bring it.
            return await self._restore(event, lines, history)
        if self._clock() - received_on < PATIENCE:
            return waits(progress.reason, user_id)
        return review(f"{progress.reason}; nothing has come back to the player", user_id, look_again=True)

    async def _consumes(self, lines: Sequence[LineRef]) -> int:
        """How often a unit was consumed: each time that the Store added it back allowed it once more."""
        places = {(line.order_id, line.line_id) for line in lines}
        users = {line.user_id for line in lines}
        jobs = [job for user_id in users for job in await self._ledger.files.jobs(user_id)]
        return sum(any((line.order_id, line.line_id) in places for line in job.lines) for job in jobs)

    async def _lines(self, event: ClawbackEvent) -> list[LineRef]:
        """All that was granted from the event's order line, and what may be: of its order, the line not known."""
        data = event.data
        return [
            line
            for line in await self._ledger.lines_of_order(data.order_id)
            if line.product_id.lower() == data.product_id.lower() and line.line_id in {data.line_item_id.lower(), ""}
        ]

    async def _lines_and_work(
        self, event: ClawbackEvent, received_on: datetime, since: float
    ) -> tuple[bool, list[LineRef]]:
        """Whether a player has work in hand, of which a grant from the same line may still come; and the lines then.

        They are read after that was looked into: what was granted meanwhile is no longer in hand, but in the lines. A
        developer-managed unit is consumed a second time only when a chargeback was reversed, which granting sees to.
        """
        while True:
            read_at = self.now()
            lines = await self._lines(event)
            if event.product_type is not ProductType.CONSUMABLE:
                return False, lines
            players = _by_player(lines)
            pictures = {user_id: await self._in_hand.picture(user_id, since) for user_id in players}
            if all(picture.taken_at <= read_at for picture in pictures.values()):
                break
        for user_id, theirs in players.items():
            known = {line.tracking_id for line in theirs}
            if await self._in_hand.may_bring_more(user_id, pictures[user_id], event, received_on, known):
                return True, lines
        return False, lines

    async def _apply(self, user_id: str, lines: Sequence[LineRef], clawback: Clawback) -> Correction:
        async with self._turn(user_id):
            return await self._ledger.apply_refund(user_id, lines, clawback)

    def _turn(self, user_id: str) -> asyncio.Lock:
        """One event of a player at a time here: many at once would only meet each other's changes."""
        return self._turns.setdefault(user_id, asyncio.Lock())

    async def _state(self, line: LineRef) -> LineState | None:
        job = await self._ledger.job(line.user_id, line.tracking_id)
        held = job.line(line.order_id, line.line_id) if job else None
        return held.state if held else None


def _by_player(lines: Sequence[LineRef]) -> dict[str, list[LineRef]]:
    players: defaultdict[str, list[LineRef]] = defaultdict(list)
    for line in lines:
        players[line.user_id].append(line)
    return players


def _clawback(event: ClawbackEvent, event_id: str | None = None) -> Clawback:
    data = event.data
    return Clawback(
        event_id or event.id.lower(),
        data.order_id,
        data.line_item_id,
        data.product_id,
        is_chargeback=event.is_chargeback,
    )


def _taken(quantity: int, found: Sequence[Correction]) -> str:
    if not quantity:
        return "nothing was left to take back"
    spent = any(each.is_negative for each in found)
    return f"{quantity} taken back" + ("; the balance is below zero, since it had been spent" if spent else "")
