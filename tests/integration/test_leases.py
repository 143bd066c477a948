"""Leases: one holder at a time, for as long as the holder lives, whatever answers are lost."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.errors import UnavailableError
from shared.storage.leases import ROW, Lease, Leases
from shared.storage.rows import Row
from shared.storage.tables import Table
from shared.storage.transactions import Operation
from shared.wiring import Wiring
from tests.support.app import unique
from tests.support.polling import eventually


class Losing(Table):
    """A table whose answers are lost, by the number of the write from now on."""

    lost: frozenset[int] = frozenset()
    writes = 0

    async def commit(self, operations: Sequence[Operation]) -> list[str]:
        answer = await super().commit(operations)
        self.writes += 1
        if self.writes in self.lost:
            raise UnavailableError("storage-tables", "the answer was lost")
        return answer


class Repeating(Table):
    """A table whose SDK repeats a write of which the answer was lost, once."""

    again = True

    async def commit(self, operations: Sequence[Operation]) -> list[str]:
        answer = await super().commit(operations)
        if self.again:
            self.again = False
            return await super().commit(operations)
        return answer


@pytest.fixture
def partition() -> str:
    return unique("lease")


def leases(wiring: Wiring, kind: type[Table] = Table, seconds: float = 30.0, **options: Any) -> Leases:
    return Leases(kind(wiring.core.account, "storeids"), timedelta(seconds=seconds), **options)


async def row_of(holder: Leases, partition: str) -> tuple[Row, str] | None:
    """The row and its ETag, which every write changes."""
    return await holder._table.get(partition, ROW)


async def test_one_holds_it_and_gives_it_back(wiring: Wiring, partition: str) -> None:
    mine, yours = leases(wiring), leases(wiring)

    async with mine.held(partition) as is_mine, yours.held(partition) as is_yours:
        assert (is_mine, is_yours) == (True, False)

    async with yours.held(partition) as is_yours:
        assert is_yours
    assert await row_of(mine, partition) is None


async def test_what_was_done_under_it_is_done_though_it_cannot_be_given_back(
    wiring: Wiring, partition: str, caplog: pytest.LogCaptureFixture
) -> None:
    mine = leases(wiring, Losing)
    table: Any = mine._table

    async with mine.held(partition) as is_mine:
        table.lost = frozenset({table.writes + 1})
    assert is_mine
    assert "runs out by itself" in caplog.text


async def test_of_many_at_once_one_gets_it(wiring: Wiring, partition: str) -> None:
    async def one() -> bool:
        async with leases(wiring).held(partition) as is_ours:
            await asyncio.sleep(0.5)
            return is_ours

    assert sum(await asyncio.gather(*(one() for _ in range(8)))) == 1


async def test_what_a_dead_holder_left_is_taken_over_when_it_has_run_out(wiring: Wiring, partition: str) -> None:
    now = datetime.now(UTC)
    dead, next_one = leases(wiring, clock=lambda: now - timedelta(seconds=31)), leases(wiring, clock=lambda: now)
    await dead._table.commit([Operation("create", dead._row(Lease(partition, etag='W/"x"')))])

    async with next_one.held(partition) as is_ours:
        assert is_ours


async def test_a_lost_answer_does_not_end_the_prolonging(wiring: Wiring, partition: str) -> None:
    table = Losing(wiring.core.account, "storeids")
    table.lost = frozenset({2})
    holder, lease = Leases(table, timedelta(seconds=30)), Lease(partition)
    assert await holder._take(lease)
    first = await row_of(holder, partition)

    with pytest.raises(UnavailableError):
        await holder._replace(lease)

    assert await holder._replace(lease)
    assert await row_of(holder, partition) != first
    await holder._give_back(lease)
    assert await row_of(holder, partition) is None


async def test_it_is_prolonged_while_it_is_held(wiring: Wiring, partition: str) -> None:
    holder = leases(wiring, seconds=3)

    async with holder.held(partition):
        first = await row_of(holder, partition)

        async def prolonged() -> bool:
            return await row_of(holder, partition) != first

        await eventually(prolonged)


async def test_a_lease_that_was_taken_twice_over_a_lost_answer_is_ours(wiring: Wiring, partition: str) -> None:
    holder = leases(wiring, Repeating)

    async with holder.held(partition) as is_ours:
        assert is_ours

    assert await row_of(holder, partition) is None


async def test_what_another_has_taken_over_is_left_to_them(wiring: Wiring, partition: str) -> None:
    stalled, quick = leases(wiring), leases(wiring, clock=lambda: datetime.now(UTC) + timedelta(minutes=5))

    async with stalled.held(partition), quick.held(partition) as is_theirs:
        assert is_theirs
        theirs = await row_of(quick, partition)
        await stalled._give_back(Lease(partition, etag='W/"x"'))
        assert await row_of(quick, partition) == theirs
