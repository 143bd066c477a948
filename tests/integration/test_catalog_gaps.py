"""Passes that must neither hang nor take a bad moment for the truth."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from local.control import Control
from shared.catalog import bringing, missing, pieces
from shared.catalog.messages import DOWNLOADS_QUEUE, PIECES_QUEUE
from shared.catalog.pieces import Piece
from shared.catalog.record import Product, to_row
from shared.catalog.work import State
from shared.errors import UnavailableError
from shared.storage.tables import Table
from shared.storage.transactions import ConflictError, Operation
from shared.store.models.business import InventoryStatus, ProductKey
from tests.support.cataloguing import Cataloguing, Open

INVENTORY = "/V1/Inventory$"
DETAILS = "/V1/Products/[^/]+/[^/]+$"
FORBIDDEN = {"status": 403}
SILENT = {"latencyMs": 20_000}


async def test_a_listing_that_cannot_be_written_fails_its_pass_and_keeps_nobody_from_the_next(
    catalogue: Cataloguing, control: Control
) -> None:
    await lists(catalogue, ["9" * 70_000])

    sync = await catalogue.sync()

    assert sync.state is State.FAILED
    assert "unforeseen" in sync.reason
    await control.calm()
    assert (await catalogue.sync()).state is State.COMPLETED


class Stumbling(Table):
    """A table that is away for a moment, in the midst of a page."""

    left = 5

    async def commit(self, operations: Sequence[Operation]) -> list[str]:
        self.left -= 1
        if not self.left:
            raise UnavailableError("storage-tables", "is away")
        return await super().commit(operations)


@pytest.mark.files_of_all
async def test_a_page_of_more_than_was_asked_for_is_written_in_portions(catalogue: Cataloguing) -> None:
    ids = [f"9{number:011}" for number in range(6_000)]
    await lists(catalogue, ids)
    catalogue.shelf.table = Stumbling(catalogue.shelf.table._account, catalogue.name)
    started = await catalogue.starting.start([catalogue.tenant_id], full=True)

    message = catalogue.sent.pop(0).message
    with pytest.raises(UnavailableError):
        await catalogue.worker().carry_out(message)
    sync = await catalogue.found(started.sync_id)
    assert 0 < sync.tally.seen < len(ids)
    assert not sync.listed

    await catalogue.worker().carry_out(message)

    sync = await catalogue.found(started.sync_id)
    assert (sync.listed, sync.tally.seen) == (True, len(ids))
    pieces = [
        await catalogue.shelf.todo(catalogue.tenant_id, started.sync_id, sent.message.todo)
        for sent in catalogue.sent
        if sent.queue == PIECES_QUEUE
    ]
    wanted = [each for todo in pieces if todo for each in msgspec.json.decode(todo.payload, type=Piece).wanted]
    assert sorted(each.entry.product_key.product_id for each in wanted) == ids


async def lists(catalogue: Cataloguing, ids: Sequence[str]) -> None:
    """Have the Store list these products on one page, whatever it was asked for."""
    entry = next(iter((await catalogue.truth()).values()))["entry"]
    entries = [{**entry, "productKey": {"productId": each, "skuId": "0010"}} for each in ids]
    body = {"inventoryEntries": entries}
    await catalogue.control.disturb("business", {"status": 200, "body": body}, path=INVENTORY)


class Forgetful(Table):
    """A table whose first answer is lost: the client sends the transaction again, and meets its own rows."""

    lost = False

    async def commit(self, operations: Sequence[Operation]) -> list[str]:
        written = await super().commit(operations)
        if not self.lost:
            self.lost = True
            raise ConflictError(0)
        return written


@pytest.mark.files_of_all
async def test_a_pass_whose_beginning_was_answered_to_nobody_runs_at_once(catalogue: Cataloguing) -> None:
    table, catalogue.shelf.table = catalogue.shelf.table, Forgetful(catalogue.wiring.core.account, catalogue.name)
    started = await catalogue.starting.start([catalogue.tenant_id])
    catalogue.shelf.table = table

    sync = await catalogue.shelf.find_pass(catalogue.tenant_id, started.sync_id)
    assert sync
    assert sync.joined == ""
    assert len(catalogue.sent) == 1
    await catalogue.run()
    assert (await catalogue.found(started.sync_id)).state is State.COMPLETED


class Away:
    """A queue of events that is away."""

    async def send(self, event: object) -> None:
        raise ConnectionError


@pytest.mark.files_of_all
async def test_an_end_that_is_told_late_clears_nothing_away_of_the_pass_that_runs(
    catalogue: Cataloguing, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as away:
        away.setattr(catalogue.ending, "_events", Away())
        with pytest.raises(ConnectionError):
            await catalogue.sync()
    # Begun in the same second, or by an instance whose clock is behind: its id sorts before the other's.
    monkeypatch.setattr("shared.catalog.starting.new_sync_id", lambda now: "20200101T000000Z-00000000")
    started = await catalogue.starting.start([catalogue.tenant_id], full=True)
    await catalogue.run(until=lambda sent: sent.queue == DOWNLOADS_QUEUE)
    counted = await catalogue.shelf.counted(catalogue.tenant_id, started.sync_id)
    assert counted[0].fetched

    await catalogue.ending.tell(catalogue.tenant_id)

    assert await catalogue.shelf.counted(catalogue.tenant_id, started.sync_id) == counted
    assert await catalogue.rows("outbox|") == []


@pytest.mark.files_of_all
class TestAStoreThatForbids:
    """403 is about us, and says nothing of a product: whoever manages the tenant may take it back."""

    async def test_products_are_asked_for_again(self, catalogue: Cataloguing, control: Control) -> None:
        await control.disturb("business", FORBIDDEN, path=DETAILS, times=3)

        sync = await catalogue.sync()

        assert sync.state is State.COMPLETED
        assert sync.tally.problems == 0
        await catalogue.equals_truth()

    async def test_what_is_never_allowed_leaves_the_watermark_where_it_was(
        self, catalogue: Cataloguing, control: Control
    ) -> None:
        await control.disturb("business", FORBIDDEN, path=DETAILS)

        sync = await catalogue.sync()

        assert sync.state is State.COMPLETED_WITH_FAILURES
        assert (await catalogue.shelf.tenant(catalogue.tenant_id)).watermark == ""
        await control.calm()
        await catalogue.sync()
        await catalogue.equals_truth()

    async def test_what_is_gone_is_still_found_out(self, catalogue: Cataloguing, control: Control) -> None:
        await catalogue.sync()
        key = await gone(catalogue)
        await control.disturb("business", FORBIDDEN, path=f"/{key.product_id}/", times=1)

        sync = await catalogue.sync(full=True)

        assert (sync.tally.removed, sync.tally.unlisted) == (1, 0)
        assert (await catalogue.held())[key].entry.status is InventoryStatus.REMOVED


class TestTime:
    """Nobody works on a piece for longer than a function may last: the rest is left to the next try."""

    @pytest.mark.parametrize(
        ("module", "queue", "service", "path"),
        [(pieces, PIECES_QUEUE, "business", DETAILS), (bringing, DOWNLOADS_QUEUE, "cdn", "")],
    )
    async def test_a_piece_is_left_in_time_and_done_later(
        self,
        catalogue: Cataloguing,
        control: Control,
        monkeypatch: pytest.MonkeyPatch,
        module: Any,
        queue: str,
        service: str,
        path: str,
    ) -> None:
        started = await catalogue.starting.start([catalogue.tenant_id])
        assert await catalogue.run(until=lambda sent: sent.queue == queue)
        message = next(sent.message for sent in catalogue.sent if sent.queue == queue)
        await control.disturb(service, SILENT, path=path)

        with monkeypatch.context() as hurried:
            hurried.setattr(module, "BUDGET", 0.5)
            async with asyncio.timeout(10):
                await catalogue.worker().carry_out(message)

        todo = await catalogue.shelf.todo(catalogue.tenant_id, started.sync_id, message.todo)
        assert todo
        assert todo.attempts == 1
        await control.calm()
        await catalogue.run()
        assert (await catalogue.found(started.sync_id)).state is State.COMPLETED
        await catalogue.equals_truth()

    async def test_so_is_the_question_whether_products_are_gone(
        self, catalogue: Cataloguing, control: Control, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await catalogue.sync()
        key = await gone(catalogue)
        await catalogue.starting.start([catalogue.tenant_id], full=True)
        assert await catalogue.run(until=lambda sent: sent.message.todo.startswith("missing"))
        message = next(sent.message for sent in catalogue.sent if sent.message.todo.startswith("missing"))
        await control.disturb("business", SILENT, path=f"/{key.product_id}/")

        with monkeypatch.context() as hurried:
            hurried.setattr(missing, "BUDGET", 0.5)
            async with asyncio.timeout(10):
                await catalogue.worker().carry_out(message)

        assert (await catalogue.held())[key].entry.status is InventoryStatus.ACTIVE
        await control.calm()
        await catalogue.run()
        assert (await catalogue.held())[key].entry.status is InventoryStatus.REMOVED


@pytest.mark.files_of_all
async def test_pieces_of_a_throttled_tenant_make_way_for_those_of_others(
    opened: Open, control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its Store has just been too busy for one of them; the others would wait there as long, each on a worker."""
    slow = await opened("contoso", languages=("en-us",))
    started = await slow.starting.start([slow.tenant_id])
    await slow.run(until=lambda sent: sent.queue == PIECES_QUEUE)
    first, second = (sent.message for sent in slow.sent[:2] if sent.queue == PIECES_QUEUE)
    await control.disturb("business", {"status": 429, "retryAfter": 1}, path="/Products/")
    monkeypatch.setattr("shared.store.business_calls.PATIENCE", 1.5)
    worker = slow.worker()
    await worker.carry_out(first)
    since = await control.last_seen()

    await worker.carry_out(second)

    assert await control.count(service="business", since=since) == 0
    todos = {each.name: each for each in await slow.shelf.todos(slow.tenant_id, started.sync_id)}
    assert (todos[first.todo].attempts, todos[second.todo].attempts) == (1, 0)
    assert not todos[second.todo].is_due(slow.clock())


async def gone(catalogue: Cataloguing) -> ProductKey:
    """A product that is held as active, licensed online, and that the Store has forgotten."""
    held = (await catalogue.held()).values()
    product = next(each for each in held if (each.entry.status, each.entry.license_type) == ("Active", "Online"))
    key = ProductKey("9FORGOTTEN00", "0010")
    entry = msgspec.structs.replace(product.entry, product_key=key)
    row = to_row(
        catalogue.tenant_id,
        Product(entry, product.content, (), complete=True, basis=product.basis, changed_on=product.changed_on),
    )
    await catalogue.shelf.table.commit([Operation("create", row)])
    return key
