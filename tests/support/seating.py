"""Seat jobs in this process, against real servers, with a clock and queues that a test moves."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from local.control import Control
from shared.events import Events, SeatJobCompleted
from shared.seats.calls import SeatCalls
from shared.seats.course import Course
from shared.seats.filing import JobFiles
from shared.seats.intake import Intake, JobRequest
from shared.seats.messages import BlockMessage, TurnMessage
from shared.seats.names import in_json
from shared.seats.record import Job
from shared.seats.results import JobState, Results, UserResult
from shared.seats.states import Action
from shared.seats.sweeper import SeatSweeper
from shared.seats.turns import Turns
from shared.seats.work import Blocks
from shared.shares import Shares
from shared.storage.queues import Queue
from shared.storage.tables import Table
from shared.store.business import BusinessStore
from shared.store.models.business import ProductKey
from shared.wiring import Wiring
from tests.support.app import unique


class StillQueue(Queue):
    """A queue of this process: messages lie still, hidden or not, until a test takes them."""

    def __init__(self, wiring: Wiring, name: str) -> None:
        super().__init__(wiring.core.account, name)
        self.messages: list[object] = []
        self.delays: list[float] = []

    async def send(self, message: object, *, time_to_live: int | None = None, delay: float = 0) -> None:
        self.messages.append(msgspec.convert(msgspec.to_builtins(message), type(message)))
        self.delays.append(delay)

    async def send_text(self, text: str, *, time_to_live: int | None = None, delay: float = 0) -> None:
        self.messages.append(text)
        self.delays.append(delay)


@dataclass
class Tenant:
    """A tenant of the emulator's Store, whose users are whoever has a name in its domain."""

    tenant_id: str
    domain: str

    def users(self, count: int, prefix: str = "user") -> list[str]:
        """Users who exist."""
        return [f"{prefix}-{number:05}@{self.domain}" for number in range(count)]

    def strangers(self, count: int) -> list[str]:
        """Users who do not exist, though their names look well."""
        return self.users(count, "nobody")


@dataclass
class Seating:
    """Jobs in tables that no other test knows."""

    wiring: Wiring
    control: Control
    tenant: Tenant
    chunk: int = 25
    offset: timedelta = timedelta(0)
    free_seats: int | None = None

    def __post_init__(self) -> None:
        self.name = unique("t").replace("-", "")
        account = self.wiring.core.account
        self.jobs_table, self.turns_table = Table(account, f"{self.name}jobs"), Table(account, f"{self.name}turns")
        self.files, self.turns = JobFiles(self.jobs_table), Turns(self.turns_table)
        self.turns_queue = StillQueue(self.wiring, f"{self.name}-turns")
        self.blocks_queue = StillQueue(self.wiring, f"{self.name}-blocks")
        self.events_queue = StillQueue(self.wiring, f"{self.name}-events")
        self.results = Results(self.files)
        self._stores: dict[str, BusinessStore] = {}

    def clock(self) -> datetime:
        """Now, as this world has it."""
        return datetime.now(UTC) + self.offset

    def store(self, tenant_id: str) -> BusinessStore:
        """A tenant's Store; what it asks to be left alone for ends with the test."""
        if tenant_id not in self._stores:
            transport = self.wiring.store.business(tenant_id)._calls._transport
            (identity,) = [each for each in self.wiring.core.settings.business_tenants if each.tenant_id == tenant_id]
            self._stores[tenant_id] = BusinessStore(identity, transport, self.wiring.core.entra)
        return self._stores[tenant_id]

    def forget_pauses(self) -> None:
        """Go on as if all that a Store asked to be left alone for were over."""
        self._stores.clear()

    @property
    def intake(self) -> Intake:
        """Whoever takes jobs."""
        return Intake(
            [self.tenant.tenant_id],
            self.store,
            self._known_free,
            self.files,
            self.turns,
            self.turns_queue,
            self.chunk,
            clock=self.clock,
        )

    async def _known_free(self, tenant_id: str, product: ProductKey) -> int | None:
        return self.free_seats

    def course(self, **parts: Any) -> Course:
        """A worker; each is as one in an instance of its own."""
        files = parts.get("files", self.files)
        calls = SeatCalls(self.store, self.chunk, 32)
        blocks = Blocks(files, calls, self.blocks_queue, parts.get("shares", Shares()), clock=self.clock)
        return Course(
            files,
            parts.get("turns", self.turns),
            parts.get("blocks", blocks),
            Events(parts.get("events_queue", self.events_queue)),
            self.turns_queue,
            self.blocks_queue,
            clock=self.clock,
        )

    def sweeper(self) -> SeatSweeper:
        """The sweeper of this world."""
        return SeatSweeper([self.tenant.tenant_id], self.turns, self.turns_queue)

    async def product(self, **options: Any) -> ProductKey:
        """A product that no other test knows, with seats unless told otherwise."""
        wanted = {"licenseType": "online", "images": False, **options}
        (key,) = await self.control.add_business_products(self.tenant.tenant_id, 1, **wanted)
        return ProductKey(key["productId"], key["skuId"])

    def request(self, product: ProductKey, users: Sequence[str], action: str = "assign", **changes: Any) -> JobRequest:
        """A job as somebody wants it."""
        job_id = changes.pop("job_id", unique("job"))
        tenant_id = changes.pop("tenant_id", self.tenant.tenant_id)
        return JobRequest(job_id, tenant_id, product, Action(action), in_json(users))

    async def accepted(self, product: ProductKey, users: Sequence[str], action: str = "assign", **changes: Any) -> Job:
        """A job that was accepted."""
        return await self.intake.accept(self.request(product, users, action, **changes))

    async def done(self, product: ProductKey, users: Sequence[str], action: str = "assign", **changes: Any) -> JobState:
        """A job that was accepted and carried out, as far as the Store lets it."""
        job = await self.accepted(product, users, action, **changes)
        await self.settle()
        return await self.results.state(job.job_id)

    async def step(self, course: Course | None = None) -> bool:
        """Handle one message, whether or not it is hidden; whether there was one.."""
        worker = course or self.course()
        queue = self.turns_queue if self.turns_queue.messages else self.blocks_queue
        if not queue.messages:
            return False
        queue.delays.pop(0)
        await self.handle(worker, queue.messages.pop(0))
        return True

    async def handle(self, course: Course, message: object) -> None:
        """Handle a message as the app does."""
        match message:
            case TurnMessage() as turn:
                await course.advance(turn.tenant_id, ProductKey(turn.product_id, turn.sku_id))
            case BlockMessage() as block:
                await course.work(block.job_id, block.number)

    async def settle(self, course: Course | None = None, steps: int = 500) -> None:
        """Handle messages until there are none."""
        worker = course or self.course()
        for _ in range(steps):
            if not await self.step(worker):
                return
        raise AssertionError(f"there are messages after {steps} steps")

    async def swept(self) -> None:
        """Have the sweeper find what nobody moves on, an hour later, and have that done."""
        self.offset += timedelta(hours=1)
        await self.sweeper().sweep()
        await self.settle()

    def died(self) -> None:
        """What a process had in its hands when it was killed is gone, and its queues' messages with it."""
        for queue in (self.turns_queue, self.blocks_queue):
            queue.messages.clear()
            queue.delays.clear()

    async def outcomes(self, job_id: str) -> list[UserResult]:
        """All results of a job."""
        return await self.results.all(job_id, None)

    async def reasons(self, job_id: str) -> Counter[tuple[str, str | None]]:
        """How many users of a job have which status and reason."""
        return Counter((str(result.status), result.reason) for result in await self.outcomes(job_id))

    async def seats(self, product: ProductKey) -> set[str]:
        """Who has a seat at the Store."""
        found = await self.control.business_product(self.tenant.tenant_id, product.product_id, product.sku_id, "seats")
        return {seat["assignedTo"] for seat in found["seats"] if seat["state"].lower() == "active"}

    def events(self) -> list[SeatJobCompleted]:
        """The ends of jobs that were announced."""
        return [event for event in self.events_queue.messages if isinstance(event, SeatJobCompleted)]

    async def calls(self, since: int, path: str = "/Seats") -> int:
        """How many seat calls the Store saw that change something."""
        changes = [await self.control.count(service="business", path=path, method=m, since=since) for m in _CHANGES]
        return sum(changes)


_CHANGES = ("POST", "DELETE")


async def a_tenant(control: Control, name: str | None = None) -> Tenant:
    """One of the emulator's tenants."""
    tenants = await control.business_tenants()
    found = next(each for each in tenants if name in {None, each["name"]})
    return Tenant(found["tenantId"], found["domain"])
