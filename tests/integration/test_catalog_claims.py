"""Who works on a piece: what becomes of it where answers are lost, a worker wakes late, or nobody can do it."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from shared.catalog import claims
from shared.catalog.bringing import Bringing
from shared.catalog.claims import Claims
from shared.catalog.messages import DOWNLOADS_QUEUE, PIECES_QUEUE, WorkMessage
from shared.catalog.pieces import Pieces
from shared.catalog.work import MAX_CLAIMS, State, Todo
from shared.errors import UnavailableError
from shared.storage.tables import Table
from shared.storage.transactions import Operation, TransactionError
from shared.store.business import BusinessStore
from tests.support.cataloguing import Cataloguing
from tests.support.polling import eventually


class Repeating(Table):
    """A table whose SDK repeats a write of which the answer was lost."""

    again = False

    async def commit(self, operations: Sequence[Operation]) -> list[str]:
        answer = await super().commit(operations)
        if self.again:
            self.again = False
            return await super().commit(operations)
        return answer


async def begun(catalogue: Cataloguing, queue: str = PIECES_QUEUE) -> WorkMessage:
    """The first message of a pass on a queue, still to be carried out."""
    await catalogue.starting.start([catalogue.tenant_id])
    await catalogue.run(until=lambda sent: sent.queue == queue)
    return next(each.message for each in catalogue.sent if each.queue == queue)


async def row_of(catalogue: Cataloguing, message: WorkMessage) -> Todo:
    todo = await catalogue.shelf.todo(message.tenant_id, message.sync_id, message.todo)
    assert todo
    return todo


async def test_a_claim_whose_answer_was_lost_is_ours(catalogue: Cataloguing, monkeypatch: pytest.MonkeyPatch) -> None:
    message = await begun(catalogue)
    table = Repeating(catalogue.shelf.table._account, catalogue.name)
    catalogue.shelf.table = table
    table.again = True

    claimed = await Claims(catalogue.shelf, clock=catalogue.clock).take(await row_of(catalogue, message))

    found = await row_of(catalogue, message)
    assert claimed
    assert (claimed.claimed_by, claimed.claims, claimed.etag) == (found.claimed_by, 1, found.etag)
    monkeypatch.setattr(claims, "HEARTBEAT", 0.05)
    async with Claims(catalogue.shelf, clock=catalogue.clock).kept(claimed) as kept:
        table.again = True
        await eventually(lambda: _true(not table.again and kept.todo.etag != found.etag))
    assert kept.todo.etag == (await row_of(catalogue, message)).etag


async def test_who_was_replaced_does_not_let_go_what_is_anothers(catalogue: Cataloguing) -> None:
    message = await begun(catalogue)
    late = await Claims(catalogue.shelf, clock=catalogue.clock).take(await row_of(catalogue, message))
    assert late
    catalogue.offset += timedelta(minutes=2)
    assert await Claims(catalogue.shelf, clock=catalogue.clock).take(await row_of(catalogue, message))
    anothers = await row_of(catalogue, message)

    await Claims(catalogue.shelf, clock=catalogue.clock).release(late, failed=False)

    assert anothers == await row_of(catalogue, message)


async def test_of_two_who_claim_at_the_same_moment_one_gets_it(catalogue: Cataloguing) -> None:
    todo = await row_of(catalogue, await begun(catalogue))
    now = catalogue.clock()

    got = await asyncio.gather(*(Claims(catalogue.shelf, clock=lambda: now).take(todo) for _ in range(4)))

    assert sum(each is not None for each in got) == 1


@pytest.mark.parametrize(("queue", "kind"), [(PIECES_QUEUE, Pieces), (DOWNLOADS_QUEUE, Bringing)])
async def test_a_piece_that_nobody_can_do_does_not_keep_its_pass_from_an_end(
    catalogue: Cataloguing, monkeypatch: pytest.MonkeyPatch, queue: str, kind: Any
) -> None:
    message = await begun(catalogue, queue)

    async def unforeseen(self: Any, store: BusinessStore, todo: Todo) -> None:
        if todo.name == message.todo:
            raise TypeError("nobody foresaw it")
        await work(self, store, todo)

    work = kind.work
    monkeypatch.setattr(kind, "work", unforeseen)
    for _ in range(MAX_CLAIMS):
        with pytest.raises(TypeError):
            await catalogue.worker().carry_out(message)

    await catalogue.run()

    assert (await catalogue.found(message.sync_id)).state is State.COMPLETED_WITH_FAILURES


async def test_storage_that_is_away_counts_as_nobodys_failure(
    catalogue: Cataloguing, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = await begun(catalogue)

    async def away(*_: object, **__: object) -> None:
        raise UnavailableError("storage-tables", "is away")

    monkeypatch.setattr(catalogue.landing, "land", away)

    with pytest.raises(UnavailableError):
        await catalogue.worker().carry_out(message)

    assert (await row_of(catalogue, message)).claims == 0


async def test_a_problem_that_its_product_has_no_room_for_ends_no_work(catalogue: Cataloguing) -> None:
    message = await begun(catalogue, DOWNLOADS_QUEUE)
    await catalogue.control.disturb("cdn", {"status": 403})

    class Full(Table):
        async def commit(self, operations: Sequence[Operation]) -> list[str]:
            if operations[0].row["RowKey"].startswith("product|"):
                raise TransactionError(413)
            return await super().commit(operations)

    catalogue.shelf.table = Full(catalogue.shelf.table._account, catalogue.name)

    await catalogue.worker().carry_out(message)

    assert await catalogue.shelf.todo(message.tenant_id, message.sync_id, message.todo) is None


async def test_where_storage_is_away_nobody_goes_on_unseen(
    catalogue: Cataloguing, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = await begun(catalogue)
    at_it: set[asyncio.Task[None] | None] = set()

    async def judged(*_: object) -> None:
        at_it.add(asyncio.current_task())
        try:
            if len(at_it) == 2:
                raise UnavailableError("storage-tables", "is away")
            await asyncio.sleep(30)
        finally:
            at_it.discard(asyncio.current_task())

    monkeypatch.setattr(Pieces, "_judged", judged)

    with pytest.raises(UnavailableError):
        await catalogue.worker().carry_out(message)

    assert not at_it


async def _true(value: bool) -> bool:
    return value
