"""What was given up on, why, and again."""

from datetime import datetime

import msgspec

from functions.http.answers import Answer
from functions.http.calls import Call
from functions.http.endpoints import endpoint
from functions.parts import parts


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


@endpoint(answers={200: PoisonList})
async def list_poison(call: Call) -> Answer:
    """What was given up on, and why."""
    found = await parts().poison.list()
    messages = [
        PoisonedMessage(each.queue, each.message_id, each.content, each.reason, each.given_up_on) for each in found
    ]
    return Answer(200, PoisonList(messages), {"Cache-Control": "no-store"})


@endpoint(answers={202: None})
async def replay_poison(call: Call) -> Answer:
    """Puts a message back into its queue."""
    await parts().poison.replay(call.path("queue"), call.path("messageId"))
    return Answer(202)
