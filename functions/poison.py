"""What was given up on, why, and again."""

from datetime import datetime

import msgspec
from azure.functions import Blueprint

from functions.http.answers import Answer
from functions.http.endpoints import Access, Call, endpoint
from functions.parts import parts

blueprint = Blueprint()


class PoisonedMessage(msgspec.Struct, rename="camel"):
    """One message; ``content`` is what its sender wrote."""

    queue: str
    message_id: str
    content: str
    reason: str
    given_up_on: datetime | None


class PoisonList(msgspec.Struct):
    """The oldest of each queue, at most 32 of each."""

    messages: list[PoisonedMessage]


@endpoint(blueprint, "GET", "poison", access=Access.OPERATOR, answers={200: PoisonList})
async def list_poison(call: Call) -> Answer:
    """What was given up on, and why."""
    found = await parts().poison.list()
    messages = [
        PoisonedMessage(each.queue, each.message_id, each.content, each.reason, each.given_up_on) for each in found
    ]
    return Answer(200, PoisonList(messages), {"Cache-Control": "no-store"})


@endpoint(blueprint, "POST", "poison/{queue}/{messageId}/replays", access=Access.OPERATOR, answers={202: None})
async def replay_poison(call: Call) -> Answer:
    """Puts a message back into its queue."""
    await parts().poison.replay(call.path("queue"), call.path("messageId"))
    return Answer(202)
