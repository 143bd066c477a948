"""The Store's services as an app calls them, and the store front beside them."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from local.control import Control
from local.storefront import StoreFront
from tests.emulator.world import World

V9 = "/collections/v9.0/collections/publisherQuery"
V8 = "/collections/v8.0/collections/b2bLicensePreview"
CONSUME = "/collections/v8.0/collections/consume"


@dataclass
class Market:
    """An app with a service token, and players whose keys are made when they are first needed."""

    world: World
    store: StoreFront
    token: str
    _keys: dict[tuple[str, str], str] = field(default_factory=dict)

    async def key(self, player: str, kind: str) -> str:
        if (player, kind) not in self._keys:
            self._keys[player, kind] = await self.world.key(kind, publisherUserId=player)
        return self._keys[player, kind]

    async def identity(self, player: str) -> dict[str, str]:
        key = await self.key(player, "collections")
        return {"identityType": "b2b", "identityValue": key, "localTicketReference": "ticket-1"}

    async def post(self, path: str, body: object, *, token: str | None = None) -> httpx.Response:
        return await self.world.http.post(path, json=body, headers={"Authorization": f"Bearer {token or self.token}"})

    async def query(self, player: str, *products: str, path: str = V9, **more: object) -> httpx.Response:
        """A query for some products, or with v8 for all."""
        body: dict[str, object] = {"beneficiaries": [await self.identity(player)]}
        if products:
            body["productSkuIds"] = [{"productId": product} for product in products]
        if path == V8:
            body["market"] = "neutral"
        return await self.post(path, body | more)

    async def items(self, player: str, *products: str, path: str = V9, **more: object) -> list[dict[str, Any]]:
        """The items of all pages of a query."""
        found: list[dict[str, Any]] = []
        token: dict[str, object] = {}
        while True:
            answer = await self.query(player, *products, path=path, **more, **token)
            assert answer.status_code == 200, answer.text
            found += answer.json()["items"]
            if "continuationToken" not in answer.json():
                return found
            token = {"continuationToken": answer.json()["continuationToken"]}

    async def item(self, player: str, product: str, **more: Any) -> dict[str, Any]:
        [item] = await self.items(player, product, **more)
        return item

    async def consume(self, player: str, product: str, quantity: int | None = None, **more: object) -> httpx.Response:
        """A consume, of the store-managed form if there is a quantity; under a new tracking id unless one is given."""
        body: dict[str, object] = {
            "beneficiary": await self.identity(player),
            "productId": product,
            "trackingId": str(uuid.uuid4()),
            "includeOrderIds": True,
        }
        if quantity is not None:
            body["removeQuantity"] = quantity
        return await self.post(CONSUME, {name: value for name, value in (body | more).items() if value is not None})

    async def consumed(self, player: str, product: str, quantity: int | None = None, **more: object) -> dict[str, Any]:
        """The answer to a consume, which must be a success."""
        answer = await self.consume(player, product, quantity, **more)
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content

    async def purchase(self, player: str, path: str, **body: object) -> httpx.Response:
        """A call of Purchase on a player's behalf; ``path`` follows ``/purchase``."""
        return await self.post(f"/purchase{path}", {"b2bKey": await self.key(player, "purchase"), **body})

    async def books(self, player: str) -> dict[str, Any]:
        return (await self.store.books(player))[player]


def inner(answer: httpx.Response) -> tuple[int, str]:
    """Status and inner code of an error."""
    return answer.status_code, answer.json()["innererror"]["code"]


@asynccontextmanager
async def opened(world: World) -> AsyncIterator[Market]:
    """The market of a world."""
    control = Control(world.url, world.ca)
    try:
        yield Market(world, control.store, await world.token())
    finally:
        await control.close()
