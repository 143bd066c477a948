"""What was given up on: seen with its reason, and tried again."""

import json
from typing import Any

import pytest

from shared.keys.messages import QUEUE
from shared.poison import UNKNOWN, Poison
from shared.storage.tables import Table
from shared.wiring import Wiring
from tests.support.app import App, Storage, unique
from tests.support.polling import eventually


async def poisoned(app: App, content: str) -> dict[str, Any] | None:
    """What the app says of a message that was given up on."""
    answer = await app.http.get("/poison", headers=await app.operator())
    assert answer.status_code == 200, answer.text
    return next((each for each in answer.json()["messages"] if each["content"] == content), None)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ('{"version":2,"shard":"00"}', "version 2 is not known; expected 1"),
        ("no message at all", "the message is neither JSON nor base64"),
        ('{"version":1,"shard":"zz"}', "the message cannot be read"),
        ('{"version":1,"more":[[[]]]}', "contains unknown field `more`"),
    ],
)
async def test_a_message_that_can_never_be_handled_is_given_up_at_once_with_its_reason(
    app: App, storage: Storage, message: str, reason: str
) -> None:
    await storage.send(QUEUE, message)

    found = await eventually(lambda: poisoned(app, message))

    assert found["queue"] == QUEUE
    assert reason in found["reason"]
    assert found["givenUpOn"].endswith("Z")
    assert message in await storage.messages(f"{QUEUE}-poison")


async def test_what_was_given_up_on_is_tried_again_and_leaves_the_poison(app: App, storage: Storage) -> None:
    message = json.dumps({"version": 3, "shard": unique()})
    await storage.send(QUEUE, message)
    first = await eventually(lambda: poisoned(app, message))

    answer = await app.http.post(f"/poison/{QUEUE}/{first['messageId']}/replays", headers=await app.operator())

    async def given_up_anew() -> dict[str, Any] | None:
        found = await poisoned(app, message)
        return found if found and found["messageId"] != first["messageId"] else None

    assert answer.status_code == 202, answer.text
    again = await eventually(given_up_anew)
    assert again["reason"] == first["reason"]
    assert (await storage.messages(f"{QUEUE}-poison")).count(message) == 1


async def test_what_is_not_there_cannot_be_replayed(app: App) -> None:
    for queue in (QUEUE, "store-events", "no-such-queue"):
        answer = await app.http.post(f"/poison/{queue}/{unique()}/replays", headers=await app.operator())

        assert answer.status_code == 404, answer.text


async def test_players_see_nothing_of_it(app: App) -> None:
    player = await app.player()

    assert (await app.http.get("/poison", headers=player)).status_code == 403
    assert (await app.http.post(f"/poison/{QUEUE}/x/replays", headers=player)).status_code == 403


async def test_a_message_that_the_host_gave_up_has_the_reason_of_its_last_failure(
    wiring: Wiring, storage: Storage
) -> None:
    queue = unique("queue")
    poison = Poison(wiring.core.account, Table(wiring.core.account, "poison"), [queue])
    await poison.record(queue, b"known", "storage-tables: answered 503")
    for content in ("known", "nobody said why"):
        await storage.send(f"{queue}-poison", content)

    assert {each.content: each.reason for each in await poison.list()} == {
        "known": "storage-tables: answered 503",
        "nobody said why": UNKNOWN,
    }


async def test_a_replay_takes_one_message_and_leaves_the_others_to_be_seen(wiring: Wiring, storage: Storage) -> None:
    queue = unique("queue")
    poison = Poison(wiring.core.account, Table(wiring.core.account, "poison"), [queue])
    for number in range(3):
        await poison.give_up(queue, f"message {number}".encode(), "because")
    second = next(each for each in await poison.list() if each.content == "message 1")

    await poison.replay(queue, second.message_id)

    assert await storage.messages(queue) == ["message 1"]
    assert [each.content for each in await poison.list()] == ["message 0", "message 2"]


async def test_a_reason_is_found_again_for_what_is_no_text(wiring: Wiring) -> None:
    queue = unique("queue")
    poison = Poison(wiring.core.account, Table(wiring.core.account, "poison"), [queue])

    await poison.give_up(queue, b"\xff\xfe", "neither JSON nor base64")

    assert [each.reason for each in await poison.list()] == ["neither JSON nor base64"]
