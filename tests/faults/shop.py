"""Players who buy and have money given back, and the two sets of books that must be equal in the end."""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import httpx

from shared.auth.tokens import StoreIdKind
from shared.fulfillment.messages import JOBS_QUEUE, FulfillmentMessage
from shared.fulfillment.request import tracking_id_at_store
from shared.ledger.kinds import ConsumableType, JobStatus
from shared.ledger.record import Job, LineState, shard_of
from shared.refunds.record import shard_of as shard_of_group
from shared.storage.queues import Queue
from shared.storage.tables import Table
from shared.store.user_store_id import UserStoreIdKey
from shared.wiring.fulfillment import LEDGER_TABLE
from shared.wiring.refunds import TABLE as REFUNDS_TABLE
from tests.faults.lives import Bench, Life
from tests.support.app import Headers, unique
from tests.support.refunding import CHEST, COINS, GAME, SWORD

QUEUES = (JOBS_QUEUE, "clawback-events")
"""Those that must be empty. What lies in the queue of the work may be about work that somebody has done since."""

PATIENCE_SECONDS = 60
LONGEST = timedelta(minutes=55)
"""Time that a run may let go by: after an hour the app would ask a person."""

_SIGNS = {
    "storekeeper.consumable.granted": 1,
    "storekeeper.consumable.restored": 1,
    "storekeeper.consumable.revoked": -1,
}


@dataclass
class Asked:
    """A fulfilment that is asked for: by message, or over HTTP until there is an answer."""

    user_id: str
    product_id: str
    quantity: int
    over_http: bool
    tracking_id: str = field(default_factory=lambda: str(uuid4()))

    @property
    def at_store(self) -> str:
        """The tracking id that the Store is given."""
        return tracking_id_at_store(self.user_id, self.tracking_id)

    @property
    def kind(self) -> ConsumableType:
        return "UnmanagedConsumable" if self.product_id == SWORD else "Consumable"

    @property
    def body(self) -> dict[str, Any]:
        return {
            "trackingId": self.tracking_id,
            "productId": self.product_id,
            "quantity": self.quantity,
            "consumableType": self.kind,
        }

    @property
    def message(self) -> FulfillmentMessage:
        return FulfillmentMessage(1, self.user_id, self.tracking_id, self.product_id, self.quantity, self.kind)


class Shop:
    """What happens at the Store and around the app, and what must be true when all is at rest."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.store = bench.control.store
        self.asked: list[Asked] = []
        self.headers: Headers = {}
        self.answered: set[str] = set()
        account = bench.wiring.core.account
        self.jobs = Queue(account, JOBS_QUEUE)
        self._books, self._refunds = Table(account, LEDGER_TABLE), Table(account, REFUNDS_TABLE)
        self._users: set[str] = set()
        self._orders: set[str] = set()

    async def open(self) -> None:
        """Put the products on sale."""
        await self.store.product(COINS, "Consumable")
        await self.store.product(SWORD, "UnmanagedConsumable")
        await self.store.product(GAME, "Game")
        await self.store.product(CHEST, "Durable", contains={COINS: 100, SWORD: 1})
        self.headers = await self.bench.operator()

    async def player(self, name: str) -> str:
        """A player with a key."""
        user = unique(name)
        key = UserStoreIdKey(await self.bench.control.store_id("collections", user))
        await self.bench.wiring.keys.intake.keep(user, StoreIdKind.COLLECTIONS, key)
        self._users.add(user)
        return user

    async def buy(self, user: str, product_id: str, quantity: int = 1) -> str:
        """A purchase; its order id."""
        order_id = str((await self.store.buy(user, product_id, quantity))["orderId"])
        self._orders.add(order_id.lower())
        return order_id

    async def consume_as_one_who_died(self, asked: Asked) -> None:
        """Consume coins at the Store, and write nothing down."""
        wiring = self.bench.wiring
        await wiring.keys.current.use(
            asked.user_id,
            StoreIdKind.COLLECTIONS,
            lambda key, token: wiring.store.collections.consume(
                key,
                token,
                tracking_id=asked.at_store,
                product_id=asked.product_id,
                quantity=asked.quantity,
                sandbox=None,
            ),
        )

    def asks(self, user: str, product_id: str, quantity: int, *, over_http: bool) -> Asked:
        """A fulfilment that is to be carried out in the end."""
        asked = Asked(user, product_id, quantity, over_http)
        self.asked.append(asked)
        return asked

    async def send(self, asked: Asked, times: int = 2) -> None:
        """Send a fulfilment by message, more than once."""
        for _ in range(times):
            await self.jobs.send(asked.message)

    async def post(self, life: Life, asked: Asked) -> None:
        """Ask over HTTP, as a game does that has had no answer yet. A life that ends meanwhile gives none."""
        url = f"{life.url}/api/users/{asked.user_id}/fulfillments"
        try:
            answer = await self.bench.http.post(url, headers=self.headers, json=asked.body)
        except httpx.TransportError:
            return
        assert answer.status_code in {202, 503}, answer.text
        if answer.status_code == 202:
            self.answered.add(asked.tracking_id)

    async def run(self, life: Life, timer: str) -> None:
        """Have a timer run."""
        try:
            await self.bench.http.post(f"{life.url}/admin/functions/{timer}?wait=true", json={})
        except httpx.TransportError:
            return

    async def job(self, asked: Asked) -> Job | None:
        """A fulfilment as it is filed."""
        return await self.bench.wiring.fulfillment.ledger.job(asked.user_id, asked.tracking_id)

    async def all_granted(self, asked: list[Asked]) -> bool:
        """Whether all of these are granted."""
        jobs = await asyncio.gather(*(self.job(each) for each in asked))
        return all(job and job.status is JobStatus.GRANTED for job in jobs)

    async def unfinished(self) -> list[str]:
        """What is not at rest: messages in queues, hidden ones too, and rows that say so in the tables."""
        counts = await asyncio.gather(*(self.bench.storage.count(queue) for queue in QUEUES))
        found = [f"{count} messages in {queue}" for queue, count in zip(QUEUES, counts, strict=True) if count]
        places = {(self._books, shard_of(user)) for user in self._users}
        places |= {(self._refunds, shard_of_group(order)) for order in self._orders}
        pages = await asyncio.gather(*(table.first(shard, "open|", "open|~", 10) for table, shard in places))
        return found + [f"{row['RowKey']} {row.get('reason', '')}" for page in pages for row in page]

    async def check(self) -> Counter[str]:
        """Our books are those of the Store; the game, if it adds up what it is told, has them too.

        How many events of each type there were, each counted once by its id.
        """
        events = await self._events()
        told = _sums(events)
        users = self._users
        books = await self.store.books(*users)
        ledger = self.bench.wiring.fulfillment.ledger
        for user in users:
            ours = {each.product_id: each.quantity for each in await ledger.balances(user)}
            theirs = {name: each["held"] for name, each in books[user]["products"].get("RETAIL", {}).items()}
            wanted = {name: held for name, held in theirs.items() if name in {COINS, SWORD}}
            assert {name: ours.get(name, 0) for name in wanted} == wanted, f"{user}: {ours}, at the Store {theirs}"
            assert {name: told[user][name] for name in wanted} == wanted, f"{user} was told {dict(told[user])}"
            await self._check_lines(user, ours)
        for asked in self.asked:
            carried_out = books[asked.user_id]["carriedOut"].get(asked.at_store, 0)
            assert carried_out == 1, f"{asked} was carried out {carried_out} times"
        return Counter(event["type"].removeprefix("storekeeper.") for event in events)

    async def _check_lines(self, user: str, balances: dict[str, int]) -> None:
        """What order lines say is held is the balance, and each of them is found by its order."""
        held: Counter[str] = Counter()
        for job in await self.bench.wiring.fulfillment.ledger.files.jobs(user):
            assert job.status.is_over, f"{job}"
            for line in job.lines:
                held[job.product_id] += line.quantity if line.state.is_held else 0
                if line.state is not LineState.ELSEWHERE:
                    refs = await self.bench.wiring.fulfillment.ledger.lines_of_order(line.order_id)
                    assert (user, job.tracking_id) in {(ref.user_id, ref.tracking_id) for ref in refs}, f"{job}"
        assert {name: held[name] for name in balances} == balances, f"{user}: lines {held}, balances {balances}"

    async def _events(self) -> list[dict[str, Any]]:
        """What was sent, repeats left out."""
        events: dict[str, dict[str, Any]] = {}
        while texts := await self.bench.storage.take("store-events"):
            for event in map(json.loads, texts):
                known = events.setdefault(event["id"], event)
                assert known["data"] == event["data"], f"two events of one id: {known}, {event}"
        return list(events.values())


def _sums(events: list[dict[str, Any]]) -> dict[str, Counter[str]]:
    """What events say that each player has of each product."""
    sums: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for event in events:
        if sign := _SIGNS.get(event["type"]):
            data = event["data"]
            sums[data["userId"]][data["productId"]] += sign * data["quantity"]
    return sums


class Drive:
    """Keeps the app alive, and lets time go by, until something is so."""

    def __init__(self, shop: Shop, revive: Callable[[], Awaitable[Life]]) -> None:
        self.shop = shop
        self.life: Life | None = None
        self._revive = revive

    async def alive(self) -> Life:
        """A life that goes on; what was asked for and not answered is asked for again."""
        while self.life is None or self.life.ended.is_set():
            self.life = await self._revive()
        return self.life

    async def until(self, so: Callable[[], Awaitable[bool]], over_http: list[Asked]) -> None:
        """Go on until something is so; the games whose requests are ``over_http`` ask until they have an answer."""
        loop, clock = asyncio.get_running_loop(), self.shop.bench.clock
        last, ends = loop.time(), loop.time() + PATIENCE_SECONDS
        while not await so():
            life = await self.alive()
            waiting = [asked for asked in over_http if asked.tracking_id not in self.shop.answered]
            await asyncio.gather(*(self.shop.post(life, asked) for asked in waiting))
            if loop.time() - last > 0.4:
                last = loop.time()
                clock.later(minutes=2)
                assert clock.ahead < LONGEST, f"not at rest in {LONGEST}: {await self.shop.unfinished()}"
                await self.shop.run(life, "sweep")
                await self.shop.run(life, "fetch_refunds")
            left = await self.shop.unfinished() if loop.time() > ends else []
            assert loop.time() < ends, f"not at rest: {left}; {life.log.read_text()[-3000:]}"
            await asyncio.sleep(0.03)

    async def rest(self) -> None:
        """Go on until nothing is left to be done."""
        await self.until(self._at_rest, [])

    async def _at_rest(self) -> bool:
        return not await self.shop.unfinished()
