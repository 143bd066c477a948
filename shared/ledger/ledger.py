"""The books of all players, as fulfilment and refunds use them."""

from collections.abc import Collection, Sequence

from shared.clock import Clock, utc_now
from shared.events import Events
from shared.ledger.closing import PAUSE, Closing
from shared.ledger.corrections import Clawback, Correction, Corrections
from shared.ledger.filing import Files
from shared.ledger.granting import Granting
from shared.ledger.kinds import RETAIL
from shared.ledger.order_lines import OrderLines
from shared.ledger.outbox import Outbox
from shared.ledger.record import Balance, Job, LineRef
from shared.storage.tables import Table


class Ledger:
    """The tables ``ledger`` and ``orderlines``. All methods raise :class:`UnavailableError` where storage is away.

    ``pause`` is how many seconds rows of what has ended are gathered before they are removed.
    """

    def __init__(
        self, books: Table, order_lines: Table, events: Events, *, clock: Clock = utc_now, pause: float = PAUSE
    ) -> None:
        self.files = Files(books)
        self.outbox = Outbox(self.files, events, clock=clock)
        self._order_lines = OrderLines(order_lines)
        self.granting = Granting(self.files, self._order_lines, events, Closing(books, pause=pause))
        self._corrections = Corrections(self.files, self.outbox, clock=clock)

    async def balances(self, user_id: str, sandbox: str = RETAIL) -> list[Balance]:
        """What a player holds, by product id."""
        return await self.files.balances(user_id, sandbox)

    async def job(self, user_id: str, tracking_id: str) -> Job | None:
        """A player's fulfilment, its order lines included."""
        return await self.files.job(user_id, tracking_id)

    async def lines_of_order(self, order_id: str) -> list[LineRef]:
        """All that anybody was granted from an order; ids are lower case, the line's empty where it is not known."""
        return await self._order_lines.of_order(order_id)

    async def unlinked_lines(self, product_id: str, count: int) -> list[LineRef]:
        """Up to ``count`` grants of a product of which the Store told no order: a refund of it needs a person."""
        return await self._order_lines.unlinked(product_id, count)

    async def apply_refund(self, user_id: str, lines: Sequence[LineRef], clawback: Clawback) -> Correction:
        """Take back what a player still holds of these lines, all of one product: once for each event.

        The balance may fall below zero. What is told of it is on its way, or in the outbox, when this returns.
        """
        return await self._corrections.apply_refund(user_id, lines, clawback)

    async def restore(
        self, user_id: str, lines: Sequence[LineRef], clawback: Clawback, chargebacks: Collection[str] | None = None
    ) -> Correction:
        """Give back what a chargeback took of these lines, once for each event.

        A reversal that comes before its chargeback is remembered on the lines: the chargeback then takes nothing.
        ``chargebacks`` are the ids of those that are known: a line that another one has met since stays as it is.
        """
        return await self._corrections.restore(user_id, lines, clawback, chargebacks)
