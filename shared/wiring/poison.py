"""What was given up on."""

from shared.catalog.messages import DOWNLOADS_QUEUE, PASSES_QUEUE, PIECES_QUEUE
from shared.fulfillment.messages import JOBS_QUEUE as FULFILLMENTS_QUEUE
from shared.fulfillment.messages import WORK_QUEUE as FULFILLMENT_WORK_QUEUE
from shared.keys.messages import QUEUE as RENEWALS_QUEUE
from shared.poison import Poison
from shared.seats.messages import BLOCKS_QUEUE, TURNS_QUEUE
from shared.seats.messages import JOBS_QUEUE as SEATS_QUEUE
from shared.storage.tables import Table
from shared.wiring.core import Core

TABLE = "poison"

QUEUES = (
    RENEWALS_QUEUE,
    SEATS_QUEUE,
    TURNS_QUEUE,
    BLOCKS_QUEUE,
    PASSES_QUEUE,
    PIECES_QUEUE,
    DOWNLOADS_QUEUE,
    FULFILLMENTS_QUEUE,
    FULFILLMENT_WORK_QUEUE,
)
"""The queues that functions of ours read."""


def make_poison(core: Core) -> Poison:
    """The poison of all queues."""
    return Poison(core.account, Table(core.account, TABLE), QUEUES)
