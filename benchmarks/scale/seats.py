"""Seat jobs: blocks of users, so many of a job under way at once (:mod:`shared.seats`)."""

from dataclasses import dataclass

from benchmarks.scale.engine import Limit
from benchmarks.scale.inputs import Inputs
from benchmarks.scale.outcome import Outcome, outcome
from benchmarks.scale.world import Function, Instance, Steps, World
from shared.seats.course import WINDOW
from shared.seats.messages import BLOCKS_QUEUE
from shared.seats.record import CHUNKS_A_BLOCK

USERS_A_JOB = 100_000
"""The most that one job takes."""


@dataclass(slots=True)
class _Product:
    """Jobs of one product run one after the other; ``waiting`` blocks of the one whose turn it is."""

    tenant: int
    jobs: list[int]
    waiting: int = 0
    under_way: int = 0
    name: str = ""


class Jobs:
    """Many users of each tenant, in as many jobs of one product as it takes."""

    def __init__(self, world: World, tenants: int, users: int, tenant_limit: float | None) -> None:
        self._world = world
        self._limits = [Limit(world.env, tenant_limit) for _ in range(tenants)]
        self._users_a_block = int(CHUNKS_A_BLOCK * world.inputs.seat_chunk)
        jobs = [min(USERS_A_JOB, users - at) for at in range(0, users, USERS_A_JOB)]
        self._products = [_Product(tenant, list(jobs)) for tenant in range(tenants)]
        self._open = tenants * len(jobs)
        self.function = Function[int](world, BLOCKS_QUEUE, self._work)
        self.ended = world.env.event()
        for number in range(tenants):
            self._next_job(number)

    def _next_job(self, number: int) -> float:
        """Begin the next job of a product: its window of blocks."""
        product = self._products[number]
        if not product.jobs:
            return 0.0
        product.name = f"job {number} {len(product.jobs)}"
        product.waiting = -(-product.jobs.pop(0) // self._users_a_block)
        return self._begin(number, WINDOW)

    def _begin(self, number: int, count: int) -> float:
        product = self._products[number]
        begun = min(count, product.waiting)
        product.waiting -= begun
        product.under_way += begun
        return self.function.put([number] * begun) if begun else 0.0

    def _work(self, instance: Instance, blocks: list[int]) -> Steps:
        world, inputs, (number,) = self._world, self._world.inputs, blocks
        product, storage = self._products[number], self._world.storage
        yield world.env.timeout(storage.tables(product.name, reads=3, writes=1))  # job, claim, block
        latency = world.slowest(inputs.seat_time)
        held_back = self._limits[product.tenant].wait(CHUNKS_A_BLOCK)
        world.store.wait(CHUNKS_A_BLOCK, after=held_back)
        yield world.env.timeout(
            max(
                instance.calls(f"tenant {product.tenant}", CHUNKS_A_BLOCK, latency),
                instance.cpu.wait(CHUNKS_A_BLOCK * inputs.seat_cpu),
                held_back,
            )
        )
        yield world.env.timeout(storage.tables(product.name, writes=1, entities=3))  # outcomes
        yield world.env.timeout(storage.tables(product.name, reads=1, writes=1, entities=WINDOW + 2))  # the next one
        product.under_way -= 1
        took = self._begin(number, 1)
        if not product.under_way:
            took += storage.tables(product.name, reads=3, writes=3) + self._next_job(number)
            self._open -= 1
        yield world.env.timeout(took)
        if not self._open and not self.ended.triggered:
            self.ended.succeed()


def jobs(inputs: Inputs, name: str, tenants: int, users: int, *, tenant_limit: float | None = None) -> Outcome:
    """So many users of each tenant, until the last has an outcome."""
    world = World(inputs)
    run = Jobs(world, tenants, users, tenant_limit)
    world.env.run(until=run.ended)
    return outcome(world, name, f"{tenants * users:,} users of {tenants} tenant{'s' * (tenants > 1)}", [run.function])
