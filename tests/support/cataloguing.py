"""The catalogue in this process, against real servers, with messages and a clock that a test moves."""

import asyncio
import base64
import gc
import hashlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from local.control import Control
from shared.catalog.basis import Basis
from shared.catalog.bringing import Bringing
from shared.catalog.content import with_lasting_addresses, without_addresses
from shared.catalog.downloader import Downloader
from shared.catalog.ending import Ending
from shared.catalog.fetching import Fetching
from shared.catalog.files import ARTWORK, PACKAGES, artwork_name, every_package, package_name
from shared.catalog.landing import Landing, settle
from shared.catalog.listing import Listing
from shared.catalog.messages import DOWNLOADS_QUEUE, PASSES_QUEUE, PIECES_QUEUE, WorkMessage
from shared.catalog.missing import Missing
from shared.catalog.pieces import Pieces
from shared.catalog.reading import Reading
from shared.catalog.record import Product
from shared.catalog.shelf import Shelf
from shared.catalog.starting import Starting
from shared.catalog.sweeping import Sweeper
from shared.catalog.work import Pass
from shared.catalog.working import Working
from shared.events import Events
from shared.storage.account import Account
from shared.storage.blobs import Container
from shared.storage.leases import Leases
from shared.storage.queues import Queue
from shared.storage.tables import Table
from shared.store.business import BusinessStore
from shared.store.downloads import Downloads
from shared.store.models.business import (
    InventoryEntry,
    LocalizedProductDetail,
    ProductDetails,
    ProductKey,
    ProductPackageSet,
)
from shared.store.transport import Transport
from shared.wiring import Wiring
from tests.support.app import Storage, unique

LANGUAGES = ("en-us", "fr-fr")


@dataclass
class Sent:
    """A message, and from when on it can be seen."""

    queue: str
    message: WorkMessage
    visible_on: datetime


class StillQueue(Queue):
    """A queue of this process: its messages lie still until a test takes them."""

    def __init__(self, wiring: Wiring, name: str, sent: list[Sent], clock: Callable[[], datetime]) -> None:
        super().__init__(wiring.core.account, name)
        self._sent, self._clock = sent, clock

    async def send(self, message: object, *, time_to_live: int | None = None, delay: float = 0) -> None:
        work = msgspec.convert(msgspec.to_builtins(message), WorkMessage)
        self._sent.append(Sent(self.name, work, self._clock() + timedelta(seconds=delay)))


@dataclass
class Cataloguing:
    """One tenant's catalogue in a table and containers that no other test knows; or, by ``name``, the app's own."""

    wiring: Wiring
    control: Control
    storage: Storage
    tenant_id: str
    languages: Sequence[str] = LANGUAGES
    name: str = field(default_factory=lambda: unique("c").replace("-", ""))
    prefix: str | None = None
    account: Account | None = None
    offset: timedelta = timedelta(0)
    sent: list[Sent] = field(default_factory=list)

    def __post_init__(self) -> None:
        account = self.account or self.wiring.core.account
        self.shelf = Shelf(Table(account, self.name))
        self.events_queue = Queue(account, f"{self.name}-events")
        prefix = f"{self.name}-" if self.prefix is None else self.prefix
        self.containers = {name: Container(account, prefix + name) for name in (ARTWORK, PACKAGES)}
        queues = {
            name: StillQueue(self.wiring, name, self.sent, self.clock)
            for name in (PASSES_QUEUE, PIECES_QUEUE, DOWNLOADS_QUEUE)
        }
        self.landing = Landing(self.shelf, queues, clock=self.clock)
        self.ending = Ending(self.shelf, Events(self.events_queue), clock=self.clock)
        self.reading = Reading(self.shelf, self.wiring.catalog.license_sealer, self.containers)
        self._connect()

    def _connect(self) -> None:
        identity = next(each for each in self.wiring.core.settings.business_tenants if each.tenant_id == self.tenant_id)
        self.transport, self.downloads = Transport(self.wiring.core.settings.store_business_url, 32), Downloads(20)
        # The Store's pauses pass by this world's clock.
        self.store = BusinessStore(
            identity, self.transport, self.wiring.core.entra, clock=self.clock, monotonic=self.monotonic
        )

    @property
    def starting(self) -> Starting:
        """Whoever begins passes, on the languages of this world."""
        basis = Basis(tuple(self.languages), with_packages=True)
        return Starting(self.shelf, self.landing, basis, clock=self.clock)

    @property
    def sweeper(self) -> Sweeper:
        """The timer that picks up what a crash left behind."""
        return Sweeper([self.tenant_id], self.shelf, self.starting, self.ending, clock=self.clock)

    def clock(self) -> datetime:
        """Now, as this world has it."""
        return datetime.now(UTC) + self.offset

    def monotonic(self) -> float:
        """Seconds, by this world's clock."""
        return time.monotonic() + self.offset.total_seconds()

    def worker(self) -> Working:
        """A worker with nothing in its memory, as in an instance of its own."""
        shelf, landing, clock = self.shelf, self.landing, self.clock
        fetching = Fetching(self.wiring.catalog.license_sealer)
        return Working(
            shelf,
            landing,
            self._store_of,
            Listing(shelf, landing, Leases(shelf.table, timedelta(seconds=20), clock=clock), clock=clock),
            Pieces(shelf, landing, fetching, 32, clock=clock),
            Missing(shelf, landing, clock=clock),
            Bringing(shelf, landing, Downloader(self.downloads, self.containers), clock=clock),
            self.ending,
            clock=clock,
        )

    def _store_of(self, tenant_id: str) -> BusinessStore:
        return self.store if tenant_id == self.tenant_id else self.wiring.store.business(tenant_id)

    async def sync(self, *, full: bool = False) -> Pass:
        """A whole pass."""
        started = await self.starting.start([self.tenant_id], full=full)
        await self.run()
        return await self.found(started.sync_id)

    async def found(self, sync_id: str) -> Pass:
        """A pass."""
        (sync,) = await self.starting.find([self.tenant_id], sync_id)
        return sync

    async def run(self, *, until: Callable[[Sent], bool] = lambda sent: False, at_once: int = 8) -> bool:
        """Carry out messages until there are none, those that wait too; or until one comes up to be stopped at.

        :return: whether it was stopped. The message that it was stopped at is still there.
        """
        worker = self.worker()
        while self.sent:
            self.sent.sort(key=lambda each: each.visible_on)
            batch = self.sent[:at_once]
            if stop := next((each for each in batch if until(each)), None):
                batch = batch[: batch.index(stop)]
                if not batch:
                    return True
            self.offset += max(timedelta(0), batch[-1].visible_on - self.clock())
            del self.sent[: len(batch)]
            await asyncio.gather(*(worker.carry_out(each.message) for each in batch))
        return False

    @asynccontextmanager
    async def hosted(self, slots: int) -> AsyncIterator[None]:
        """Work goes on as in one process of a host: of each queue so many messages at once, and no more."""
        hosting = asyncio.create_task(self._host(slots))
        try:
            yield
        finally:
            hosting.cancel()
            await asyncio.wait([hosting])
            gc.collect()

    async def _host(self, slots: int) -> None:
        worker, under_way = self.worker(), Counter[str]()

        async def carry_out(sent: Sent) -> None:
            await worker.carry_out(sent.message)
            under_way[sent.queue] -= 1

        async with asyncio.TaskGroup() as tasks:
            while True:
                for sent in sorted(self.sent, key=lambda each: each.visible_on):
                    if sent.visible_on <= self.clock() and under_way[sent.queue] < slots:
                        self.sent.remove(sent)
                        under_way[sent.queue] += 1
                        tasks.create_task(carry_out(sent))
                await asyncio.sleep(0.02)

    async def crash(self, after: float) -> None:
        """A worker that is ended in the midst of its work, its messages lost with it."""
        work = asyncio.create_task(self.run())
        await asyncio.wait([work], timeout=after)
        work.cancel()
        await asyncio.wait([work])
        self.sent.clear()
        # Its connections died with it, half made as they were; here, and not in the midst of somebody else's test.
        await self.close()
        self._connect()
        gc.collect()

    async def swept(self) -> None:
        """Some minutes later, the timer comes by, and what it finds is carried out."""
        self.offset += timedelta(minutes=3)
        await self.sweeper.sweep()
        await self.run()

    async def held(self) -> dict[ProductKey, Product]:
        """All that is held."""
        index = await self.shelf.index(self.tenant_id)
        products = [await self.shelf.product_in_row(self.tenant_id, row) for row in index]
        return {each.entry.product_key: each for each in products if each}

    async def truth(self) -> dict[ProductKey, dict[str, Any]]:
        """All that the emulator has."""
        products = await self.control.business_products(self.tenant_id)
        return {msgspec.convert(each["productKey"], ProductKey): each for each in products}

    async def events(self) -> list[dict[str, Any]]:
        """The events that were sent."""
        return [msgspec.json.decode(message) for message in await self.storage.messages(self.events_queue.name)]

    async def forget_claims(self) -> None:
        """Forget who works on what, as time would."""
        sync_id = (await self.shelf.tenant(self.tenant_id)).running
        for each in await self.shelf.todos(self.tenant_id, sync_id):
            todo = await self.shelf.todo(self.tenant_id, sync_id, each.name)
            if todo is not None:
                await self.shelf.table.commit([settle(replace(todo, claimed_until=None), done=False)])

    async def rows(self, prefix: str) -> list[dict[str, Any]]:
        """The rows of a kind."""
        return [row for row in await self.storage.rows(self.name) if row["RowKey"].startswith(prefix)]

    async def equals_truth(self, *, blobs: bool = True) -> None:
        """Compare what is held with what the emulator has, entry for entry and file for file."""
        held, truth = await self.held(), await self.truth()
        assert held.keys() == truth.keys()
        seen: set[str] = set()
        for key, product in held.items():
            await self._equal(product, truth[key])
            if blobs:
                await self._holds_files(product, seen)

    async def _equal(self, product: Product, truth: dict[str, Any]) -> None:
        key, content = product.entry.product_key, product.content
        assert product.entry == msgspec.convert(truth["entry"], InventoryEntry), key
        if truth["vanished"]:
            assert [each.part for each in product.problems] == ["details"], key
            return
        assert not product.problems, product.problems
        assert content.details == msgspec.convert(truth["details"], ProductDetails), key
        for asked in self.languages:
            # The Store falls back to a language that there always is.
            expected = truth["localized"].get(asked) or truth["localized"]["en-us"]
            detail = with_lasting_addresses(msgspec.convert(expected, LocalizedProductDetail))
            assert content.localized[asked] == detail, key
        if product.entry.license_type != "Offline" or product.entry.status == "Removed":
            return
        assert content.package_set == without_addresses(msgspec.convert(truth["packages"], ProductPackageSet)), key
        blobs = {
            each.content_id: (
                each.license_instance_id,
                (await self.reading.license(self.tenant_id, key, each.content_id))[1].reveal(),
            )
            for each in content.licenses
        }
        assert blobs == {
            each["contentId"]: (each["licenseInstanceId"], each["licenseBlob"]) for each in truth["licenses"]
        }, key

    async def _holds_files(self, product: Product, seen: set[str]) -> None:
        key, content = product.entry.product_key, product.content
        if product.entry.status == "Removed":
            return
        images = [image for detail in content.localized.values() for image in detail.images]
        files: dict[tuple[str, str], tuple[int | None, str | None]] = {
            (ARTWORK, artwork_name(image)): (image.file_size, None) for image in images
        }
        for package in every_package(content.package_set) if content.package_set else ():
            name = package_name(self.tenant_id, key, package)
            files[PACKAGES, name] = (package.file_size, package.file_hash)
        for (container, name), (size, file_hash) in files.items():
            if name in seen:
                continue
            seen.add(name)
            blob = await self.containers[container].find(name)
            assert blob, f"{name} of {key} is not held"
            assert blob.size == size
            content_held = await self.containers[container].read(name, blob.size)
            assert content_held is not None
            digest = hashlib.sha256(content_held)
            assert blob.metadata["sha256"] == digest.hexdigest()
            assert file_hash in {None, base64.b64encode(digest.digest()).decode()}

    async def close(self) -> None:
        """Give back the connections."""
        await self.transport.close()
        await self.downloads.close()


type Open = Callable[..., Awaitable[Cataloguing]]
"""Opens the catalogue of a tenant, by its name."""


async def tenant_id(control: Control, name: str) -> str:
    """The id of one of the emulator's business tenants."""
    return str(next(each["tenantId"] for each in await control.business_tenants() if each["name"] == name))


def keys_of(changed: list[dict[str, str]]) -> set[ProductKey]:
    """The keys of the products that the emulator says it changed."""
    return {msgspec.convert(each, ProductKey) for each in changed}


def as_json(key: ProductKey) -> dict[str, str]:
    """A key as the emulator reads it."""
    return {"productId": key.product_id, "skuId": key.sku_id}
