"""A pause: extended, never shortened, waited for only where that is not too long."""

import asyncio
import time

from shared.store.pauses import SPREAD, Pause


class Watch:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_pause_runs_out() -> None:
    watch = Watch()
    pause = Pause(monotonic=watch)
    assert pause.remaining == 0

    pause.extend(10)
    watch.now += 4
    assert pause.remaining == 6
    watch.now += 6
    assert pause.remaining == 0


def test_a_later_word_extends_a_pause_and_never_shortens_it() -> None:
    watch = Watch()
    pause = Pause(monotonic=watch)
    pause.extend(10)

    pause.extend(5)
    assert pause.remaining == 10
    pause.extend(20)
    assert pause.remaining == 20


async def test_a_pause_that_is_too_long_is_not_waited_for() -> None:
    pause = Pause(monotonic=Watch())
    pause.extend(10)

    assert not await asyncio.wait_for(pause.wait(9.9), 1)


async def test_all_who_wait_come_back_after_it_and_not_all_at_once() -> None:
    pause = Pause()
    pause.extend(0.2)
    until = time.monotonic() + 0.2

    async def waited() -> float:
        assert await pause.wait(5)
        return time.monotonic()

    back = await asyncio.gather(*(waited() for _ in range(50)))

    assert min(back) >= until
    assert max(back) - min(back) > SPREAD * 0.2 / 3


async def test_a_pause_that_grows_while_it_is_waited_for_is_waited_for_to_its_end_or_given_up() -> None:
    pause = Pause()
    pause.extend(0.1)
    patient, hasty = (asyncio.ensure_future(pause.wait(seconds)) for seconds in (5, 0.2))
    await asyncio.sleep(0)

    pause.extend(0.4)
    until = time.monotonic() + 0.4

    assert not await hasty
    assert await patient
    assert time.monotonic() >= until
