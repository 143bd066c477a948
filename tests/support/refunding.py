"""Refunds in this process, against real servers, over tables and queues that no other test knows."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from local.control import Control
from shared.auth.tokens import StoreIdKind
from shared.events import Events
from shared.fulfillment.intake import Intake
from shared.fulfillment.messages import FulfillmentMessage
from shared.fulfillment.work import Worker
from shared.ledger.kinds import ConsumableType
from shared.ledger.ledger import Ledger
from shared.ledger.record import Job, shard_of, user_name
from shared.messages import decode_message
from shared.refunds.address import Addresses
from shared.refunds.books import Books
from shared.refunds.desk import Desk
from shared.refunds.drain import Drain, Tally
from shared.refunds.entitlements import Entitlements
from shared.refunds.filing import RefundFiles
from shared.refunds.listing import Listing
from shared.refunds.reconsuming import Reconsuming
from shared.refunds.record import Refund
from shared.refunds.running import LEASE_DURATION, Refunds
from shared.refunds.status import RefundStatus
from shared.storage.leases import Leases
from shared.storage.queues import Queue
from shared.storage.tables import Table
from shared.storage.transactions import Operation
from shared.store.clawback_queue import ClawbackQueue
from shared.store.user_store_id import UserStoreIdKey
from shared.wiring import Wiring
from tests.support.app import Storage, unique

COINS, SWORD = "9NCOINS00001", "9NSWORD00001"
"""A store-managed consumable and a developer-managed one."""

GAME, SEASON, CHEST = "9NGAME000001", "CFQ7SEASON01", "9NCHEST00001"
"""A game, a subscription, and a bundle of 100 coins and a sword."""


class Refunding:
    """The taking back of refunds, and as much of fulfilment as makes something to take back."""

    def __init__(self, wiring: Wiring, control: Control, storage: Storage, *, sandbox: str = "RETAIL") -> None:
        self.wiring, self.control, self.storage = wiring, control, storage
        self.offset = timedelta(0)
        self.name = unique("r").replace("-", "")
        account = wiring.core.account
        self.events_queue = Queue(account, f"{self.name}-events")
        self.jobs_queue = Queue(account, f"{self.name}-jobs")
        self.table = Table(account, self.name)
        self.books_table = Table(account, f"{self.name}books")
        self.files = RefundFiles(self.table)
        self.events = Events(self.events_queue)
        self.sandbox = sandbox
        self.queue = ClawbackQueue(Addresses(wiring.core.publisher, wiring.core.entra, wiring.store.purchase).find)
        lines_table = Table(account, f"{self.name}lines")
        self.ledger = Ledger(self.books_table, lines_table, self.events, clock=self.clock, pause=0)
        self.intake = self.fulfillment(self.ledger)

    def clock(self) -> datetime:
        """Now, as this world has it."""
        return datetime.now(UTC) + self.offset

    async def prepare(self, **options: Any) -> None:
        """A clawback queue of its own, and the catalogue."""
        await self.control.store.connect_clawback(
            self.storage.connection_string, queue=f"{self.name}-clawback", **options
        )
        front = self.control.store
        for product_id, kind in ((COINS, "Consumable"), (SWORD, "UnmanagedConsumable"), (GAME, "Game")):
            await front.product(product_id, kind)
        await front.product(SEASON, "Pass")
        await front.product(CHEST, "Durable", contains={COINS: 100, SWORD: 1})

    def fulfillment(self, ledger: Ledger) -> Intake:
        """Fulfilment over these books."""
        parts = self.wiring
        worker = Worker(
            ledger.files,
            ledger.granting,
            parts.keys.current,
            parts.store.collections,
            Queue(parts.core.account, f"{self.name}-work"),
            clock=self.clock,
        )
        return Intake(
            ledger.files, parts.keys.files, worker, worker._queue, self.jobs_queue, clock=self.clock, at_once=0
        )

    def desk(self, **parts: Any) -> Desk:
        """A worker; each reads for itself."""
        ledger = parts.get("ledger", self.ledger)
        events = parts.get("events", self.events)
        jobs = parts.get("jobs", self.jobs_queue)
        books = Books(ledger, Reconsuming(ledger, jobs), clock=self.clock)
        told = Entitlements(ledger, events, clock=self.clock)
        files = parts.get("files", self.files)
        return Desk(files, books, told, events, self.sandbox, clock=self.clock)

    def refunds(self, **parts: Any) -> Refunds:
        """The runs of one instance."""
        desk = self.desk(**parts)
        files = parts.get("files", self.files)
        drain = parts.get("drain") or Drain(parts.get("queue", self.queue), desk)
        return Refunds(drain, desk, files, Leases(self.table, LEASE_DURATION, clock=self.clock), clock=self.clock)

    async def run(self) -> Tally:
        """One run of the timer."""
        tally = await self.refunds().run()
        assert tally is not None, "another run is at it"
        return tally

    async def player(self, *, with_key: bool = True) -> str:
        """A player who was never seen, with a key."""
        user = unique()
        if with_key:
            await self.give_key(user)
        return user

    async def give_key(self, user: str) -> None:
        """Have the player's game hand in a key."""
        key = UserStoreIdKey(await self.control.store_id("collections", user))
        await self.wiring.keys.intake.keep(user, StoreIdKind.COLLECTIONS, key)

    async def buy(self, user: str, product_id: str, quantity: int = 1, **options: Any) -> str:
        """A purchase; its order id."""
        order = await self.control.store.buy(user, product_id, quantity, **options)
        return str(order["orderId"])

    async def fulfill(self, user: str, product_id: str, quantity: int = 1, tracking_id: str | None = None) -> Job:
        """A fulfilment, carried out."""
        kind: ConsumableType = "UnmanagedConsumable" if product_id == SWORD else "Consumable"
        message = FulfillmentMessage(1, user, tracking_id or str(uuid4()), product_id, quantity, kind)
        await self.intake.take(message)
        return await self.intake.find(user, message.tracking_id.lower())

    async def carry_out_jobs(self) -> int:
        """Carry out what was asked for over the queue of fulfilments; how many messages that were."""
        texts = await self.storage.take(self.jobs_queue.name)
        for text in texts:
            await self.intake.take(decode_message(text.encode(), FulfillmentMessage))
        return len(texts)

    async def balance(self, user: str, product_id: str = COINS) -> int:
        """What our books say."""
        held = await self.ledger.balances(user)
        return next((each.quantity for each in held if each.product_id.upper() == product_id), 0)

    async def spend(self, user: str, quantity: int) -> None:
        """Take from a player's one balance, as nothing in Storekeeper does: the game's own database spends."""
        prefix = f"balance|{user_name(user)}|"
        (row,) = await self.books_table.first(shard_of(user), prefix, f"{prefix}~", 2)
        spent = {**row, "quantity": str(int(row["quantity"]) - quantity)}
        await self.books_table.commit([Operation("put", spent)])

    async def truth(self, user: str, product_id: str = COINS, sandbox: str = "RETAIL") -> int:
        """What the Store's books say that ours should have."""
        books = await self.control.store.books(user)
        return int(books[user]["products"][sandbox][product_id]["held"])

    async def put(self, event: object, **options: Any) -> None:
        """Put a clawback message."""
        await self.control.store.put_message(event=event, **options)

    async def left(self) -> int:
        """How many messages the clawback queue holds, hidden ones too."""
        return await self.storage.count(f"{self.name}-clawback")

    async def found(self, event: dict[str, Any] | str) -> Refund:
        """What is on file of an event."""
        event_id = event if isinstance(event, str) else event["id"]
        for status in RefundStatus:
            for each in await self.listed(status):
                if each.event_id == event_id:
                    return each
        raise AssertionError(f"nothing is on file of {event_id}")

    async def listed(self, status: RefundStatus) -> list[Refund]:
        """All events of a status."""
        return (await Listing(self.files).page(status, 1000, None)).refunds

    async def told(self, kind: str) -> list[dict[str, Any]]:
        """The data of the events of a type that were sent, the first 32 of all at the most."""
        events = [json.loads(text) for text in await self.storage.messages(self.events_queue.name)]
        return [event["data"] for event in events if event["type"] == f"storekeeper.{kind}"]


def crafted(order_id: str, line_item_id: str, product_id: str = COINS, **changes: Any) -> dict[str, Any]:
    """An event; ``changes`` are of its data, but for ``id``, ``source`` and ``type``."""
    event: dict[str, Any] = {
        "id": str(uuid4()),
        "source": "/Purchase/Refund",
        "type": "ClawbackEventContractV2",
        "data": {
            "lineItemId": line_item_id,
            "orderId": order_id,
            "productId": product_id,
            "productType": "Consumable",
            "eventState": "Revoked",
            "sandboxId": "RETAIL",
        },
    }
    event |= {name: changes.pop(name) for name in ("id", "source", "type") if name in changes}
    event["data"] |= changes
    return event


def text_of(event: object) -> str:
    """The text of the message that holds an event."""
    return base64.b64encode(json.dumps(event).encode()).decode()
