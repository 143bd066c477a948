"""Seats of each tenant's products."""

from functools import cached_property

from shared.catalog.reading import Reading
from shared.seats.calls import SeatCalls
from shared.seats.course import Course
from shared.seats.filing import JobFiles
from shared.seats.intake import Intake
from shared.seats.live import LiveSeats
from shared.seats.messages import BLOCKS_QUEUE, JOBS_QUEUE, TURNS_QUEUE
from shared.seats.post import CONTAINER, Post
from shared.seats.results import Results
from shared.seats.sweeper import SeatSweeper
from shared.seats.turns import Turns
from shared.seats.work import Blocks
from shared.shares import Shares
from shared.storage.blobs import Container
from shared.storage.queues import Queue
from shared.storage.tables import Table
from shared.store.models.business import DistributionPolicy, ProductKey
from shared.wiring.core import Core
from shared.wiring.store import StoreParts

JOBS_TABLE = "seatjobs"
TURNS_TABLE = "seatturns"


class SeatParts:
    """Jobs that come in, are carried out and are found again; seats as the Store has them."""

    def __init__(self, core: Core, store: StoreParts, catalog: Reading) -> None:
        self._core = core
        self._store = store
        self._catalog = catalog

    @cached_property
    def intake(self) -> Intake:
        """Jobs that come in."""
        return Intake(
            self._core.tenants,
            self._store.business,
            self._free_seats,
            self._files,
            self._turns,
            self._turns_queue,
            self._core.settings.seat_chunk_size,
        )

    @cached_property
    def post(self) -> Post:
        """Jobs that come in over the queue."""
        account = self._core.account
        return Post(self.intake, Container(account, CONTAINER), Queue(account, JOBS_QUEUE))

    @cached_property
    def course(self) -> Course:
        """Jobs that are carried out."""
        settings, blocks_queue = self._core.settings, Queue(self._core.account, BLOCKS_QUEUE)
        calls = SeatCalls(self._store.business, settings.seat_chunk_size, settings.store_concurrency)
        blocks = Blocks(self._files, calls, blocks_queue, Shares())
        return Course(self._files, self._turns, blocks, self._core.events, self._turns_queue, blocks_queue)

    @cached_property
    def results(self) -> Results:
        """What became of jobs."""
        return Results(self._files)

    @cached_property
    def sweeper(self) -> SeatSweeper:
        """Jobs that nobody moves on."""
        return SeatSweeper(self._core.tenants, self._turns, self._turns_queue)

    @cached_property
    def live(self) -> LiveSeats:
        """Seats as the Store has them."""
        return LiveSeats(self._store.business)

    async def _free_seats(self, tenant_id: str, product: ProductKey) -> int | None:
        entry = await self._catalog.entry(tenant_id, product)
        if entry is None or entry.distribution_policy != DistributionPolicy.RESTRICTED:
            return None
        return entry.available_seats

    @cached_property
    def _files(self) -> JobFiles:
        return JobFiles(Table(self._core.account, JOBS_TABLE))

    @cached_property
    def _turns(self) -> Turns:
        return Turns(Table(self._core.account, TURNS_TABLE))

    @cached_property
    def _turns_queue(self) -> Queue:
        return Queue(self._core.account, TURNS_QUEUE)
