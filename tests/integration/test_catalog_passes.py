"""Passes against the emulator: after each, what is held is what the Store has."""

import asyncio
import random
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

import msgspec
import pytest

from local.control import Control
from shared.catalog.claims import Claims
from shared.catalog.content import Content
from shared.catalog.landing import Landed, settle
from shared.catalog.listing import CHANGES_TAKE
from shared.catalog.messages import DOWNLOADS_QUEUE, PASSES_QUEUE, PIECES_QUEUE, WorkMessage
from shared.catalog.record import Product, to_row
from shared.catalog.work import MAX_CLAIMS, Kind, State, Tally
from shared.errors import StateConflictError, UnavailableError
from shared.messages import GivenUpError
from shared.storage.transactions import Operation
from shared.store.models.business import InventoryStatus, ProductKey
from shared.store.wire_time import ticks
from tests.support.app import Storage
from tests.support.cataloguing import Cataloguing, Open, as_json, keys_of, tenant_id
from tests.support.polling import eventually

# A worker that dies leaves connections open that nobody closes: that is what is played here.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

INVENTORY = "/V1/Inventory$"
DETAILS = "/V1/Products/[^/]+/[^/]+$"


def concerns(queue: str) -> Any:
    return lambda sent: sent.queue == queue


class TestInStep:
    """What is held follows the Store, and costs no more calls than it must."""

    async def test_a_first_pass_brings_everything_and_a_second_asks_for_nothing(self, catalogue: Cataloguing) -> None:
        first = await catalogue.sync()

        assert first.state is State.COMPLETED
        assert first.tally.fetched == first.tally.seen == len(await catalogue.truth())
        await catalogue.equals_truth()

        since = await catalogue.control.last_seen()
        second = await catalogue.sync()

        assert second.since == first.candidate
        assert second.tally.fetched == second.tally.changed == second.tally.files == 0
        assert await catalogue.control.count(service="business", since=since) == second.tally.pages
        assert await catalogue.control.count(service="cdn", since=since) == 0

    @pytest.mark.files_of_all
    async def test_changes_are_fetched_and_nothing_else(self, catalogue: Cataloguing) -> None:
        await catalogue.sync()
        changed = keys_of(
            await catalogue.control.change_business_products(catalogue.tenant_id, count=3, renew=["details"])
        )
        changed |= keys_of(
            await catalogue.control.change_business_products(
                catalogue.tenant_id, count=2, renew=["packages", "license"]
            )
        )
        since = await catalogue.control.last_seen()

        sync = await catalogue.sync()

        assert sync.tally.fetched == sync.tally.changed == len(changed)
        assert await catalogue.control.count(service="business", path=DETAILS, since=since) == len(changed)
        await catalogue.equals_truth()

    @pytest.mark.files_of_all
    async def test_a_removed_product_is_marked_and_keeps_its_history(self, catalogue: Cataloguing) -> None:
        await catalogue.sync()
        before = await catalogue.held()
        (key,) = keys_of(
            await catalogue.control.change_business_products(
                catalogue.tenant_id, count=1, removed=True, renew=["license"]
            )
        )

        await catalogue.sync()

        after = (await catalogue.held())[key]
        assert after.entry.status is InventoryStatus.REMOVED
        assert after.content.package_set == before[key].content.package_set
        assert [each.content_id for each in after.content.licenses] == [
            each.content_id for each in before[key].content.licenses
        ]
        await catalogue.equals_truth()

        await catalogue.control.change_business_products(catalogue.tenant_id, products=[as_json(key)], removed=False)
        await catalogue.sync()
        await catalogue.equals_truth()

    @pytest.mark.files_of_all
    async def test_a_license_is_renewed_with_its_instance_id(self, catalogue: Cataloguing) -> None:
        await catalogue.sync()
        (key,) = keys_of(
            await catalogue.control.change_business_products(catalogue.tenant_id, count=1, renew=["license"])
        )
        before = (await catalogue.held())[key].content.licenses[0]

        await catalogue.sync()

        after = (await catalogue.held())[key].content.licenses[0]
        assert after.license_instance_id != before.license_instance_id
        await catalogue.equals_truth()

    @pytest.mark.files_of_all
    async def test_another_language_is_fetched_for_all(self, catalogue: Cataloguing) -> None:
        await catalogue.sync()
        catalogue.languages = ("en-us", "de-de", "ja-jp")

        sync = await catalogue.sync()

        assert sync.since == ""
        assert sync.tally.changed == sync.tally.fetched == sync.tally.seen
        assert sync.tally.repaired == 0
        await catalogue.equals_truth()

    @pytest.mark.files_of_all
    async def test_a_fallback_language_is_told(self, catalogue: Cataloguing) -> None:
        await catalogue.sync()

        details = [each.content.localized["fr-fr"] for each in (await catalogue.held()).values()]

        assert {each.language for each in details} == {"fr-fr", "en-us"}


@pytest.mark.files_of_all
class TestTheWatermark:
    """It is moved when everything has landed, and not past what may have changed meanwhile."""

    async def test_is_a_time_of_the_store_to_the_letter_and_leaves_time_for_changes(
        self, catalogue: Cataloguing
    ) -> None:
        began = datetime.now(UTC)
        await catalogue.control.change_business_products(catalogue.tenant_id, count=1, renew=["details"])

        sync = await catalogue.sync()

        limit = ticks(f"{began - CHANGES_TAKE + timedelta(minutes=1):%Y-%m-%dT%H:%M:%SZ}")
        old = [each["entry"]["lastModified"] for each in (await catalogue.truth()).values()]
        watermark = (await catalogue.shelf.tenant(catalogue.tenant_id)).watermark
        assert watermark == sync.candidate
        assert watermark == max((each for each in old if ticks(each) < limit), key=ticks)

    async def test_stays_where_something_did_not_land(self, catalogue: Cataloguing, control: Control) -> None:
        (key,) = keys_of(await control.change_business_products(catalogue.tenant_id, count=1, renew=["license"]))
        await control.disturb("business", {"status": 500}, path=f"/{key.product_id}/{key.sku_id}/OfflineLicense/")

        sync = await catalogue.sync()

        assert sync.state is State.COMPLETED_WITH_FAILURES
        assert sync.tally.failed == 1
        assert (await catalogue.shelf.tenant(catalogue.tenant_id)).watermark == ""
        assert [each.part for each in (await catalogue.held())[key].problems] == ["product"]

        await control.calm()
        mended = await catalogue.sync()

        assert mended.state is State.COMPLETED
        assert mended.tally.fetched == 1
        await catalogue.equals_truth()


class TestCrashes:
    """Whoever dies is replaced, whatever they were at."""

    @pytest.mark.parametrize("queue", [PASSES_QUEUE, PIECES_QUEUE, DOWNLOADS_QUEUE])
    async def test_a_worker_that_dies_at_any_stage_is_replaced(self, catalogue: Cataloguing, queue: str) -> None:
        started = await catalogue.starting.start([catalogue.tenant_id])
        assert await catalogue.run(until=concerns(queue))
        catalogue.sent.clear()

        await catalogue.swept()

        assert (await catalogue.found(started.sync_id)).state is State.COMPLETED
        await catalogue.equals_truth()
        assert len(await catalogue.events()) == 1

    @pytest.mark.files_of_all
    async def test_a_listing_goes_on_from_its_last_page(self, opened: Open, control: Control) -> None:
        catalogue = await opened("contoso", languages=("en-us",))
        await catalogue.starting.start([catalogue.tenant_id])
        await control.disturb("business", {"status": 500}, path=INVENTORY, after=1)
        since = await control.last_seen()
        await catalogue.worker().carry_out(catalogue.sent.pop().message)
        await control.calm()

        catalogue.sent.clear()
        await catalogue.swept()

        asked = await control.requests(service="business", path=INVENTORY, since=since)
        listed = len(await catalogue.truth())
        assert sum(each["status"] == 200 for each in asked) == ceil(listed / 100)
        products = await control.count(service="business", path=DETAILS, since=since)
        assert products == listed
        await catalogue.equals_truth(blobs=False)

    @pytest.mark.files_of_all
    async def test_a_pass_without_an_end_is_ended_and_told_once(self, catalogue: Cataloguing) -> None:
        started = await catalogue.starting.start([catalogue.tenant_id])
        (listing,) = await catalogue.shelf.todos(catalogue.tenant_id, started.sync_id)
        todo = await catalogue.shelf.todo(catalogue.tenant_id, started.sync_id, listing.name)
        assert todo
        await catalogue.shelf.table.commit([settle(todo, done=True)])

        for _ in range(3):
            await catalogue.swept()

        assert (await catalogue.found(started.sync_id)).state is State.FAILED
        (event,) = await catalogue.events()
        assert event["data"]["syncId"] == started.sync_id

    @pytest.mark.files_of_all
    async def test_an_event_that_was_not_sent_is_sent_later(self, catalogue: Cataloguing) -> None:
        events, catalogue.ending._events = catalogue.ending._events, Refusing()  # type: ignore[assignment]
        with pytest.raises(ConnectionError):
            await catalogue.sync()
        catalogue.ending._events = events

        await catalogue.swept()
        await catalogue.swept()

        assert [event["data"]["status"] for event in await catalogue.events()] == ["completed"]
        assert await catalogue.rows("outbox|") == []

    @pytest.mark.parametrize("seed", range(2))
    async def test_any_series_of_changes_faults_and_crashes_ends_as_the_store_has_it(
        self, catalogue: Cataloguing, control: Control, seed: int
    ) -> None:
        chance = random.Random(seed)
        for _ in range(2):
            await self._change(catalogue, chance)
            await control.disturb("business", {"status": 503}, probability=0.1)
            await control.disturb("business", {"status": 500, "when": "after"}, probability=0.05)
            await control.disturb("cdn", {"drop": "before"}, probability=0.1)
            await catalogue.starting.start([catalogue.tenant_id], full=False)
            for _ in range(chance.randrange(1, 4)):
                await catalogue.crash(chance.uniform(0.01, 0.4))
                catalogue.offset += timedelta(minutes=3)
                await self._change(catalogue, chance)
                await catalogue.sweeper.sweep()
            await catalogue.run()
        await control.calm()

        last = await catalogue.sync()

        assert last.state is State.COMPLETED
        await catalogue.equals_truth()

    async def _change(self, catalogue: Cataloguing, chance: random.Random) -> None:
        truth = await catalogue.truth()
        chosen = chance.sample(sorted(truth, key=str), chance.randrange(1, 4))
        part = chance.choice(["details", "description", "artwork", "packages", "license"])
        change: dict[str, Any] = chance.choice(
            [{"renew": [part]}, {"capacity": chance.randrange(500)}, {"removed": chance.random() < 0.5}]
        )
        await catalogue.control.change_business_products(
            catalogue.tenant_id, products=[as_json(key) for key in chosen], **change
        )


class Refusing:
    """A queue of events that is away."""

    async def send(self, event: object) -> None:
        raise ConnectionError


@pytest.mark.files_of_all
class TestOneAtATime:
    """At most one pass a tenant."""

    async def test_who_asks_while_a_pass_runs_is_led_to_it(self, catalogue: Cataloguing) -> None:
        first = await catalogue.starting.start([catalogue.tenant_id])

        second = await catalogue.starting.start([catalogue.tenant_id])

        assert second.sync_id == first.sync_id
        assert not second.begun

    async def test_a_full_pass_has_to_wait_for_one_that_is_not(self, catalogue: Cataloguing) -> None:
        await catalogue.starting.start([catalogue.tenant_id])

        with pytest.raises(StateConflictError) as conflict:
            await catalogue.starting.start([catalogue.tenant_id], full=True)

        assert conflict.value.retry_after
        await catalogue.run()
        assert (await catalogue.starting.start([catalogue.tenant_id], full=True)).begun

    async def test_many_who_ask_at_once_begin_one(self, catalogue: Cataloguing) -> None:
        started = await asyncio.gather(*(catalogue.starting.start([catalogue.tenant_id]) for _ in range(8)))
        await catalogue.run()

        passes = {(await catalogue.found(each.sync_id)).sync_id for each in started}
        assert len(passes) == 1
        assert len(await catalogue.events()) == 1

    async def test_two_workers_on_everything_count_and_write_once(self, catalogue: Cataloguing) -> None:
        started = await catalogue.starting.start([catalogue.tenant_id])
        while catalogue.sent:
            sent, catalogue.sent[:] = list(catalogue.sent), []
            workers = [catalogue.worker() for _ in range(2)]
            await asyncio.gather(*(each.carry_out(one.message) for one in sent for each in workers))
            catalogue.offset += timedelta(seconds=30)

        sync = await catalogue.found(started.sync_id)
        assert sync.state is State.COMPLETED
        assert sync.tally.fetched == sync.tally.changed == sync.tally.seen == len(await catalogue.truth())
        await catalogue.equals_truth()

    async def test_a_message_for_a_tenant_that_is_not_configured_can_never_succeed(
        self, catalogue: Cataloguing
    ) -> None:
        await catalogue.starting.start(["nobody"])

        with pytest.raises(GivenUpError, match="nobody is not configured"):
            await catalogue.run()


@pytest.mark.files_of_all
class TestATroubledStore:
    """Whatever the Store does, what can be had is had."""

    async def test_a_storm_of_429_is_waited_out(self, catalogue: Cataloguing, control: Control) -> None:
        await control.disturb("business", {"status": 429, "retryAfter": 25}, times=40, after=3)

        sync = await catalogue.sync()

        assert sync.state is State.COMPLETED
        await catalogue.equals_truth()

    async def test_a_product_that_vanishes_between_listing_and_details_is_kept_and_told(
        self, catalogue: Cataloguing, control: Control
    ) -> None:
        await catalogue.sync()
        (key,) = keys_of(await control.change_business_products(catalogue.tenant_id, count=1, renew=["details"]))
        held = (await catalogue.held())[key]
        await catalogue.starting.start([catalogue.tenant_id])
        await catalogue.run(until=concerns(PIECES_QUEUE))
        await control.change_business_products(catalogue.tenant_id, products=[as_json(key)], vanished=True)

        await catalogue.run()

        after = (await catalogue.held())[key]
        assert [each.part for each in after.problems] == ["details"]
        assert after.content == held.content
        assert not await catalogue.rows("todo|")
        await control.change_business_products(catalogue.tenant_id, products=[as_json(key)], vanished=False)
        await catalogue.sync()
        await catalogue.equals_truth()

    async def test_a_language_that_is_refused_holds_up_nothing_else(
        self, catalogue: Cataloguing, control: Control
    ) -> None:
        await control.disturb("business", {"status": 404}, path="/LocalizedDetails/fr-fr$", times=1)

        sync = await catalogue.sync()

        assert sync.state is State.COMPLETED
        assert sync.tally.problems == 1
        (product,) = [each for each in (await catalogue.held()).values() if each.problems]
        assert [each.part for each in product.problems] == ["localized:fr-fr"]
        assert product.content.details
        assert list(product.content.localized) == ["en-us"]

    async def test_a_listing_whose_place_is_forgotten_begins_anew_and_fetches_nothing_twice(
        self, opened: Open, control: Control
    ) -> None:
        catalogue = await opened("contoso", languages=("en-us",))
        await control.disturb("business", {"status": 400}, path=INVENTORY, after=1, times=1)
        since = await control.last_seen()

        sync = await catalogue.sync()

        assert sync.state is State.COMPLETED
        assert sync.restarts == 1
        assert sync.tally.seen == len(await catalogue.truth())
        assert await control.count(service="business", path=DETAILS, since=since) == sync.tally.seen

    async def test_a_store_that_takes_no_token_of_ours_fails_the_pass_and_says_why(
        self, catalogue: Cataloguing, control: Control
    ) -> None:
        await catalogue.sync()
        watermark = (await catalogue.shelf.tenant(catalogue.tenant_id)).watermark
        await control.disturb("business", {"status": 401})

        sync = await catalogue.sync()

        assert sync.state is State.FAILED
        assert "401" in sync.reason
        assert (await catalogue.shelf.tenant(catalogue.tenant_id)).watermark == watermark
        assert [each["data"]["status"] for each in await catalogue.events()] == ["completed", "failed"]
        await control.calm()
        assert (await catalogue.sync()).state is State.COMPLETED


class TestAFullPass:
    """It finds what nobody told."""

    async def test_repairs_drift_and_reports_it(self, catalogue: Cataloguing) -> None:
        await catalogue.sync()
        key, product = next(iter((await catalogue.held()).items()))
        drifted = Product(
            product.entry, Content(), (), complete=True, basis=product.basis, changed_on=product.changed_on
        )
        await catalogue.shelf.table.commit([Operation("put", to_row(catalogue.tenant_id, drifted))])
        assert (await catalogue.sync()).tally.repaired == 0

        sync = await catalogue.sync(full=True)

        assert sync.tally.repaired == sync.tally.changed == 1
        assert (await catalogue.held())[key].content.details
        await catalogue.equals_truth()

    async def test_brings_back_files_that_somebody_deleted(self, catalogue: Cataloguing, storage: Storage) -> None:
        await catalogue.sync()
        await storage.delete_container(catalogue.containers["artwork"].name)

        await catalogue.sync(full=True)

        await catalogue.equals_truth()

    @pytest.mark.files_of_all
    async def test_marks_what_the_store_says_is_gone_and_nothing_else(
        self, catalogue: Cataloguing, control: Control
    ) -> None:
        await catalogue.sync()
        product = next(each for each in (await catalogue.held()).values() if each.entry.status == "Active")
        entry = msgspec.structs.replace(product.entry, product_key=ProductKey("9GONE0000000", "0010"))
        gone = Product(entry, product.content, (), complete=True, basis=product.basis, changed_on=product.changed_on)
        await catalogue.shelf.table.commit([Operation("create", to_row(catalogue.tenant_id, gone))])
        truth = await catalogue.truth()
        shown = [each["entry"] for each in truth.values()]
        forgotten = next(each for each in shown if each["status"] == "Active" and each["licenseType"] == "Online")
        listing = {"inventoryEntries": [each for each in shown if each != forgotten]}

        await control.disturb("business", {"status": 200, "body": listing}, path=INVENTORY)
        partial = await catalogue.sync()
        full = await catalogue.sync(full=True)

        assert partial.tally.removed == 0
        assert (full.tally.removed, full.tally.unlisted) == (1, 1)
        held = await catalogue.held()
        assert held[entry.product_key].entry.status is InventoryStatus.REMOVED
        assert held[entry.product_key].content.details
        kept = held[msgspec.convert(forgotten["productKey"], ProductKey)]
        assert kept.entry.status is InventoryStatus.ACTIVE
        assert [each.part for each in kept.problems] == ["inventory"]
        await control.calm()
        await catalogue.sync(full=True)
        assert not (await catalogue.held())[kept.entry.product_key].problems


@pytest.mark.files_of_all
class TestLanding:
    """What came of a piece is written at once, and what cannot be written holds up nothing else."""

    async def test_a_row_that_storage_does_not_take_is_counted_as_failed(self, catalogue: Cataloguing) -> None:
        started = await catalogue.starting.start([catalogue.tenant_id])
        todo = await catalogue.shelf.todo(catalogue.tenant_id, started.sync_id, Kind.LISTING)
        assert todo
        rows = [{"PartitionKey": catalogue.tenant_id, "RowKey": f"product|{each}"} for each in ("a", "b" * 2000, "c")]
        landed = [Landed(row["RowKey"], Tally(changed=1), row) for row in rows]

        assert await catalogue.landing.land(todo, landed, [], msgspec.json.encode)

        assert {row["RowKey"] for row in await catalogue.rows("product|")} == {"product|a", "product|c"}
        counted, _ = await catalogue.shelf.counted(catalogue.tenant_id, started.sync_id)
        assert (counted.changed, counted.failed) == (2, 1)
        assert not await catalogue.shelf.has_todos(catalogue.tenant_id, started.sync_id)


SLOTS = 8
"""Messages of one queue that a process works on at once."""


@pytest.mark.files_of_all
class TestTenants:
    """Each tenant has its own passes, limits and failures."""

    @pytest.mark.parametrize("trouble", [{"latencyMs": 20_000}, {"status": 429, "retryAfter": 15}])
    async def test_one_that_is_slow_or_throttled_holds_up_no_other(
        self, opened: Open, control: Control, monkeypatch: pytest.MonkeyPatch, trouble: dict[str, int]
    ) -> None:
        """They share one process, which has room for fewer messages than the one tenant alone has."""
        catalogue = await opened("fabrikam", languages=("en-us",))
        other = await tenant_id(control, "northwind")
        theirs = {each["productKey"]["productId"] for each in await control.business_products(other)}
        ids = {key.product_id for key in await catalogue.truth()} - theirs
        monkeypatch.setattr("shared.catalog.listing.MAX_PRODUCTS", 5)
        monkeypatch.setattr("shared.catalog.working.SLOW", 1.0)
        monkeypatch.setattr("shared.catalog.working.PUT_OFF", (0.5, 1.5))
        await control.disturb("business", trouble, path=f"/({'|'.join(ids)})/")
        slow = await catalogue.starting.start([catalogue.tenant_id])
        await catalogue.run(until=lambda sent: sent.queue == PIECES_QUEUE)
        assert len(catalogue.sent) > SLOTS
        quick = await catalogue.starting.start([other])

        async def ended() -> bool:
            (sync,) = await catalogue.starting.find([other], quick.sync_id)
            return sync.state is State.COMPLETED

        async with catalogue.hosted(SLOTS):
            await eventually(ended, 15)

        assert (await catalogue.found(slow.sync_id)).state is State.RUNNING

    async def test_a_crowd_that_is_put_off_comes_back_spread(
        self, catalogue: Cataloguing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("shared.catalog.listing.MAX_PRODUCTS", 2)
        monkeypatch.setattr("shared.catalog.working.CROWD", 60.0)
        monkeypatch.setattr("shared.shares.LONGEST_WAIT", 0.0)
        await catalogue.starting.start([catalogue.tenant_id])
        await catalogue.run(until=lambda sent: sent.queue == PIECES_QUEUE)
        pieces = [each for each in catalogue.sent if each.queue == PIECES_QUEUE]
        assert len(pieces) >= 10
        worker, began_on = catalogue.worker(), catalogue.clock()
        catalogue.sent.clear()

        for each in pieces:
            await worker.carry_out(each.message)

        waits = [(each.visible_on - began_on).total_seconds() for each in catalogue.sent]
        assert len(waits) == len(pieces)
        assert 60 < max(waits) < 620

    async def test_a_listing_that_is_throttled_waits_for_as_long_as_the_store_says(
        self, catalogue: Cataloguing, control: Control
    ) -> None:
        await catalogue.starting.start([catalogue.tenant_id])
        await control.disturb("business", {"status": 429, "retryAfter": 3600}, times=1)

        await catalogue.worker().carry_out(catalogue.sent.pop().message)

        (waiting,) = catalogue.sent
        assert waiting.visible_on - catalogue.clock() > timedelta(minutes=55)
        (todo,) = await catalogue.shelf.todos(catalogue.tenant_id, waiting.message.sync_id)
        assert todo.kind is Kind.LISTING
        assert "429" in (await catalogue.found(waiting.message.sync_id)).reason


class TestClaims:
    """A message that comes twice does not double the work."""

    async def test_who_comes_while_somebody_is_at_a_piece_does_nothing(
        self, catalogue: Cataloguing, control: Control
    ) -> None:
        started = await catalogue.starting.start([catalogue.tenant_id])
        await catalogue.run(until=lambda sent: sent.queue == PIECES_QUEUE)
        message = catalogue.sent.pop(0).message
        await control.disturb("business", {"latencyMs": 200}, path="/Products/")
        since = await control.last_seen()
        first = asyncio.create_task(catalogue.worker().carry_out(message))
        await eventually(lambda: _is_claimed(catalogue, message))

        await catalogue.worker().carry_out(message)
        await first

        asked = [each["path"] for each in await control.requests(service="business", path=DETAILS, since=since)]
        assert asked
        assert len(asked) == len(set(asked))
        await catalogue.run()
        assert (await catalogue.found(started.sync_id)).state is State.COMPLETED

    @pytest.mark.parametrize("queue", [PIECES_QUEUE, DOWNLOADS_QUEUE])
    async def test_a_piece_that_every_worker_dies_over_does_not_keep_its_pass_from_an_end(
        self, catalogue: Cataloguing, queue: str
    ) -> None:
        started = await catalogue.starting.start([catalogue.tenant_id])
        await catalogue.run(until=concerns(queue))
        message = next(each.message for each in catalogue.sent if each.queue == queue)
        for _ in range(MAX_CLAIMS):
            todo = await catalogue.shelf.todo(message.tenant_id, message.sync_id, message.todo)
            assert todo
            assert todo.is_due(catalogue.clock())
            assert await Claims(catalogue.shelf, clock=catalogue.clock).take(todo)
            catalogue.offset += timedelta(minutes=2)

        await catalogue.run()

        sync = await catalogue.found(started.sync_id)
        assert sync.state is State.COMPLETED_WITH_FAILURES
        reasons = {each.reason for product in (await catalogue.held()).values() for each in product.problems}
        assert any("died" in reason for reason in reasons)
        await catalogue.sync()
        await catalogue.equals_truth()

    async def test_one_who_could_not_write_leaves_the_piece_to_the_next_message(
        self, catalogue: Cataloguing, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await catalogue.starting.start([catalogue.tenant_id])
        await catalogue.run(until=lambda sent: sent.queue == PIECES_QUEUE)
        message = catalogue.sent[0].message
        with monkeypatch.context() as away:
            away.setattr(catalogue.landing, "land", _away)
            with pytest.raises(UnavailableError):
                await catalogue.worker().carry_out(message)

        todo = await catalogue.shelf.todo(message.tenant_id, message.sync_id, message.todo)

        assert todo
        assert todo.is_due(catalogue.clock())


async def _is_claimed(catalogue: Cataloguing, message: WorkMessage) -> bool:
    todo = await catalogue.shelf.todo(message.tenant_id, message.sync_id, message.todo)
    return todo is not None and not todo.is_due(catalogue.clock())


async def _away(*_: object, **__: object) -> None:
    raise UnavailableError("storage-tables", "is away")
