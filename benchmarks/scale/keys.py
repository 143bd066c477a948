"""User Store ID keys: what is due in 64 shards is renewed, a commit's worth at a time (:mod:`shared.keys.renewal`)."""

from benchmarks.scale.inputs import Inputs
from benchmarks.scale.outcome import Outcome, outcome
from benchmarks.scale.world import Function, Instance, Steps, World
from shared.keys.filing import RECORDS_A_COMMIT
from shared.keys.messages import QUEUE
from shared.keys.record import SHARDS
from shared.keys.renewal import PLANNERS, TIME_BUDGET
from shared.keys.schedule import MAX_JITTER, RENEW_AT_AGE

PERIOD = (RENEW_AT_AGE + MAX_JITTER / 2).total_seconds()
"""How often a key is renewed, on the average."""

TIMER = 300.0
"""``KEY_RENEWAL_SCHEDULE``: every five minutes."""

OPERATIONS_A_RECORD = 3


class Renewals:
    """All shards, into which new duties trickle all the time."""

    def __init__(self, world: World, keys: int, backlog: float) -> None:
        inputs = world.inputs
        self._world = world
        self._keys_a_record = inputs.keys_a_player
        self._rate = keys / inputs.keys_a_player / PERIOD / SHARDS
        already = backlog / inputs.keys_a_player / SHARDS
        self._due = [already + self._rate * TIMER * world.rng.random() for _ in range(SHARDS)]
        self._counted_on = [0.0] * SHARDS
        self._held: set[int] = set()
        self.function = Function[int](world, QUEUE, self._work)
        self.caught_up = world.env.event()
        world.env.process(self._plan())

    def _plan(self) -> Steps:
        """The timer, on an instance of its own."""
        world, instance = self._world, self._world.instance()
        while True:
            instance.begin()
            world.executions += 1
            for first in range(0, SHARDS, PLANNERS):
                read = world.storage.tables(f"shard {first}", reads=PLANNERS, side_by_side=PLANNERS)
                yield world.env.timeout(read)
            yield world.env.timeout(self.function.put([shard for shard in range(SHARDS) if self._count(shard) >= 1]))
            instance.end()
            yield world.env.timeout(TIMER - world.env.now % TIMER)

    def _count(self, shard: int) -> int:
        now = self._world.env.now
        self._due[shard] += self._rate * (now - self._counted_on[shard])
        self._counted_on[shard] = now
        return int(self._due[shard])

    def _work(self, instance: Instance, shards: list[int]) -> Steps:
        world, (shard,) = self._world, shards
        partition = f"shard {shard}"
        if shard in self._held:
            yield world.env.timeout(world.storage.tables(partition, reads=1, writes=1))
            return
        self._held.add(shard)
        yield world.env.timeout(world.storage.tables(partition, writes=1))
        started, more = world.env.now, True
        while more and world.env.now - started < TIME_BUDGET:
            page = min(self._count(shard), RECORDS_A_COMMIT)
            yield world.env.timeout(world.storage.tables(partition, reads=1, entities=page))
            if page:
                yield from self._renew(instance, shard, page)
            more = page == RECORDS_A_COMMIT
        yield world.env.timeout(world.storage.tables(partition, writes=1))
        self._held.remove(shard)
        if more:
            yield world.env.timeout(self.function.put([shard]))
        if not self.caught_up.triggered and sum(map(int, self._due)) <= self._rate * TIMER * SHARDS:
            self.caught_up.succeed()

    def _renew(self, instance: Instance, shard: int, records: int) -> Steps:
        world, inputs = self._world, self._world.inputs
        keys = records * self._keys_a_record
        yield world.env.timeout(
            max(
                # The two kinds are two services, each with calls in flight of its own.
                instance.calls("collections", keys / 2, world.slowest(inputs.renewal_time)),
                instance.calls("purchase", keys / 2, world.slowest(inputs.renewal_time)),
                instance.cpu.wait(keys * inputs.renewal_cpu),
                world.store.wait(keys),
            )
        )
        entities = records * OPERATIONS_A_RECORD
        yield world.env.timeout(world.storage.tables(f"shard {shard}", writes=1, entities=entities))
        self._due[shard] -= records


def steady(inputs: Inputs, name: str, keys: int, *, hours: float) -> Outcome:
    """Some hours like all others."""
    world = World(inputs)
    renewals = Renewals(world, keys, backlog=0)
    world.env.run(until=hours * 3600)
    return outcome(world, name, f"{keys / PERIOD:,.1f} keys/s due", [renewals.function], is_steady=True)


def after_outage(
    inputs: Inputs, name: str, keys: int, *, outage: float = 24 * 3600, store_limit: float | None = None
) -> Outcome:
    """All that came due in an outage of so many seconds, until no more is due than the timer's period brings."""
    world = World(inputs, store_limit)
    backlog = keys / PERIOD * outage
    renewals = Renewals(world, keys, backlog)
    world.env.run(until=renewals.caught_up)
    return outcome(world, name, f"{backlog:,.0f} keys overdue", [renewals.function])
