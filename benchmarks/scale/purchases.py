"""Fulfilments, which spread over instances, and refunds, which one run at a time takes from the Store's queue."""

from collections.abc import Callable

from benchmarks.scale.inputs import Inputs
from benchmarks.scale.outcome import Outcome, outcome
from benchmarks.scale.world import Function, Instance, Steps, World
from shared.fulfillment.messages import JOBS_QUEUE
from shared.ledger.record import SHARDS
from shared.refunds.drain import LONGEST_PASS, MOST_READS
from shared.refunds.side_by_side import SIDE_BY_SIDE
from shared.store.clawback_queue import MOST_AT_ONCE

EVENTS_QUEUE = "store-events"

TOGETHER = 8
"""Fulfilments that the simulation follows as one."""

REFUND_TIMER = 300.0
"""``REFUND_SCHEDULE``: every five minutes."""


class Fulfillments:
    """Jobs from the queue, each to its end by the message that brought it."""

    def __init__(self, world: World, rate: Callable[[float], float]) -> None:
        self._world = world
        self._rate = rate
        self._open = 0
        self._is_over = False
        self.count = 0
        self.function = Function[int](world, JOBS_QUEUE, self._work, together=TOGETHER)
        self.ended = world.env.event()
        world.env.process(self._arrive())

    def _arrive(self) -> Steps:
        """The game's back end, which sends no faster than the queue takes."""
        world = self._world
        while rate := self._rate(world.env.now):
            began = world.env.now
            count = int(rate)
            self._open += count
            self.count += count
            took = self.function.put([0] * count)
            yield world.env.timeout(max(began + 1 - world.env.now, took))
        self._is_over = True
        self._end(0)

    def _work(self, instance: Instance, jobs: list[int]) -> Steps:
        world, inputs, count = self._world, self._world.inputs, len(jobs)
        storage, latency = world.storage, world.slowest(inputs.consume_time)
        partition = f"ledger {world.rng.randrange(SHARDS)}"
        world.store.wait(count)
        waits = [
            storage.tables(
                partition,
                reads=count * inputs.fulfillment_reads,
                writes=count * inputs.fulfillment_writes,
                entities=count * inputs.ledger_entities,
                side_by_side=count,
            ),
            storage.messages(EVENTS_QUEUE, count, requests=count),
            instance.calls("collections", count, latency),
        ]
        yield world.env.timeout(max(sum(waits), instance.cpu.wait(count * inputs.fulfillment_cpu)))
        self._end(count)

    def _end(self, count: int) -> None:
        self._open -= count
        if self._is_over and not self._open:
            self.ended.succeed()


def launch(inputs: Inputs, name: str, rate: Callable[[float], float]) -> Outcome:
    """Purchases at a rate by the second (0: it is over), until the last is granted."""
    world = World(inputs)
    run = Fulfillments(world, rate)
    world.env.run(until=run.ended)
    return outcome(world, name, f"{run.count:,} purchases", [run.function])


def refund_storm(
    inputs: Inputs, name: str, events: int, *, timer: float = REFUND_TIMER, side_by_side: int = SIDE_BY_SIDE
) -> Outcome:
    """Clawback events that are all there at once, until the last is on file."""
    world = World(inputs)
    world.env.run(until=world.env.process(_drained(world, events, timer, side_by_side)))
    return outcome(world, name, f"{events:,} events")


def _drained(world: World, events: int, timer: float, side_by_side: int) -> Steps:
    """Pass after pass, as :mod:`shared.refunds.drain` goes: a round of reads, some events side by side, the next."""
    inputs, instance, left = world.inputs, world.instance(), events
    while True:
        began = world.env.now
        instance.begin()
        world.executions += 1
        while left and world.env.now - began < LONGEST_PASS:
            page = min(left, MOST_AT_ONCE * MOST_READS)
            reads = -(-page // MOST_AT_ONCE)
            world.store.wait(reads + page)
            rounds = -(-page // side_by_side)
            requests = world.storage.tables(
                f"ledger {world.rng.randrange(SHARDS)}",
                reads=page * inputs.refund_reads,
                writes=page * inputs.refund_writes,
                side_by_side=page / rounds,
            )
            took = max(requests, instance.cpu.wait(page * inputs.refund_cpu))
            sent = world.storage.messages(EVENTS_QUEUE, page, requests=page)
            # Read the pages; of each event its message is deleted last.
            yield world.env.timeout(reads * inputs.clawback_time + took + rounds * (sent + inputs.clawback_time))
            left -= page
        instance.end()
        if not left:
            return
        yield world.env.timeout(timer - world.env.now % timer)
