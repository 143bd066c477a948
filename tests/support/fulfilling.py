"""Fulfilments in this process, against a real Store and real tables, with a clock and queues that a test moves."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx
import msgspec

from local.control import Control
from shared.auth.tokens import StoreIdKind
from shared.events import Events
from shared.fulfillment.intake import Intake
from shared.fulfillment.messages import FulfillmentMessage, WorkMessage
from shared.fulfillment.request import Request, tracking_id_at_store
from shared.fulfillment.sweeper import FulfillmentSweeper
from shared.fulfillment.work import Worker
from shared.ledger.kinds import ConsumableType
from shared.ledger.ledger import Ledger
from shared.ledger.record import SHARDS, Job
from shared.messages import decode_message
from shared.storage.queues import Queue
from shared.storage.rows import Row
from shared.storage.tables import Table
from shared.storage.transactions import Operation
from shared.store.collections import Collections
from shared.store.transport import Transport
from shared.store.user_store_id import UserStoreIdKey
from shared.wiring import Wiring
from tests.support.app import unique


class CrashError(BaseException):
    """The process died here. No handler of errors sees a dying process, so it is no Exception."""


@dataclass
class Fate:
    """Lets a process die at one of its calls to the outside, ``before`` or after it took effect, and stay dead."""

    at: int | None = None
    before: bool = True
    calls: list[str] = field(default_factory=list)
    dead: bool = False

    async def call[T](self, name: str, made: Callable[[], Awaitable[T]]) -> T:
        if self.dead:
            raise CrashError(name)
        self.calls.append(name)
        strikes = len(self.calls) == self.at
        self.dead = strikes and self.before
        if self.dead:
            raise CrashError(name)
        result = await made()
        self.dead = self.dead or strikes
        if self.dead:
            raise CrashError(name)
        return result


class FatefulTable(Table):
    """A table of a process that may die."""

    def __init__(self, wiring: Wiring, name: str, fate: Fate) -> None:
        super().__init__(wiring.core.account, name)
        self.fate = fate

    async def get(self, partition: str, row: str) -> tuple[Row, str] | None:
        return await self.fate.call(
            f"read {row.partition('|')[0]}", lambda: super(FatefulTable, self).get(partition, row)
        )

    async def commit(self, operations: Sequence[Operation]) -> list[str]:
        what = ", ".join(f"{each.kind} {each.row['RowKey'].partition('|')[0]}" for each in operations)
        commit = super().commit
        return await self.fate.call(f"commit {what}", lambda: commit(operations))


class FatefulTransport(Transport):
    """The way to the Store of a process that may die."""

    def __init__(self, root: str, fate: Fate) -> None:
        super().__init__(root, 32)
        self.fate = fate

    async def send(
        self,
        operation: str,
        method: str,
        target: str,
        content: bytes | None,
        headers: Mapping[str, str],
        *,
        admit: Callable[[], None] | None = None,
    ) -> "tuple[httpx.Response, bytes]":
        send = super().send
        return await self.fate.call(operation, lambda: send(operation, method, target, content, headers, admit=admit))


class Letters:
    """What lies in a queue: messages as JSON, each with the time from which it is seen."""

    def __init__(self) -> None:
        self.lying: list[tuple[datetime, bytes]] = []

    def due(self, now: datetime) -> list[bytes]:
        """Take what can be seen."""
        found = [body for visible, body in self.lying if visible <= now]
        self.lying = [each for each in self.lying if each[0] > now]
        return found


class FatefulQueue(Queue):
    """A queue of this process, as one that may die puts into it."""

    def __init__(self, world: "Fulfilling", letters: Letters, name: str, fate: Fate) -> None:
        super().__init__(world.wiring.core.account, name)
        self.world, self.letters, self.fate = world, letters, fate

    async def send(self, message: object, *, time_to_live: int | None = None, delay: float = 0) -> None:
        async def put() -> None:
            visible = self.world.clock() + timedelta(seconds=delay)
            self.letters.lying.append((visible, msgspec.json.encode(message)))

        await self.fate.call(f"put {self.name}", put)


class Instance:
    """One process of the app."""

    def __init__(self, world: "Fulfilling", fate: Fate, *, at_once: int = 0, pause: float = 0) -> None:
        wiring, self.fate = world.wiring, fate
        self.transport = FatefulTransport(wiring.core.settings.store_collections_url, fate)
        self.ledger = Ledger(
            FatefulTable(wiring, f"{world.name}books", fate),
            FatefulTable(wiring, f"{world.name}lines", fate),
            Events(FatefulQueue(world, world.told, "events", fate)),
            clock=world.clock,
            pause=pause,
        )
        queue = FatefulQueue(world, world.work, "work", fate)
        files = self.ledger.files
        store = Collections(self.transport)
        self.worker = Worker(files, self.ledger.granting, wiring.keys.current, store, queue, clock=world.clock)
        jobs = FatefulQueue(world, world.jobs, "jobs", fate)
        self.intake = Intake(files, wiring.keys.files, self.worker, queue, jobs, clock=world.clock, at_once=at_once)
        self.sweeper = FulfillmentSweeper(files, self.ledger.outbox, queue, clock=world.clock)


@dataclass
class Asked:
    """A fulfilment that a test asks for, over HTTP or by a message."""

    user_id: str
    product_id: str
    quantity: int = 1
    consumable_type: ConsumableType = "Consumable"
    tracking_id: str = field(default_factory=lambda: str(uuid4()))
    sandbox: str | None = None

    @property
    def at_store(self) -> str:
        """The tracking id that the Store is given."""
        return tracking_id_at_store(self.user_id, self.tracking_id)

    @property
    def request(self) -> Request:
        return Request(
            self.user_id, self.tracking_id, self.product_id, self.quantity, self.consumable_type, self.sandbox
        )

    @property
    def message(self) -> FulfillmentMessage:
        return FulfillmentMessage(
            1, self.user_id, self.tracking_id, self.product_id, self.quantity, self.consumable_type, self.sandbox
        )


class Fulfilling:
    """Books that no other test knows, players with keys and purchases, and processes that work on them."""

    def __init__(self, wiring: Wiring, control: Control) -> None:
        self.wiring, self.control, self.store = wiring, control, control.store
        self.offset = timedelta(0)
        self.name = unique("t").replace("-", "")
        self.jobs, self.work, self.told = Letters(), Letters(), Letters()
        self.coins, self.chest = f"{self.name}COINS".upper(), f"{self.name}CHEST".upper()
        self._instances: list[Instance] = []

    def clock(self) -> datetime:
        """Now, as this world has it."""
        return datetime.now(UTC) + self.offset

    def later(self, **time: float) -> None:
        """Time goes by."""
        self.offset += timedelta(**time)

    def instance(self, fate: Fate | None = None, **options: Any) -> Instance:
        """A process of its own, with nothing in memory."""
        self._instances.append(Instance(self, fate or Fate(), **options))
        return self._instances[-1]

    async def open(self) -> None:
        """Put the two products on sale."""
        await self.store.product(self.coins, "Consumable")
        await self.store.product(self.chest, "UnmanagedConsumable")

    async def close(self) -> None:
        for instance in self._instances:
            await instance.transport.close()

    async def player(self, *, coins: int = 0, chests: int = 0) -> str:
        """A player with a key, and what they have bought."""
        name = unique()
        await self.hand_in_key(name)
        if coins:
            await self.store.buy(name, self.coins, coins)
        for _ in range(chests):
            await self.store.buy(name, self.chest)
        return name

    async def hand_in_key(self, name: str) -> str:
        """Have the game hand in a player's key; the key."""
        key = await self.control.store_id("collections", name)
        await self.wiring.keys.intake.keep(name, StoreIdKind.COLLECTIONS, UserStoreIdKey(key))
        return key

    async def drain(self, instance: Instance | None = None) -> int:
        """Work on all messages that can be seen; how many there were."""
        worker = (instance or self.instance()).worker
        count = 0
        while letters := self.work.due(self.clock()):
            for letter in letters:
                await worker.work(decode_message(letter, WorkMessage))
                count += 1
        return count

    async def sweep(self) -> None:
        """One run of the timer, and what follows from it."""
        instance = self.instance()
        await instance.sweeper.sweep()
        await self.drain(instance)

    async def settle(self, minutes: int = 30) -> None:
        """Let time go by, with the timer, until nothing is left to do."""
        for _ in range(minutes):
            await self.drain()
            if not await self.open_rows():
                return
            self.later(minutes=1)
            await self.sweep()
        raise AssertionError(f"still open: {await self.open_rows()}")

    async def open_rows(self) -> list[str]:
        """The names of all rows that stand for something to be done."""
        table = Table(self.wiring.core.account, f"{self.name}books")
        shards = [f"{shard:02x}" for shard in range(SHARDS)]
        return [row["RowKey"] for shard in shards for row in await table.first(shard, "open|", "open|~", 100)]

    async def job(self, asked: Asked) -> Job:
        """A fulfilment as it is filed."""
        return await self.instance().intake.find(asked.user_id, asked.tracking_id)

    async def balance(self, user_id: str, product_id: str | None = None) -> int:
        """What our books have for a player."""
        balances = {each.product_id: each.quantity for each in await self.instance().ledger.balances(user_id)}
        return balances.get(product_id or self.coins, 0)

    async def held(self, user_id: str, product_id: str | None = None) -> int:
        """What our books should have for a player, as the Store knows it."""
        books = (await self.store.books(user_id))[user_id]
        product: dict[str, int] = books["products"].get("RETAIL", {}).get(product_id or self.coins, {"held": 0})
        return product["held"]

    async def carried_out(self, asked: Asked) -> int:
        """How many consumes the Store carried out under a tracking id."""
        count: int = (await self.store.books(asked.user_id))[asked.user_id]["carriedOut"].get(asked.at_store, 0)
        return count

    async def requests(self, asked: Asked) -> int:
        """How many calls to consume the Store took under a tracking id."""
        consumes = (await self.store.books(asked.user_id))[asked.user_id]["consumes"]
        return sum(each["requests"] for each in consumes if each["trackingId"] == asked.at_store)

    def events(self, user_id: str) -> list[dict[str, Any]]:
        """What was told of a player, repeats included."""
        events = [msgspec.json.decode(body) for _, body in self.told.lying]
        return [event for event in events if event["data"]["userId"] == user_id]
