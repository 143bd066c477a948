"""What a simulated run came to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.scale.inputs import Prices
from benchmarks.scale.world import Function, World

MONTH = 30 * 24 * 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One run. ``seconds``: until all was done or, where ``is_steady``, of the time that was looked at.

    ``closest``: the storage limit that came closest, and the share of it that was used in the busiest ten seconds.
    ``samples``: seconds, instances, messages.
    """

    name: str
    work: str
    seconds: float
    is_steady: bool
    instances: int
    mean_instances: float
    deepest: int
    calls: float
    closest: tuple[str, float]
    gb_seconds: float
    executions: float
    table_requests: float
    queue_requests: float
    samples: tuple[tuple[float, int, int], ...]

    def cost(self, prices: Prices) -> float:
        """Dollars: of a month where it is steady, else of the run."""
        dollars = (
            self.gb_seconds * prices.gb_second
            + self.executions / 1_000_000 * prices.million_executions
            + self.queue_requests / 10_000 * prices.queue_requests
            + self.table_requests / 10_000 * prices.table_requests
        )
        return dollars * MONTH / self.seconds if self.is_steady else dollars


def outcome(
    world: World, name: str, work: str, functions: Sequence[Function[Any]] = (), *, is_steady: bool = False
) -> Outcome:
    """Read off a world what became of it."""
    storage, seconds = world.storage, float(world.env.now)
    limits = [("account", storage.account.share)]
    limits += [(f"queue {queue}", limit.share) for queue, limit in storage.queues.items()]
    limits += [("partition", max((limit.share for limit in storage.partitions.values()), default=0.0))]
    counts = [count for function in functions for _, count, _ in function.samples]
    busiest = max(functions, key=lambda each: each.peak) if functions else None
    return Outcome(
        name=name,
        work=work,
        seconds=seconds,
        is_steady=is_steady,
        instances=sum(each.peak for each in functions) or 1,
        mean_instances=sum(counts) * world.inputs.decision_pause / seconds if functions else 1.0,
        deepest=max((each.queue.deepest for each in functions), default=0),
        calls=world.store.busiest,
        closest=max(limits, key=lambda each: each[1]),
        gb_seconds=world.gb_seconds,
        executions=world.executions,
        table_requests=storage.table_requests,
        queue_requests=storage.queue_requests + world.polls,
        samples=tuple(busiest.samples) if busiest else (),
    )
