"""Finds jobs that nobody moves on any more."""

from collections.abc import Sequence

from shared.correlation import get_logger
from shared.errors import StorekeeperError
from shared.seats.messages import TurnMessage
from shared.seats.turns import Turns
from shared.storage.queues import Queue

MESSAGE_LIFE = 300
"""Seconds after which an unread message is dropped: later sweeps have put newer ones."""

_log = get_logger(__name__)


class SeatSweeper:
    """Has every product looked after that has an open job."""

    def __init__(self, tenants: Sequence[str], turns: Turns, queue: Queue) -> None:
        self._tenants = tenants
        self._turns = turns
        self._queue = queue

    async def sweep(self) -> None:
        """Put one message for each such product. What fails is tried again by the next sweep."""
        for tenant_id in self._tenants:
            try:
                await self._sweep(tenant_id)
            except StorekeeperError as error:
                _log.log(error.log_level, "seat jobs of tenant %s wait for the next sweep: %s", tenant_id, error)
            except Exception:  # noqa: BLE001 - whatever is wrong with one tenant, the others are still looked after
                _log.exception("the seat jobs of tenant %s could not be looked after", tenant_id)

    async def _sweep(self, tenant_id: str) -> None:
        async for product in self._turns.products(tenant_id):
            message = TurnMessage(tenant_id, product.product_id, product.sku_id)
            await self._queue.send(message, time_to_live=MESSAGE_LIFE)
