"""Azure as the simulation knows it: one storage account, and functions on instances of their own."""

import math
import random
from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from simpy import Environment, Event

from benchmarks.scale.engine import Limit, Queue
from benchmarks.scale.inputs import Inputs

SEED = 20261121

LEAST_BILLED = 1.0
BILLED_STEP = 0.1
"""Seconds: a period in which an instance works is billed for at least so long, and rounded up (Microsoft, Flex)."""

type Steps = Generator[Event, Any]


class Storage:
    """One account: its own limit, and those of queues and partitions."""

    def __init__(self, env: Environment, inputs: Inputs) -> None:
        self._inputs = inputs
        self.account = Limit(env, inputs.account_limit)
        self.queues: defaultdict[str, Limit] = defaultdict(lambda: Limit(env, inputs.queue_limit))
        self.partitions: defaultdict[str, Limit] = defaultdict(lambda: Limit(env, inputs.partition_limit))
        self.table_requests = 0.0
        self.queue_requests = 0.0

    def tables(
        self, partition: str, *, reads: float = 0, writes: float = 0, entities: float = 0, side_by_side: float = 1
    ) -> float:
        """Seconds of requests that touch so many entities of a partition, so many of them made at once."""
        requests = reads + writes
        self.table_requests += requests
        took = (reads * self._inputs.read_time + writes * self._inputs.write_time) / side_by_side
        return max(took, self.account.wait(requests), self.partitions[partition].wait(entities or requests))

    def messages(self, queue: str, count: float, *, requests: float) -> float:
        """Seconds of putting or taking messages."""
        self.queue_requests += requests
        return max(self._inputs.send_time, self.account.wait(requests), self.queues[queue].wait(count))


@dataclass(slots=True, eq=False)
class Instance:
    """One instance: one core, and so many calls at once to one service."""

    env: Environment
    inputs: Inputs
    started_on: float
    cpu: Limit = field(init=False)
    active: int = 0
    idle_since: float = 0.0
    billed: float = 0.0
    polls: bool = False
    stopped_on: float | None = None
    _services: dict[str, Limit] = field(default_factory=dict)
    _active_since: float = 0.0

    def __post_init__(self) -> None:
        self.cpu = Limit(self.env, 1.0)
        self.idle_since = self.started_on

    def calls(self, service: str, count: float, latency: float) -> float:
        """Seconds until the last of these calls has its answer."""
        limit = self._services.get(service)
        if limit is None:
            limit = self._services[service] = Limit(self.env, self.inputs.store_concurrency / latency)
        return max(latency, limit.wait(count))

    def begin(self) -> None:
        """Something is being executed."""
        if self.active == 0:
            self._active_since = self.env.now
        self.active += 1

    def end(self) -> None:
        """It is over."""
        self.active -= 1
        if self.active == 0:
            self.idle_since = self.env.now
            self.billed += self._billed_since()

    def billed_so_far(self) -> float:
        """Seconds that are billed, what is being executed now included."""
        return self.billed + (self._billed_since() if self.active else 0.0)

    def _billed_since(self) -> float:
        took = self.env.now - self._active_since
        return max(math.ceil(took / BILLED_STEP) * BILLED_STEP, LEAST_BILLED)


class World:
    """A run: the clock, storage, the Store, and who works."""

    def __init__(self, inputs: Inputs, store_limit: float | None = None) -> None:
        self.env = Environment()
        self.inputs = inputs
        self.rng = random.Random(SEED)
        self.storage = Storage(self.env, inputs)
        self.store = Limit(self.env, store_limit)
        self.instances: list[Instance] = []
        self.executions = 0

    def instance(self, *, polls: bool = False) -> Instance:
        """A new instance; one of a queue function polls."""
        instance = Instance(self.env, self.inputs, self.env.now, polls=polls)
        self.instances.append(instance)
        return instance

    def slowest(self, latency: float) -> float:
        """The slowest of many calls that are made at once: one to two times the latency (assumed)."""
        return latency * self.rng.uniform(1, 2)

    @property
    def polls(self) -> float:
        """Looks into queues, which an instance takes whether or not there is work."""
        now: float = self.env.now
        lives = (max((each.stopped_on or now) - each.started_on, 0.0) for each in self.instances if each.polls)
        return sum(lives) / self.inputs.max_polling

    @property
    def gb_seconds(self) -> float:
        """What is billed."""
        return sum(each.billed_so_far() for each in self.instances) * self.inputs.instance_gb


class Function[T]:
    """A queue function: lanes that take messages, on as many instances as the length of the queue asks for.

    ``together`` messages are taken and worked on at once by one lane, where there are too many to follow each.
    """

    def __init__(
        self, world: World, name: str, work: Callable[[Instance, list[T]], Steps], *, together: int = 1
    ) -> None:
        self.queue: Queue[T] = Queue(world.env, name)
        self.samples: list[tuple[float, int, int]] = []
        self._world = world
        self._work = work
        self._together = together
        self._instances: list[Instance] = []
        world.env.process(self._control())

    def put(self, messages: Sequence[T]) -> float:
        """Put messages; seconds that this takes whoever puts them."""
        took = self._world.storage.messages(self.queue.name, len(messages), requests=len(messages))
        self.queue.put(messages)
        return took

    @property
    def peak(self) -> int:
        """The most instances that there were at once."""
        return max((count for _, count, _ in self.samples), default=0)

    def _control(self) -> Steps:
        world, inputs = self._world, self._world.inputs
        while True:
            yield world.env.timeout(inputs.decision_pause)
            length = self.queue.length
            wanted = min(math.ceil(length / inputs.at_once), int(inputs.max_instances))
            for _ in range(min(wanted - len(self._instances), int(inputs.scale_step))):
                instance = world.instance(polls=True)
                self._instances.append(instance)
                world.env.process(self._start(instance))
            idle = [each for each in self._instances if self._is_idle(each)]
            for each in idle[: max(len(self._instances) - wanted, 0)]:
                self._stop(each)
            self.samples.append((world.env.now, len(self._instances), length))

    def _is_idle(self, instance: Instance) -> bool:
        started = instance.started_on + self._world.inputs.start_time
        idle_since = max(instance.idle_since, started)
        return instance.active == 0 and self._world.env.now - idle_since >= self._world.inputs.idle_time

    def _stop(self, instance: Instance) -> None:
        instance.stopped_on = self._world.env.now
        self._instances.remove(instance)
        self.queue.dismiss(instance)

    def _start(self, instance: Instance) -> Steps:
        yield self._world.env.timeout(self._world.inputs.start_time)
        for _ in range(self._world.inputs.at_once // self._together):
            self._world.env.process(self._lane(instance))

    def _lane(self, instance: Instance) -> Steps:
        world = self._world
        while instance.stopped_on is None:
            taken = yield self.queue.take(self._together, instance)
            if not taken:
                return
            instance.begin()
            world.executions += len(taken)
            fetched = len(taken) / world.inputs.batch_size
            yield world.env.timeout(world.storage.messages(self.queue.name, len(taken), requests=len(taken) + fetched))
            yield from self._work(instance, taken)
            instance.end()
            self.queue.done(len(taken))
