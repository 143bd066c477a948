"""The Store's own counter: what tests and the guided run buy, refund and look up there. ``Control.store`` has one."""

from collections.abc import Awaitable, Mapping, Sequence
from typing import Any, Literal, Protocol


class Call(Protocol):
    """A call of the control API, which answers with the JSON of its answer."""

    def __call__(
        self, method: str, path: str, body: object = None, *, query: Mapping[str, Any] | None = None
    ) -> Awaitable[Any]: ...


class StoreFront:
    """Makes products, sells them, gives money back, and shows the books. ``options`` are those of the emulator."""

    def __init__(self, call: Call) -> None:
        self._call = call

    async def product(self, product_id: str, kind: str, **options: Any) -> None:
        """Put a product into the catalogue: ``price``, ``sandbox``, ``contains``, ... (``NewProduct``)."""
        await self._post("/store/products", {"productId": product_id, "kind": kind, **options})

    async def buy(self, player: str, product_id: str, quantity: int = 1, **options: Any) -> dict[str, Any]:
        """A purchase (``NewPurchase``): ``orderId``, and ``lines`` each with its ``lineItemId`` and ``productId``."""
        body = {"player": player, "productId": product_id, "quantity": quantity, **options}
        order: dict[str, Any] = await self._post("/store/purchases", body)
        return order

    async def buy_for_all(self, players: Sequence[str], product_id: str, **options: Any) -> list[dict[str, Any]]:
        """A purchase by each of many players; the orders, each with its ``player``."""
        body = {"players": list(players), "productId": product_id, **options}
        orders: list[dict[str, Any]] = (await self._post("/store/purchases", body))["orders"]
        return orders

    async def refund(self, player: str, order_id: str, **options: Any) -> list[dict[str, Any]]:
        """Give the money of an order back (``NewRefund``); the clawback events."""
        return await self._events("/store/refunds", {"player": player, "orderId": order_id, **options})

    async def charge_back(self, player: str, order_id: str, **options: Any) -> list[dict[str, Any]]:
        """Have the player's bank take the money back; the events."""
        return await self.refund(player, order_id, chargeback=True, **options)

    async def reverse_chargeback(self, player: str, order_id: str, **options: Any) -> list[dict[str, Any]]:
        """Have the bank return it (``NewReversal``); the events."""
        return await self._events("/store/reversals", {"player": player, "orderId": order_id, **options})

    async def subscribe(self, player: str, product_id: str, **options: Any) -> dict[str, Any]:
        """Sell a subscription (``NewSubscription``); ``id`` is its recurrence id."""
        body = {"player": player, "productId": product_id, **options}
        subscription: dict[str, Any] = await self._post("/store/subscriptions", body)
        return subscription

    async def lapse(self, recurrence_id: str, **options: Any) -> dict[str, Any]:
        """Let a payment fail: into grace, or with ``graceDays`` and ``endedDaysAgo`` past it."""
        return await self._change(recurrence_id, "lapses", options)

    async def renew(self, recurrence_id: str) -> dict[str, Any]:
        """Pay the next period; recovers a subscription that lapsed."""
        return await self._change(recurrence_id, "renewals", {})

    async def end(self, recurrence_id: str, state: Literal["Inactive", "Canceled", "Failed"]) -> dict[str, Any]:
        """End a subscription: expired, cancelled, or never paid."""
        return await self._change(recurrence_id, "ends", {"state": state})

    async def refund_subscription(self, recurrence_id: str, **options: Any) -> list[dict[str, Any]]:
        """Give the money of the running period back (``Refund``); the events."""
        return await self._events(f"/store/subscriptions/{recurrence_id}/refunds", options)

    async def reverse_subscription(self, recurrence_id: str, **options: Any) -> list[dict[str, Any]]:
        """Reverse the chargeback of a subscription (``Reversal``), which runs again; the events."""
        return await self._events(f"/store/subscriptions/{recurrence_id}/reversals", options)

    async def books(self, *players: str) -> dict[str, dict[str, Any]]:
        """The whole truth of some players, or of all: ``products``, ``consumes``, ``carriedOut``, ``orders``, ..."""
        books: dict[str, dict[str, Any]] = (await self._call("GET", "/store/books", query={"player": players}))[
            "players"
        ]
        return books

    async def events(self) -> list[dict[str, Any]]:
        """All clawback events since the emulator started, those that were not sent, too."""
        events: list[dict[str, Any]] = (await self._call("GET", "/store/books"))["events"]
        return events

    async def set(self, **settings: Any) -> None:
        """Change ``operations`` and ``seconds`` of the rate limit, spellings and shapes (``Settings``)."""
        await self._call("PATCH", "/store/settings", settings)

    async def reset(self) -> None:
        """All settings as they were at first."""
        await self._call("DELETE", "/store/settings")

    async def connect_clawback(self, connection_string: str, **options: Any) -> None:
        """Give the publisher a clawback queue in a storage account; ``sasLifetimeSeconds``, ``queue``."""
        await self._call("PUT", "/clawback", {"connectionString": connection_string, **options})

    async def disconnect_clawback(self) -> None:
        """Take the queue from the publisher."""
        await self._call("DELETE", "/clawback")

    async def put_message(self, **message: Any) -> None:
        """Put a message into the clawback queue: ``event`` (any JSON) or ``text`` as it is (``NewMessage``)."""
        await self._post("/clawback/messages", message)

    async def _events(self, path: str, body: object) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = (await self._post(path, body))["events"]
        return events

    async def _change(self, recurrence_id: str, what: str, body: object) -> dict[str, Any]:
        subscription: dict[str, Any] = await self._post(f"/store/subscriptions/{recurrence_id}/{what}", body)
        return subscription

    async def _post(self, path: str, body: object) -> Any:
        return await self._call("POST", path, body)
