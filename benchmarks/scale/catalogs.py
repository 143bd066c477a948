"""Catalogues: one listing a tenant, page after page, and the pieces that it gives (:mod:`shared.catalog`).

Downloads of packages and artwork are not simulated: they are a matter of bytes, of which nothing is known.
"""

import math
from dataclasses import dataclass

from benchmarks.scale.engine import Limit
from benchmarks.scale.inputs import Inputs
from benchmarks.scale.outcome import Outcome, outcome
from benchmarks.scale.world import Function, Instance, Steps, World
from shared.catalog.landing import MAX_PRODUCTS
from shared.catalog.listing import PAGE_SIZE
from shared.catalog.messages import PASSES_QUEUE, PIECES_QUEUE
from shared.catalog.shelf import PAGE as INDEX_PAGE
from shared.catalog.side_by_side import AT_ONCE

HOUR = 3600.0
SWEEP = 60.0

START_READS, START_WRITES = 2, 1
"""Of one tenant's pass: its row is looked at twice, and the pass begun in one transaction."""

END_READS, END_WRITES = 8, 4
"""Of one tenant's pass: what is left, what was counted; then it is ended, told of and cleared away."""

SWEEP_READS = 2
"""Of one tenant's catalogue each minute; its seats take one more, one tenant after the other."""

TOGETHER = 2
"""Pieces that the simulation follows as one."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What a pass of one tenant finds: entries listed, products to be fetched, products held before."""

    listed: int
    fetched: int
    held: int = 0


class Catalogs:
    """Passes of many tenants at once."""

    def __init__(self, world: World, tenants: int, each: Pass, tenant_limit: float | None) -> None:
        self._world = world
        self._tenants = tenants
        self._pass = each
        # A listing's call stands behind the calls that are in flight, and not behind those that pieces are yet to make.
        self._in_flight = world.inputs.store_concurrency / tenant_limit if tenant_limit else 0.0
        self._limits = [Limit(world.env, tenant_limit) for _ in range(tenants)]
        self._open = 0
        self.listings = Function[int](world, PASSES_QUEUE, self._list)
        self.pieces = Function[tuple[int, int]](world, PIECES_QUEUE, self._fetch, together=TOGETHER)
        self.ended = world.env.event()

    def start(self) -> Steps:
        """The timer, on an instance of its own: a pass of every tenant."""
        world, instance = self._world, self._world.instance()
        self._open += self._tenants
        instance.begin()
        world.executions += 1
        for first in range(0, self._tenants, AT_ONCE):
            tenants = range(first, min(first + AT_ONCE, self._tenants))
            took = max(
                world.storage.tables(_partition(each), reads=START_READS, writes=START_WRITES) for each in tenants
            )
            yield world.env.timeout(took + self.listings.put(list(tenants)))
        instance.end()

    def sweep(self) -> Steps:
        """The sweep of every minute looks at every tenant."""
        world, instance = self._world, self._world.instance()
        while True:
            instance.begin()
            world.executions += 1
            for tenant in range(self._tenants):
                world.storage.tables(_partition(tenant), reads=SWEEP_READS + 1)
            rounds = SWEEP_READS / AT_ONCE + 1
            yield world.env.timeout(self._tenants * rounds * world.inputs.read_time)
            instance.end()
            yield world.env.timeout(SWEEP - world.env.now % SWEEP)

    def _list(self, instance: Instance, tenants: list[int]) -> Steps:
        world, (tenant,) = self._world, tenants
        partition, pages = _partition(tenant), -(-self._pass.listed // PAGE_SIZE) or 1
        index = -(-self._pass.held // INDEX_PAGE) if pages > 1 else 0
        yield world.env.timeout(
            world.storage.tables(partition, reads=3 + index, writes=1, entities=3 + self._pass.held * bool(index))
        )
        left = self._pass.fetched
        for page in range(pages):
            called = self._calls(instance, tenant, calls=1, rounds=1, at_most=self._in_flight)
            share = -(-left // (pages - page))
            left -= share
            pieces = [(tenant, min(MAX_PRODUCTS, share - at)) for at in range(0, share, MAX_PRODUCTS)]
            self._open += len(pieces)
            written = world.storage.tables(partition, writes=1, entities=3 + len(pieces))
            yield world.env.timeout(called + written)
            if pieces:
                yield world.env.timeout(self.pieces.put(pieces))
        yield world.env.timeout(world.storage.tables(partition, reads=END_READS, writes=END_WRITES))
        self._end(1)

    def _fetch(self, instance: Instance, pieces: list[tuple[int, int]]) -> Steps:
        world = self._world
        took = 0.0
        for tenant, products in pieces:
            read = world.storage.tables(_partition(tenant), reads=1)
            # Licenses are asked for when the packages are known: two rounds.
            calls = products * world.inputs.calls_a_product
            took = max(took, read + self._calls(instance, tenant, calls=calls, rounds=2))
        yield world.env.timeout(took)
        yield world.env.timeout(
            max(
                world.storage.tables(_partition(tenant), reads=2, writes=1, entities=products + 3)
                for tenant, products in pieces
            )
        )
        self._end(len(pieces))

    def _calls(self, instance: Instance, tenant: int, *, calls: float, rounds: int, at_most: float = math.inf) -> float:
        """Seconds of calls to the Store that are made side by side, in so many rounds."""
        world, inputs = self._world, self._world.inputs
        latency = world.slowest(inputs.catalog_time)
        held_back = min(self._limits[tenant].wait(calls), at_most)
        world.store.wait(calls, after=held_back)
        return max(
            rounds * latency,
            instance.calls(_partition(tenant), calls, latency),
            instance.cpu.wait(calls * inputs.catalog_cpu),
            held_back,
        )

    def _end(self, count: int) -> None:
        self._open -= count
        if not self._open and not self.ended.triggered:
            self.ended.succeed()


def once(inputs: Inputs, name: str, tenants: int, each: Pass, *, tenant_limit: float | None = None) -> Outcome:
    """One pass of every tenant, begun at once."""
    world = World(inputs)
    catalogs = Catalogs(world, tenants, each, tenant_limit)
    world.env.process(catalogs.start())
    world.env.run(until=catalogs.ended)
    work = f"{tenants * each.fetched:,} products of {tenants:,} tenants"
    return outcome(world, name, work, [catalogs.listings, catalogs.pieces])


def hourly(inputs: Inputs, name: str, tenants: int, each: Pass, *, hours: int) -> Outcome:
    """Some hours like all others, the sweep of every minute included."""
    world = World(inputs)
    catalogs = Catalogs(world, tenants, each, None)

    def timer() -> Steps:
        while True:
            world.env.process(catalogs.start())
            yield world.env.timeout(HOUR)

    world.env.process(timer())
    world.env.process(catalogs.sweep())
    world.env.run(until=hours * HOUR)
    work = f"{tenants * each.fetched:,} changes an hour of {tenants:,} tenants"
    return outcome(world, name, work, [catalogs.listings, catalogs.pieces], is_steady=True)


def _partition(tenant: int) -> str:
    return f"tenant {tenant}"
