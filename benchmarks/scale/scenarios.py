"""What is simulated: the questions that somebody who grows will ask, and what turning a setting changes."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from benchmarks.scale import catalogs, keys, purchases, seats
from benchmarks.scale.catalogs import Pass
from benchmarks.scale.inputs import Inputs
from benchmarks.scale.outcome import Outcome

MILLION = 1_000_000
TENANTS = 1_000
SOME_TENANTS = 200
PRODUCTS = 10_000
FEW_CHANGES = 4
"""Of 10,000 products, in an hour: about 1% a day."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """``is_long``: takes some seconds to simulate."""

    name: str
    run: Callable[[Inputs, str], Outcome]
    is_long: bool = False

    def outcome(self, inputs: Inputs) -> Outcome:
        """Simulate it."""
        return self.run(inputs, self.name)


def _at(rate: float, seconds: float) -> Callable[[float], float]:
    return lambda now: rate if now < seconds else 0.0


MAIN: tuple[Scenario, ...] = (
    Scenario("1 million keys, any day", lambda given, name: keys.steady(given, name, MILLION, hours=3)),
    Scenario("100 million keys, any day", lambda given, name: keys.steady(given, name, 100 * MILLION, hours=3)),
    Scenario("1 million keys, after a day's outage", lambda given, name: keys.after_outage(given, name, MILLION)),
    Scenario(
        "100 million keys, after a day's outage",
        lambda given, name: keys.after_outage(given, name, 100 * MILLION),
        is_long=True,
    ),
    Scenario(
        "catalogues: first sync",
        lambda given, name: catalogs.once(given, name, TENANTS, Pass(PRODUCTS, PRODUCTS)),
        is_long=True,
    ),
    Scenario(
        "catalogues: every hour",
        lambda given, name: catalogs.hourly(
            given, name, TENANTS, Pass(FEW_CHANGES, FEW_CHANGES, held=PRODUCTS), hours=3
        ),
    ),
    Scenario(
        "catalogues: full pass",
        lambda given, name: catalogs.once(given, name, TENANTS, Pass(PRODUCTS, PRODUCTS, held=PRODUCTS)),
        is_long=True,
    ),
    Scenario("seats: 1 million in one tenant", lambda given, name: seats.jobs(given, name, 1, MILLION)),
    Scenario("seats: 1 million in 50 tenants", lambda given, name: seats.jobs(given, name, 50, MILLION // 50)),
    Scenario("refunds: a storm of 1 million", lambda given, name: purchases.refund_storm(given, name, MILLION)),
    Scenario(
        "launch day: 500 purchases/s for 30 minutes",
        lambda given, name: purchases.launch(given, name, _at(500, 1800)),
        is_long=True,
    ),
)

TURNED: tuple[Scenario, ...] = (
    Scenario(
        "100 million keys after a day's outage, `batchSize` 4, `newBatchThreshold` 2",
        lambda given, name: keys.after_outage(replace(given, batch_size=4, new_batch_threshold=2), name, 100 * MILLION),
        is_long=True,
    ),
    Scenario(
        "100 million keys after a day's outage, the Store takes 500 renewals/s",
        lambda given, name: keys.after_outage(given, name, 100 * MILLION, store_limit=500),
        is_long=True,
    ),
    Scenario(
        "catalogues: first sync of 200 tenants",
        lambda given, name: catalogs.once(given, name, SOME_TENANTS, Pass(PRODUCTS, PRODUCTS)),
    ),
    Scenario(
        "catalogues: first sync of 200 tenants, 40 instances at the most",
        lambda given, name: catalogs.once(
            replace(given, max_instances=40), name, SOME_TENANTS, Pass(PRODUCTS, PRODUCTS)
        ),
    ),
    Scenario(
        "catalogues: first sync of 200 tenants, the Store takes 10 calls/s of each",
        lambda given, name: catalogs.once(given, name, SOME_TENANTS, Pass(PRODUCTS, PRODUCTS), tenant_limit=10),
    ),
    Scenario(
        "seats: 1 million in one tenant, `SEAT_CHUNK_SIZE` 100",
        lambda given, name: seats.jobs(
            replace(given, seat_chunk=100, seat_time=0.6, seat_cpu=0.0064), name, 1, MILLION
        ),
    ),
    Scenario(
        "seats: 1 million in one tenant, the Store takes 10 calls/s",
        lambda given, name: seats.jobs(given, name, 1, MILLION, tenant_limit=10),
    ),
    Scenario(
        "seats: 1 million in one tenant, the Store takes 1 call/s",
        lambda given, name: seats.jobs(given, name, 1, MILLION, tenant_limit=1),
    ),
    Scenario(
        "refunds: a storm of 1 million, `REFUND_SCHEDULE` every 10 seconds",
        lambda given, name: purchases.refund_storm(given, name, MILLION, timer=10),
    ),
    Scenario(
        "refunds: a storm of 1 million, that and 32 events side by side",
        lambda given, name: purchases.refund_storm(given, name, MILLION, timer=10, side_by_side=32),
    ),
    Scenario(
        "launch day: 1,500 purchases/s for 10 minutes, one queue",
        lambda given, name: purchases.launch(given, name, _at(1_500, 600)),
        is_long=True,
    ),
)
