"""Whatever comes in between, the results of the jobs, read in the order of their turns, are the Store's state."""

import asyncio
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local.control import Control
from shared.seats.record import Job
from shared.seats.states import Action, UserStatus
from shared.store.models.business import ProductKey
from shared.wiring import Wiring
from tests.support.seating import Seating, a_tenant

FAULTS: list[dict[str, Any]] = [
    {"status": 500, "when": "after"},
    {"drop": "after"},
    {"drop": "before"},
    {"status": 503},
]

jobs = st.lists(
    st.tuples(
        st.integers(0, 1),  # product
        st.sampled_from(Action),
        st.sets(st.integers(0, 14), min_size=1),
    ),
    min_size=2,
    max_size=6,
)
disturbances = st.lists(st.tuples(st.sampled_from(FAULTS), st.integers(0, 12)), max_size=3)


@given(jobs=jobs, disturbances=disturbances, deaths=st.sets(st.integers(1, 12), max_size=2), seed=st.integers(0, 2**16))
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_record_is_the_stores_state(
    wiring: Wiring,
    control: Control,
    jobs: list[tuple[int, Action, set[int]]],
    disturbances: list[tuple[dict[str, Any], int]],
    deaths: set[int],
    seed: int,
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        # Jobs of a few users have several blocks, too, of which some are under way at once.
        patched.setattr("shared.seats.record.CHUNKS_A_BLOCK", 1)
        patched.setattr("shared.seats.record.LEAST_USERS", 1)
        patched.setattr("shared.seats.course.WINDOW", 1 + seed % 3)
        await _play(Seating(wiring, control, await a_tenant(control), chunk=3), jobs, disturbances, deaths, seed)


async def _play(
    seating: Seating,
    jobs: list[tuple[int, Action, set[int]]],
    disturbances: list[tuple[dict[str, Any], int]],
    deaths: set[int],
    seed: int,
) -> None:
    control = seating.control
    # The second has fewer seats than users, and two of the users do not exist.
    products = [await seating.product(), await seating.product(capacity=8)]
    everybody = [*seating.tenant.users(13), *seating.tenant.strangers(2)]
    for effect, after in disturbances:
        await control.disturb("business", effect, path="/Seats", method="POST", after=after, times=2)

    accepted: list[Job] = []
    chance = random.Random(seed)
    for number, (which, action, members) in enumerate(jobs):
        users = [everybody[member] for member in sorted(members)]
        accepted.append(await seating.accepted(products[which], users, action))
        for _ in range(chance.randrange(4)):
            await _workers(seating, chance)
        if number + 1 in deaths:
            seating.died()
    await control.calm()
    for _ in range(3):
        await seating.swept()

    for product in products:
        assert await seating.seats(product) == await _recorded(seating, product, accepted)


async def _workers(seating: Seating, chance: random.Random) -> None:
    """Some workers, each with some message, or with one that another has, too."""
    messages = [*seating.turns_queue.messages, *seating.blocks_queue.messages]
    seating.died()
    chance.shuffle(messages)
    count = chance.randint(0, len(messages))
    picked = [*messages[:count], *messages[: chance.randint(0, count)]]
    for left in messages[count:]:
        await (seating.turns_queue if type(left).__name__ == "TurnMessage" else seating.blocks_queue).send(left)
    await asyncio.gather(*(seating.handle(seating.course(), message) for message in picked))


async def _recorded(seating: Seating, product: ProductKey, accepted: list[Job]) -> set[str]:
    """Who has a seat, by the results alone."""
    held: set[str] = set()
    of_product = [job for job in accepted if job.product == product]
    for job in sorted(of_product, key=lambda job: job.turn):
        for result in await seating.outcomes(job.job_id):
            assert result.status is not UserStatus.PENDING
            if result.status is UserStatus.SUCCEEDED:
                (held.add if job.action is Action.ASSIGN else held.discard)(result.user_name)
    return held
