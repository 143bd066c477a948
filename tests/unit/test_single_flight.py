"""Callers who want the same thing at the same moment share one fetch."""

import asyncio

import pytest

from shared.single_flight import SingleFlight


class Source:
    """What is fetched; counts how often, and lets it go on when told."""

    def __init__(self) -> None:
        self.fetches = 0
        self.go = asyncio.Event()
        self.error: Exception | None = None

    async def fetch(self) -> int:
        self.fetches += 1
        await self.go.wait()
        if self.error:
            raise self.error
        return self.fetches


async def started(tasks: list[asyncio.Task[int]]) -> None:
    for _ in range(3):
        await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)


async def test_a_thousand_callers_cost_one_fetch() -> None:
    flights, source = SingleFlight[str, int](), Source()
    callers = [asyncio.ensure_future(flights.join("key", source.fetch)) for _ in range(1_000)]
    await started(callers)

    source.go.set()

    assert await asyncio.gather(*callers) == [1] * 1_000
    assert source.fetches == 1


async def test_other_keys_fly_on_their_own() -> None:
    flights, source = SingleFlight[str, int](), Source()
    source.go.set()

    await asyncio.gather(flights.join("one", source.fetch), flights.join("other", source.fetch))

    assert source.fetches == 2


async def test_a_caller_who_gives_up_does_not_take_the_fetch_from_the_others() -> None:
    flights, source = SingleFlight[str, int](), Source()
    first, *others = [asyncio.ensure_future(flights.join("key", source.fetch)) for _ in range(3)]
    await started([first, *others])

    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    source.go.set()

    assert await asyncio.gather(*others) == [1, 1]


async def test_a_fetch_goes_on_for_later_callers_when_all_have_given_up() -> None:
    flights, source = SingleFlight[str, int](), Source()
    callers = [asyncio.ensure_future(flights.join("key", source.fetch)) for _ in range(3)]
    await started(callers)
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)

    late = asyncio.ensure_future(flights.join("key", source.fetch))
    await started([late])
    source.go.set()

    assert await late == 1


async def test_an_error_is_every_callers_and_the_next_call_tries_again() -> None:
    flights, source = SingleFlight[str, int](), Source()
    source.error = RuntimeError("away")
    callers = [asyncio.ensure_future(flights.join("key", source.fetch)) for _ in range(10)]
    await started(callers)

    source.go.set()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    source.error = None

    assert [type(outcome) for outcome in outcomes] == [RuntimeError] * 10
    assert await flights.join("key", source.fetch) == 2


async def test_a_result_is_not_kept() -> None:
    flights, source = SingleFlight[str, int](), Source()
    source.go.set()

    assert [await flights.join("key", source.fetch) for _ in range(3)] == [1, 2, 3]
