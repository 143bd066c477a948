"""The steps of the guided run about consumables, refunds and subscriptions. Each returns what it saw."""

import asyncio
import json
import uuid
from typing import Any

from local.control import Kind
from local.demo.play import Play
from local.demo.step import Step
from local.demo.world import until

COINS, GEMS, CHEST, BUNDLE, PASS = "9NCOINS00001", "9NGEMS000001", "9NCHEST00001", "9NBUNDLE0001", "9NPASS000001"
CONSUME = "/v8.0/collections/consume"
PLAYERS = ("clara", "david")
KINDS: tuple[Kind, ...] = ("collections", "purchase")


async def consume(play: Play) -> str:
    """Two players buy; their games have it fulfilled. One job comes twice over the queue, as jobs do."""
    world, store = play.world, play.world.control.store
    for product, kind in ((COINS, "Consumable"), (GEMS, "Consumable"), (CHEST, "UnmanagedConsumable")):
        await store.product(product, kind, price=1.99)
    await store.product(BUNDLE, "Durable", contains={COINS: 5, GEMS: 2}, price=9.99)
    await store.product(PASS, "Pass", price=4.99)
    for player in PLAYERS:
        for kind in KINDS:
            await play.put(player, await world.control.store_id(kind, player), kind)
    play.orders["coins"] = (await store.buy("clara", COINS, 10))["orderId"]
    play.orders["chest"] = (await store.buy("david", CHEST))["orderId"]
    await _fulfilled(play, "clara", COINS, 7)
    await _fulfilled(play, "david", CHEST, 1, "UnmanagedConsumable")
    job = {
        "version": 1,
        "userId": "clara",
        "trackingId": str(uuid.uuid4()),
        "productId": COINS,
        "quantity": 2,
        "consumableType": "Consumable",
    }
    for _ in range(2):
        await world.put_message("fulfillment-jobs", json.dumps(job))
    await _until_balance(play, "clara", COINS, 9)
    carried_out = list((await store.books("clara"))["clara"]["carriedOut"].values())
    play.tell.expect("consumes at the Store for clara's two requests, one of which came twice", [1, 1], carried_out)
    play.tell.expect("clara's coins", 9, (await _balances(play, "clara"))[COINS])
    play.tell.expect("david's chests", 1, (await _balances(play, "david"))[CHEST])
    return f"clara {9} coins, david 1 chest; sent twice, carried out {carried_out[-1]} time"


async def crash(play: Play) -> str:
    """The app is killed (SIGKILL) after the Store has consumed and before it could answer; then started again."""
    world, control = play.world, play.world.control
    await control.store.buy("david", COINS, 5)
    before = len((await control.store.books("david"))["david"]["carriedOut"])
    await control.disturb("collections", {"latencyMs": 3000, "status": 503, "when": "after"}, path=CONSUME)
    play.cut_off = str(uuid.uuid4())
    body = {"trackingId": play.cut_off, "productId": COINS, "quantity": 5, "consumableType": "Consumable"}
    answer = await world.call("POST", "/users/david/fulfillments", play.operator, body)
    play.tell.expect("POST /users/david/fulfillments", 202, answer.status_code)

    async def taken() -> bool:
        return len((await control.store.books("david"))["david"]["carriedOut"]) > before

    await until("the Store has consumed", taken)
    code = await world.kill_app()
    await control.calm()
    play.tell.expect("the app's exit code", -9, code)
    with play.tell.timed("the app is started again"):
        await world.start_app()
    coins = (await _balances(play, "david")).get(COINS, 0)
    play.tell.expect("david's coins: taken at the Store, not granted yet", 0, coins)
    return "consumed at the Store, not granted"


async def refunds(play: Play) -> str:
    """A purchase is refunded and taken back; another is charged back, and given back when the bank reverses that."""
    world, store = play.world, play.world.control.store
    await store.refund("clara", play.orders["coins"])
    await _refunds_fetched(play)
    await _until_balance(play, "clara", COINS, 0)
    coins = (await _balances(play, "clara"))[COINS]
    play.tell.expect("clara's coins after the refund of what she had consumed", 0, coins)
    order = (await store.buy("david", GEMS, 4))["orderId"]
    await _fulfilled(play, "david", GEMS, 4)
    await store.charge_back("david", order)
    await _refunds_fetched(play)
    await _until_balance(play, "david", GEMS, 0)
    play.tell.say("david's bank took the money back: no gems")
    await store.reverse_chargeback("david", order)
    await _refunds_fetched(play)
    await _until_balance(play, "david", GEMS, 4)
    play.tell.expect("david's gems after the reversal", 4, (await _balances(play, "david"))[GEMS])
    applied = await play.get("/refunds", status="applied")
    play.tell.expect("clawback events that were applied", 3, len(applied["refunds"]))
    types = {event["type"] for event in await world.take_events()}
    wanted = {"storekeeper.consumable.revoked", "storekeeper.consumable.restored"}
    play.tell.require("the game's back end was told", wanted <= types, ", ".join(sorted(wanted)), "both")
    return "taken back once, restored once"


async def bundle(play: Play) -> str:
    """A bundle of coins and gems; the gems alone are refunded. Both share one order line at the Store."""
    store = play.world.control.store
    order = (await store.buy("clara", BUNDLE))["orderId"]
    await _fulfilled(play, "clara", COINS, 5)
    await _fulfilled(play, "clara", GEMS, 2)
    await store.refund("clara", order, products=[GEMS])
    await _refunds_fetched(play)
    await _until_balance(play, "clara", GEMS, 0)
    balances = await _balances(play, "clara")
    play.tell.expect("clara's gems and coins", (0, 5), (balances[GEMS], balances[COINS]))
    return f"{balances[GEMS]} gems, {balances[COINS]} coins"


async def subscription(play: Play) -> str:
    """A subscription's payment fails: the player stays entitled during the grace time, and no longer."""
    store = play.world.control.store
    bought = await store.subscribe("david", PASS)
    seen = []
    for days in (None, 3.0, -1.0):
        if days is not None:
            await store.lapse(bought["id"], graceDays=days, endedDaysAgo=1)
        (item,) = (await play.get("/users/david/subscriptions"))["items"]
        seen.append((item["state"], item["entitled"]))
    wanted = [("Active", True), ("InDunning", True), ("InDunning", False)]
    play.tell.expect("paid, in grace, and after it", wanted, seen)
    return ", ".join(f"{state} {'entitled' if entitled else 'not entitled'}" for state, entitled in seen)


async def books(play: Play) -> str:
    """What the crash cut off is granted, once the dead worker's claim has run out. Then all books are compared."""
    world, store = play.world, play.world.control.store

    async def granted() -> bool:
        await world.fire_timer("sweep")
        return bool((await play.get(f"/users/david/fulfillments/{play.cut_off}"))["status"] == "granted")

    with play.tell.timed("the sweep is run until the purchase is granted"):
        await until("the purchase that was cut off is granted", granted, seconds=150, pause=2)
    truth = await store.books(*PLAYERS)
    times = {count for player in PLAYERS for count in truth[player]["carriedOut"].values()}
    play.tell.expect("times that each consume was carried out", {1}, times)
    theirs = {player: _held(truth[player]) for player in PLAYERS}
    ours = {player: _nonzero(await _balances(play, player)) for player in PLAYERS}
    for player in PLAYERS:
        play.tell.expect(f"{player}: Storekeeper's books, beside the Store's", theirs[player], ours[player])
    return "equal" if ours == theirs else "not equal"


MARKET_STEPS = (
    Step("Bought and consumed", "sent twice, carried out 1 time", consume),
    Step("A crash during a consume", "consumed at the Store, not granted", crash),
    Step("Refunds and a reversal", "taken back once, restored once", refunds),
    Step("A bundle, refunded in part", "0 gems, 5 coins", bundle),
    Step("A subscription lapses", "entitled, in grace, then not", subscription),
)
BOOKS = Step("Storekeeper's books, the Store's", "equal", books)


async def _fulfilled(play: Play, player: str, product: str, quantity: int, kind: str = "Consumable") -> None:
    """Have a purchase fulfilled, and wait for the grant."""
    body = {"productId": product, "quantity": quantity, "consumableType": kind}
    answer = await play.world.call("POST", f"/users/{player}/fulfillments", play.operator, body)
    play.tell.expect(f"POST /users/{player}/fulfillments ({quantity} of {product})", 202, answer.status_code)
    path = answer.headers["Location"].removeprefix("/api")

    async def granted() -> bool:
        return bool((await play.get(path))["status"] == "granted")

    await until(f"{player}'s {product} is granted", granted)


async def _refunds_fetched(play: Play) -> None:
    """Run the refund timer; an event in the queue is seen a moment after it was put."""
    await asyncio.sleep(0.2)
    await play.world.fire_timer("fetch_refunds")


async def _until_balance(play: Play, player: str, product: str, quantity: int) -> None:
    async def holds() -> bool:
        return (await _balances(play, player)).get(product, 0) == quantity

    await until(f"{player} has {quantity} of {product}", holds)


async def _balances(play: Play, player: str) -> dict[str, int]:
    found = (await play.get(f"/users/{player}/balances"))["balances"]
    return {each["productId"]: each["quantity"] for each in found}


def _nonzero(balances: dict[str, int]) -> dict[str, int]:
    return {name: count for name, count in balances.items() if count}


def _held(truth: dict[str, Any]) -> dict[str, int]:
    """What a player should have by the Store's books."""
    return {name: each["held"] for name, each in truth["products"]["RETAIL"].items() if each.get("held")}
