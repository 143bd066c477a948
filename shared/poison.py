"""What was given up on: messages in ``<queue>-poison``, each with the reason, and how one is tried again.

The host moves a message there that failed :data:`~shared.messages.MAX_DEQUEUE_COUNT` times, without saying why and
under another id; so the reason is filed under the message's content. What can never succeed is moved by us, at once.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from shared.clock import Clock, from_iso, to_iso, utc_now
from shared.errors import NotFoundError
from shared.storage.account import Account
from shared.storage.queues import Letter, Queue
from shared.storage.tables import Table
from shared.storage.transactions import ConflictError, Operation

SUFFIX = "-poison"
LONGEST_REASON = 1_000
UNKNOWN = "no reason is on file; the log has it under the message's id"


@dataclass(frozen=True, slots=True)
class Poisoned:
    """One message that was given up on. ``given_up_on`` is None where no reason is on file."""

    queue: str
    message_id: str
    content: str
    reason: str
    given_up_on: datetime | None


class Poison:
    """The poison queues of ``queues``, and the table ``poison`` with the reasons."""

    def __init__(self, account: Account, table: Table, queues: Iterable[str], *, clock: Clock = utc_now) -> None:
        self._table = table
        self._queues = {name: Queue(account, name) for name in queues}
        self._poison = {name: Queue(account, name + SUFFIX) for name in self._queues}
        self._clock = clock

    async def record(self, queue: str, body: bytes, reason: str) -> None:
        """File why a message failed for the last time; the host moves it.

        :raises UnavailableError: storage is away.
        """
        row = {
            "PartitionKey": queue,
            "RowKey": _digest(body),
            "reason": reason[:LONGEST_REASON],
            "recordedOn": to_iso(self._clock()),
        }
        await self._table.commit([Operation("put", row)])

    async def give_up(self, queue: str, body: bytes, reason: str) -> None:
        """File the reason and move the message; the caller's function then ends as if all were well.

        Dying in between leaves the message where it was, to be given up again.

        :raises UnavailableError: storage is away.
        """
        text = body.decode(errors="replace")
        await self.record(queue, text.encode(), reason)
        await self._poison[queue].send_text(text)

    async def list(self) -> list[Poisoned]:
        """The oldest messages of each poison queue, at most 32 of each (Azure shows no more without taking them).

        :raises UnavailableError: storage is away.
        """
        found = []
        for name, poison in self._poison.items():
            for letter in await poison.peek():
                row = await self._table.get(name, _digest(letter.content.encode()))
                reason, on = (row[0]["reason"], from_iso(row[0]["recordedOn"])) if row else (UNKNOWN, None)
                found.append(Poisoned(name, letter.id, letter.content, reason, on))
        return found

    async def replay(self, queue: str, message_id: str) -> None:
        """Put a message back where it came from. Dying in between may put it twice, which every message stands.

        :raises NotFoundError: there is no such queue, or no such message among its oldest.
        :raises UnavailableError: storage is away.
        """
        if queue not in self._queues:
            raise NotFoundError(f"No such queue; there are {', '.join(self._queues)}")
        letter = await self._poison[queue].take(message_id)
        if letter is None:
            raise NotFoundError("No such message among the oldest of that queue")
        await self._replay(queue, letter)

    async def _replay(self, queue: str, letter: Letter) -> None:
        await self._queues[queue].send_text(letter.content)
        await self._poison[queue].remove(letter)
        try:
            row = {"PartitionKey": queue, "RowKey": _digest(letter.content.encode())}
            await self._table.commit([Operation("delete", row)])
        except ConflictError:
            pass  # no reason was on file


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
