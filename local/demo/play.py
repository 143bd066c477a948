"""What the steps of the guided run share: the callers, what one step hands to the next, and common questions."""

import asyncio
from typing import Any

from local.demo.narrator import Narrator
from local.demo.world import Bearer, World, until


class Play:
    """The state of the run."""

    def __init__(self, world: World, narrator: Narrator) -> None:
        self.world = world
        self.tell = narrator
        self.operator: Bearer = {}
        self.anna: Bearer = {}
        self.ben: Bearer = {}
        self.tokens: dict[str, str] = {}
        self.crowd: dict[str, str] = {}
        self.before_crash = 0
        self.seats_product: dict[str, str] = {}
        self.orders: dict[str, str] = {}
        self.cut_off = ""

    async def get(self, path: str, **query: str) -> dict[str, Any]:
        """What the app answers to an operator."""
        answer = await self.world.call("GET", path, self.operator, query=query)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found

    async def put(self, user: str, key: str, kind: str = "collections") -> dict[str, str]:
        """Hand in a key for a player, as an operator; the app's answer."""
        answer = await self.world.call("PUT", f"/users/{user}/store-ids/{kind}", self.operator, {"key": key})
        body: dict[str, str] = answer.raise_for_status().json()
        return body

    async def issued(self, players: list[str]) -> dict[str, str]:
        """``issuedOn`` of all keys of these players, by ``player/kind``."""
        kept = await asyncio.gather(*(self.world.store_ids(self.operator, player) for player in players))
        return {
            f"{player}/{kind}": key["issuedOn"]
            for player, keys in zip(players, kept, strict=True)
            for kind, key in keys.items()
        }

    async def status(self, player: str, kind: str = "collections") -> str:
        """What the app says of one key."""
        return (await self.world.store_ids(self.operator, player))[kind]["status"]

    async def until_status(self, player: str, status: str, kind: str = "collections") -> None:
        """Wait until the app says so of one key."""

        async def holds() -> bool:
            return await self.status(player, kind) == status

        await until(f"{player}'s {kind} key is {status}", holds)

    async def entra_calls(self, since: int) -> list[dict[str, object]]:
        """Entra's record of token requests by the publisher's app."""
        calls = await self.world.control.requests(service="entra", method="POST", since=since)
        return [call for call in calls if call["clientId"] == self.world.settings["PUBLISHER_CLIENT_ID"]]
