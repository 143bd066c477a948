"""How many workers of a process one tenant may keep waiting."""

import asyncio
from contextlib import AsyncExitStack, ExitStack

import pytest

from shared import shares as module
from shared.shares import MOST_WHILE_SLOW, Shares


class Clock:
    """Seconds that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_only_a_slow_tenant_can_use_up_its_share() -> None:
    clock = Clock()
    shares = Shares(slow=5, monotonic=clock)
    with ExitStack() as working:
        for _ in range(MOST_WHILE_SLOW):
            working.enter_context(shares.working("slow"))
        assert not shares.is_used_up("slow")
        clock.now = 5

        assert shares.is_used_up("slow")
        assert not shares.is_used_up("other")
    assert not shares.is_used_up("slow")


class TestTurns:
    """Those of one tenant come one after the other, so many at once; who would wait for long is sent away."""

    async def test_one_waits_for_those_before_it(self) -> None:
        shares, order = Shares(slow=60), []

        async def work(number: int) -> None:
            async with shares.turn("tenant") as has_come:
                assert has_come
                order.append(number)
                await asyncio.sleep(0)
                assert len(shares._began["tenant"]) <= MOST_WHILE_SLOW

        await asyncio.gather(*(work(number) for number in range(20)))

        assert order == list(range(20))

    async def test_one_of_a_tenant_that_turns_out_to_be_slow_waits_no_longer(self) -> None:
        shares = Shares(slow=0.05)
        async with AsyncExitStack() as working:
            for _ in range(MOST_WHILE_SLOW):
                assert await working.enter_async_context(shares.turn("slow"))

            async with asyncio.timeout(1), shares.turn("slow") as has_come:
                assert not has_come
            async with shares.turn("other") as has_come:
                assert has_come
        async with shares.turn("slow") as has_come:
            assert has_come

    async def test_nor_for_long_where_each_is_quick_and_there_are_many(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "LONGEST_WAIT", 0.05)
        shares = Shares(slow=60)
        async with AsyncExitStack() as working:
            for _ in range(MOST_WHILE_SLOW):
                await working.enter_async_context(shares.turn("busy"))

            async with asyncio.timeout(1), shares.turn("busy") as has_come:
                assert not has_come

    async def test_one_that_is_cancelled_while_it_waits_takes_nobodys_place(self) -> None:
        shares = Shares(slow=60)
        async with AsyncExitStack() as working:
            for _ in range(MOST_WHILE_SLOW):
                await working.enter_async_context(shares.turn("tenant"))
            waiting = asyncio.create_task(shares.turn("tenant").__aenter__())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait([waiting])

        async with AsyncExitStack() as working:
            for _ in range(MOST_WHILE_SLOW):
                assert await working.enter_async_context(shares.turn("tenant"))
