"""Players buy, consume, are refunded, while processes die anywhere: in the end our books are the Store's."""

import asyncio
import base64
import json
from collections import Counter
from collections.abc import Coroutine
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from local.stack import Servers
from shared.events import Events
from shared.fulfillment.messages import FulfillmentMessage
from shared.ledger.kinds import JobStatus
from shared.messages import decode_message
from shared.refunds.books import Books
from shared.refunds.desk import Desk
from shared.refunds.entitlements import Entitlements
from shared.refunds.filing import RefundFiles
from shared.refunds.reconsuming import Reconsuming
from shared.wiring import Wiring
from tests.support.fulfilling import Asked, CrashError, Fate, FatefulQueue, FatefulTable, Fulfilling, Instance, Letters

EXAMPLES, STEPS = 10, 14
MOST_ORDERS = 7
SETTLED_WITHIN = 40
"""Rounds of two minutes after which everything has come to its end: an hour and twenty minutes."""

_TOLD = {"granted": 1, "restored": 1, "revoked": -1}

fates = st.one_of(st.none(), st.tuples(st.integers(1, 14), st.booleans()))
"""Where a process dies: at which of its calls, before it or after it; None lets it live."""


class Market:
    """The world of fulfilments, and clawback events beside it."""

    def __init__(self, wiring: Wiring, servers: Servers) -> None:
        self.world = Fulfilling(wiring, servers.control)
        self.jobs = Letters()
        self.events: list[tuple[str, str]] = []
        """Messages of the clawback queue: id and text."""
        self.players: list[str] = []
        self.orders: list[tuple[str, str]] = []
        """Player and order id."""
        self.given_back: list[tuple[str, str]] = []
        self.charged_back: list[tuple[str, str]] = []
        self.asked: list[Asked] = []

    async def open(self) -> None:
        await self.world.open()
        self.players = [await self.world.player() for _ in range(2)]
        for player in range(2):
            for product_id, quantity in ((self.world.coins, 3), (self.world.chest, 1)):
                await self.buy(player, product_id, quantity)
                if player == 0:
                    await self.consume(player, product_id, quantity, None)

    def process(self, fate: tuple[int, bool] | None) -> tuple[Instance, Desk, RefundFiles]:
        """A new process, that may die."""
        world = self.world
        instance = world.instance(Fate(*fate) if fate else None)
        files = RefundFiles(FatefulTable(world.wiring, f"{world.name}refunds", instance.fate))
        jobs = FatefulQueue(world, self.jobs, "jobs", instance.fate)
        events = Events(FatefulQueue(world, world.told, "events", instance.fate))
        books = Books(instance.ledger, Reconsuming(instance.ledger, jobs), clock=world.clock)
        told = Entitlements(instance.ledger, events, clock=world.clock)
        return instance, Desk(files, books, told, events, "RETAIL", clock=world.clock), files

    async def buy(self, player: int, product_id: str, quantity: int) -> None:
        user = self.players[player]
        try:
            order = await self.world.store.buy(user, product_id, quantity)
        except RuntimeError:
            return  # they have one that is not consumed yet
        self.orders.append((user, order["orderId"]))

    async def consume(self, player: int, product_id: str, quantity: int, fate: tuple[int, bool] | None) -> None:
        """Ask for what the Store still has for the player, by a message."""
        user = self.players[player]
        free = await self.free(user, product_id)
        if free < 1:
            return
        is_chest = product_id == self.world.chest
        kind = "UnmanagedConsumable" if is_chest else "Consumable"
        asked = Asked(user, product_id, 1 if is_chest else min(quantity, free), kind)  # type: ignore[arg-type]
        self.asked.append(asked)
        await self.take(asked.message, fate)

    async def free(self, user: str, product_id: str) -> int:
        """What of a product no fulfilment is about to consume."""
        books = (await self.world.store.books(user))[user]
        balance: int = books["products"].get("RETAIL", {}).get(product_id, {"balance": 0})["balance"]
        under_way = [
            asked.quantity
            for asked in self.asked
            if (asked.user_id, asked.product_id) == (user, product_id) and not books["carriedOut"].get(asked.at_store)
        ]
        return balance - sum(under_way)

    async def take(self, message: FulfillmentMessage, fate: tuple[int, bool] | None) -> None:
        """Take a message, which is there again where the process dies."""
        instance, _, _ = self.process(fate)
        try:
            await instance.intake.take(message)
        except CrashError:
            self.jobs.lying.append((self.world.clock(), msgspec.json.encode(message)))

    async def give_back(self, number: int, copies: int, *, is_chargeback: bool) -> None:
        """The money of an order goes back, if nothing is about to consume of it; rather of one that was consumed."""
        left = [order for order in self.orders if order not in self.given_back]
        user, order_id = left[number % len(left)]
        books = await self.world.store.books(*self.players)
        held = {
            line["held"] for order in books[user]["orders"] if order["orderId"] == order_id for line in order["lines"]
        }
        under_way = [each for each in self.asked if not books[each.user_id]["carriedOut"].get(each.at_store)]
        if any(asked.user_id == user for asked in under_way) or (held == {0} and number % 4):
            return
        make = self.world.store.charge_back if is_chargeback else self.world.store.refund
        self.send(await make(user, order_id, send=False), copies)
        self.given_back.append((user, order_id))
        if is_chargeback:
            self.charged_back.append((user, order_id))

    async def reverse(self, number: int, copies: int) -> None:
        """The bank returns it; the order may be given back once more."""
        order = self.charged_back.pop(number % len(self.charged_back))
        self.send(await self.world.store.reverse_chargeback(*order, send=False), copies)
        self.given_back.remove(order)

    def send(self, events: list[dict[str, Any]], copies: int) -> None:
        """Clawback events are on their way."""
        for event in events:
            text = base64.b64encode(json.dumps(event).encode()).decode()
            self.events += [(f"{event['id']}-{copy}", text) for copy in range(copies)]

    async def deliver(self, which: int, fate: tuple[int, bool] | None) -> None:
        """One message is worked on, and deleted last."""
        message = self.events[which % len(self.events)]
        _, desk, _ = self.process(fate)
        try:
            await desk.settle(desk.open(*message))
        except CrashError:
            return
        self.events.remove(message)

    async def go_on(self, minutes: int, fate: tuple[int, bool] | None) -> None:
        """Time goes by, and the timers run."""
        world = self.world
        world.later(minutes=minutes)
        for letter in self.jobs.due(world.clock()):
            await self.take(decode_message(letter, FulfillmentMessage), fate)
        instance, desk, files = self.process(fate)
        try:
            await instance.sweeper.sweep()
            await world.drain(instance)
            async for refund in files.due(world.clock(), 100):
                await desk.look_again(refund)
        except CrashError:
            return
        except BaseExceptionGroup as group:
            assert group.split(CrashError)[1] is None  # noqa: PT017 - the death of a task comes in a group

    async def settle(self) -> None:
        """All that is on its way arrives."""
        for _ in range(SETTLED_WITHIN):
            while self.events:
                await self.deliver(0, None)
            await self.go_on(2, None)
            if not self.jobs.lying and not await self.world.open_rows() and not await self.waiting():
                return
        raise AssertionError(f"not at rest: {await self.world.open_rows()} {await self.waiting()}")

    async def waiting(self) -> list[str]:
        """Why events wait."""
        _, _, files = self.process(None)
        self.world.later(days=2)
        found = [refund async for refund in files.due(self.world.clock(), 100)]
        self.world.later(days=-2)
        return [f"{each.event_id} {each.status}: {each.reason}" for each in found]

    async def check(self) -> None:
        """Our books, and what was told, are what the Store's books say."""
        world = self.world
        for asked in self.asked:
            assert (await world.job(asked)).status is JobStatus.GRANTED
            assert await world.carried_out(asked) == 1
        for user in self.players:
            told = {event["id"]: event for event in world.events(user)}.values()
            sums: Counter[str] = Counter()
            for event in told:
                data = event["data"]
                sums[data["productId"]] += _TOLD[event["type"].rpartition(".")[2]] * data["quantity"]
            for product_id in (world.coins, world.chest):
                held = await world.held(user, product_id)
                assert await world.balance(user, product_id) == held
                assert sums[product_id] == held


@pytest.fixture
async def loop() -> asyncio.AbstractEventLoop:
    """The loop of all parts: it stands still while a test that is not async runs."""
    return asyncio.get_running_loop()


def test_the_books_are_the_stores(  # noqa: C901 - the rules are functions of their own
    loop: asyncio.AbstractEventLoop, wiring: Wiring, stack: Servers
) -> None:
    def go[T](coroutine: Coroutine[Any, Any, T]) -> T:
        return loop.run_until_complete(coroutine)

    class Machine(RuleBasedStateMachine):
        @initialize()
        def open(self) -> None:
            self.market = Market(wiring, stack)
            go(self.market.open())

        @precondition(lambda self: len(self.market.orders) < MOST_ORDERS)
        @rule(player=st.integers(0, 1), coins=st.integers(0, 4))
        def buy(self, player: int, coins: int) -> None:
            world = self.market.world
            go(self.market.buy(player, world.coins if coins else world.chest, coins or 1))

        @rule(player=st.integers(0, 1), coins=st.integers(1, 4), fate=fates)
        def consume_coins(self, player: int, coins: int, fate: tuple[int, bool] | None) -> None:
            go(self.market.consume(player, self.market.world.coins, coins, fate))

        @rule(player=st.integers(0, 1), fate=fates)
        def consume_a_chest(self, player: int, fate: tuple[int, bool] | None) -> None:
            go(self.market.consume(player, self.market.world.chest, 1, fate))

        @precondition(lambda self: len(self.market.given_back) < len(self.market.orders))
        @rule(order=st.integers(0, 7), copies=st.integers(1, 2), is_chargeback=st.booleans())
        def give_back(self, order: int, copies: int, is_chargeback: bool) -> None:
            go(self.market.give_back(order, copies, is_chargeback=is_chargeback))

        @precondition(lambda self: self.market.charged_back)
        @rule(order=st.integers(0, 7), copies=st.integers(1, 2))
        def reverse(self, order: int, copies: int) -> None:
            go(self.market.reverse(order, copies))

        @precondition(lambda self: self.market.events)
        @rule(which=st.integers(0, 7), fate=fates)
        def deliver(self, which: int, fate: tuple[int, bool] | None) -> None:
            go(self.market.deliver(which, fate))

        @rule(minutes=st.integers(0, 5), fate=fates)
        def go_on(self, minutes: int, fate: tuple[int, bool] | None) -> None:
            go(self.market.go_on(minutes, fate))

        def teardown(self) -> None:
            try:
                go(self.market.settle())
                go(self.market.check())
            finally:
                go(self.market.world.close())

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
        ),
    )
