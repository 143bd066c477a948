"""Renewal as the app does it: timer, queue, workers, crashes."""

import json
from datetime import UTC, datetime
from typing import Any

from local.control import Control
from shared.keys.record import shard_of
from tests.support.app import App, Storage, unique
from tests.support.polling import eventually

QUEUE = "store-id-renewals"


def is_fresh(kept: dict[str, Any]) -> bool:
    """Whether a key was renewed just now."""
    return (datetime.now(UTC) - datetime.fromisoformat(kept["issuedOn"])).total_seconds() < 120


async def test_what_is_due_is_renewed_and_what_is_dead_is_told(app: App, control: Control, storage: Storage) -> None:
    due, fresh, revoked = [unique() for _ in range(3)]
    await app.keep(await app.player(due), "purchase", await control.store_id("purchase", due, issuedDaysAgo=20))
    await app.keep(await app.player(fresh), "purchase", await control.store_id("purchase", fresh, issuedDaysAgo=2))
    dead = await control.store_id("purchase", revoked, issuedDaysAgo=20)
    await app.keep(await app.player(revoked), "purchase", dead)
    await control.revoke(dead)

    await app.run_timer()

    player = await app.player(due)

    async def renewed() -> bool:
        return is_fresh((await app.kept(player))["purchase"])

    async def told() -> list[dict[str, Any]]:
        return await storage.events(revoked)

    await eventually(renewed)
    (event,) = await eventually(told)
    assert event["data"]["reason"] == "reissueNeeded"
    assert (await app.kept(await app.player(revoked)))["purchase"]["status"] == "reissueNeeded"
    assert not is_fresh((await app.kept(await app.player(fresh)))["purchase"])


async def test_the_store_sees_the_id_of_the_message(app: App, control: Control) -> None:
    name, since = unique(), await control.last_seen()
    await app.keep(await app.player(name), "purchase", await control.store_id("purchase", name, issuedDaysAgo=20))

    await app.run_timer()

    async def seen() -> list[dict[str, Any]]:
        return await control.requests(service="purchase", path="/keys/renew$", since=since)

    for request in await eventually(seen):
        assert f"[{request['correlationId']}] shard" in await eventually_logged(app, request["correlationId"])


async def eventually_logged(app: App, text: str) -> str:
    async def log() -> str | None:
        content = app.server.log.read_text("utf-8")
        return content if f"[{text}] shard" in content else None

    return await eventually(log)


async def test_a_message_said_twice_and_a_shard_without_anything_due_do_no_harm(app: App, storage: Storage) -> None:
    name = unique()
    await app.keep(await app.player(name), "collections", await app.control.store_id("collections", name))
    rows = await storage.rows_of(name)

    for _ in range(3):
        await storage.send(QUEUE, json.dumps({"version": 1, "shard": shard_of(name)}))
    await storage.drained()

    assert await storage.rows_of(name) == rows
