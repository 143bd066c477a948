"""The Store's queue of clawback events, read through the address that the Store gives out (reference, section 8).

The address is a secret: its SAS lets whoever has it read and delete. It grants no update (``sp=rp``), so that a message
cannot be hidden for longer than was asked for when it was read.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from shared.clock import Clock, utc_now
from shared.retry_after import parse_retry_after
from shared.store.answers import error_of
from shared.store.errors import StoreAnswer, StoreThrottledError, StoreUnknownError
from shared.store.models.purchase import ClawbackQueueAddress
from shared.store.transport import Transport

MOST_AT_ONCE = 32
"""Messages that one call gives (Azure Queue Storage)."""

RENEW_BEFORE = timedelta(minutes=10)
"""An address is asked for anew this long before it ends, or at half its life where that is later."""

_HEADERS = {"x-ms-version": "2021-10-04"}
_GONE = {"MessageNotFound", "PopReceiptMismatch"}
_BUSY = {"ServerBusy", "OperationTimedOut"}
_DEFAULT_WAIT = 5.0
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class QueueMessage:
    """One message. It is hidden from others until ``visible_on``, by the queue's clock; ``text`` as it was put."""

    id: str
    text: str
    pop_receipt: str
    dequeue_count: int
    visible_on: datetime


class ClawbackQueue:
    """The queue that ``find`` names. ``find`` raises :class:`StoreError`, too."""

    def __init__(
        self, find: Callable[[], Awaitable[ClawbackQueueAddress]], *, concurrency: int = 16, clock: Clock = utc_now
    ) -> None:
        self._find = find
        self._concurrency = concurrency
        self._clock = clock
        self._address: ClawbackQueueAddress | None = None
        self._renew_on = _NEVER
        self._turn = asyncio.Lock()
        self._transports: dict[str, Transport] = {}

    async def receive(self, visibility_seconds: int) -> list[QueueMessage]:
        """Up to :data:`MOST_AT_ONCE` messages, hidden from others for that long.

        :raises StoreError: see :mod:`shared.store.errors`.
        """
        wanted = {"numofmessages": str(MOST_AT_ONCE), "visibilitytimeout": str(visibility_seconds)}
        _, _, body = await self._call("read clawback queue", "GET", "/messages", wanted, {200})
        return _messages(body)

    async def delete(self, message: QueueMessage) -> bool:
        """Delete a message; False where it is no longer ours: somebody else has read it since, or deleted it.

        :raises StoreError: see :mod:`shared.store.errors`.
        """
        path, receipt = f"/messages/{quote(message.id, safe='')}", {"popreceipt": message.pop_receipt}
        status, code, _ = await self._call("delete clawback message", "DELETE", path, receipt, {200, 204, 400, 404})
        if status < 300:
            return True
        if code not in _GONE:
            raise error_of(StoreAnswer("delete clawback message", status, code), status, None)
        return False

    async def close(self) -> None:
        """Give back the connections."""
        for transport in self._transports.values():
            await transport.close()

    async def _call(
        self, operation: str, method: str, path: str, query: Mapping[str, str], accepted: set[int]
    ) -> tuple[int, str | None, bytes]:
        """Status, error code and body; with an address renewed once where the one in hand is not taken (403)."""
        address = await self._current(refused=None)
        status, headers, body = await self._send(operation, method, address, path, query)
        if status == 403:
            address = await self._current(refused=address)
            status, headers, body = await self._send(operation, method, address, path, query)
        code = headers.get("x-ms-error-code")
        if status in accepted:
            return status, code, body
        retry_after = parse_retry_after(headers.get("Retry-After"), self._clock)
        answer = StoreAnswer(operation, status, code, request_id=headers.get("x-ms-request-id"))
        if status == 429 or code in _BUSY:
            raise StoreThrottledError(answer, _DEFAULT_WAIT if retry_after is None else retry_after)
        raise error_of(answer, status, retry_after)

    async def _send(
        self, operation: str, method: str, address: ClawbackQueueAddress, path: str, query: Mapping[str, str]
    ) -> tuple[int, Mapping[str, str], bytes]:
        parts = urlsplit(address.uri.reveal())
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._transports:
            self._transports[origin] = Transport(origin, self._concurrency, clock=self._clock)
        # The SAS goes last and untouched: its signature is over the very characters.
        asked = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        target = f"{parts.path.rstrip('/')}{path}?{asked}&{parts.query}"
        response, body = await self._transports[origin].send(operation, method, target, None, _HEADERS)
        return response.status_code, response.headers, body

    async def _current(self, *, refused: ClawbackQueueAddress | None) -> ClawbackQueueAddress:
        """The address in hand, or a new one where there is none, it is about to end, or it was just ``refused``."""
        async with self._turn:
            address = self._address
            if address is None or address is refused or self._clock() >= self._renew_on:
                address = self._address = await self._find()
                life = address.expires_on - self._clock()
                # One that has ended by our clock is used until the queue itself refuses it: our clock may be wrong.
                lasts = life > timedelta(0)
                self._renew_on = address.expires_on - min(RENEW_BEFORE, life / 2) if lasts else _NEVER
            return address


def _messages(body: bytes) -> list[QueueMessage]:
    try:
        text = body.decode("utf-8-sig")
        # Nothing here has a document type; entities are how an XML document blows up.
        if "<!DOCTYPE" in text:
            raise ValueError("a document type")  # noqa: TRY301 - told below, as all that cannot be read
        root = ElementTree.fromstring(text)  # noqa: S314 - see above
        return [_message(each) for each in root.iter("QueueMessage")]
    except (ElementTree.ParseError, ValueError, TypeError) as error:
        raise StoreUnknownError(StoreAnswer("read clawback queue", 200, message="unreadable answer")) from error


def _message(element: ElementTree.Element) -> QueueMessage:
    def value(name: str) -> str:
        found = element.findtext(name)
        if found is None:
            raise ValueError(f"no {name}")
        return found

    visible_on = parsedate_to_datetime(value("TimeNextVisible"))
    return QueueMessage(
        value("MessageId"),
        value("MessageText"),
        value("PopReceipt"),
        int(value("DequeueCount")),
        visible_on if visible_on.tzinfo else visible_on.replace(tzinfo=UTC),
    )
