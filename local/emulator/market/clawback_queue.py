"""The Store's queue of clawback events, in the storage account that the launcher names.

Source: store-services reference, section 8, "SAS token"; Azure Storage, "Create a service SAS" and "Create an account
SAS", which give the strings that are signed. The queue itself is Azurite's: it checks signatures and their expiry.
"""

import base64
import hashlib
import hmac
import math
import time
from dataclasses import dataclass
from urllib.parse import quote_plus, urlencode
from xml.sax.saxutils import escape

import aiohttp

from local.emulator.known_secrets import KnownSecrets

SAS_LIFETIME_SECONDS = 6 * 3600.0
QUEUE = "clawback-events"

_VERSION = "2021-10-04"
# The real address is https alone. Azurite listens without TLS, on loopback.
_PROTOCOLS = "https,http"
# The emulator's own address of the account must outlive a developer's day, and is never given out.
_OWN_LIFETIME_SECONDS = 30 * 86_400


class QueueError(Exception):
    """The storage account did not do what was asked; the text says what it answered."""


@dataclass(frozen=True)
class StorageAccount:
    """An account as its connection string describes it."""

    name: str
    key: str
    queue_endpoint: str

    @classmethod
    def parse(cls, connection_string: str) -> "StorageAccount":
        """Return the account.

        :raises ValueError: account, key or the queue's endpoint is missing.
        """
        parts = dict(part.split("=", 1) for part in connection_string.split(";") if "=" in part)
        try:
            return cls(parts["AccountName"], parts["AccountKey"], parts["QueueEndpoint"].rstrip("/"))
        except KeyError as error:
            raise ValueError(f"the connection string has no {error.args[0]}") from error

    def queue_sas(self, queue: str, lifetime_seconds: float) -> dict[str, str]:
        """Return the parameters of an address for reading and processing (``sp=rp``) alone."""
        start, expiry = _moments(lifetime_seconds)
        fields = ("rp", start, expiry, f"/queue/{self.name}/{queue}", "", "", _PROTOCOLS, _VERSION)
        return {
            "sv": _VERSION,
            "spr": _PROTOCOLS,
            "st": start,
            "se": expiry,
            "sp": "rp",
            "sig": self._sign("\n".join(fields)),
        }

    def own_sas(self) -> str:
        """Return the query with which the emulator itself makes the queue and fills it."""
        start, expiry = _moments(_OWN_LIFETIME_SECONDS)
        fields = (self.name, "rwdlacup", "q", "sco", start, expiry, "", _PROTOCOLS, _VERSION, "", "")
        query = {"sv": _VERSION, "spr": _PROTOCOLS, "st": start, "se": expiry, "sp": "rwdlacup", "ss": "q"}
        return urlencode({**query, "srt": "sco", "sig": self._sign("\n".join(fields))})

    def _sign(self, text: str) -> str:
        signature = hmac.new(base64.b64decode(self.key), text.encode(), hashlib.sha256)
        return base64.b64encode(signature.digest()).decode()


@dataclass(frozen=True)
class Address:
    """What ``sastoken`` answers: the queue with its SAS, and when that ends (epoch seconds)."""

    uri: str
    expires_on: float


class ClawbackQueue:
    """The queue, once :meth:`connect` told where it is; in memory only, since the account key is not ours to keep."""

    def __init__(self, secrets: KnownSecrets) -> None:
        self._secrets = secrets
        self._account: StorageAccount | None = None
        self._queue = QUEUE
        self._lifetime = SAS_LIFETIME_SECONDS
        self._own_sas = ""
        self._session: aiohttp.ClientSession | None = None

    @property
    def connected(self) -> bool:
        """Whether the publisher has a queue."""
        return self._account is not None

    async def connect(self, connection_string: str, *, queue: str = QUEUE, lifetime_seconds: float) -> None:
        """Make the queue, unless it exists, and use it from now on.

        :raises ValueError: the connection string is not one.
        :raises QueueError: the account did not make the queue.
        """
        account = StorageAccount.parse(connection_string)
        own_sas = account.own_sas()
        await self._call("PUT", f"{account.queue_endpoint}/{queue}?{own_sas}")
        self._account, self._queue, self._lifetime, self._own_sas = account, queue, lifetime_seconds, own_sas

    def disconnect(self) -> None:
        """Be a Store at which the publisher has no queue."""
        self._account = None

    def address(self) -> Address | None:
        """Return a fresh address of the queue, or ``None`` when there is none."""
        if self._account is None:
            return None
        sas = self._account.queue_sas(self._queue, self._lifetime)
        # As it stands in the address, and as whoever takes that apart would write it.
        for signature in {sas["sig"], quote_plus(sas["sig"])}:
            self._secrets.add_clawback_signature(signature)
        return Address(f"{self._account.queue_endpoint}/{self._queue}?{urlencode(sas)}", time.time() + self._lifetime)

    async def put(self, text: str) -> None:
        """Put a message as it is.

        :raises QueueError: there is no queue, or it did not take the message.
        """
        if self._account is None:
            raise QueueError("the publisher has no clawback queue: PUT /_emulator/clawback first")
        address = f"{self._account.queue_endpoint}/{self._queue}/messages?{self._own_sas}"
        await self._call("POST", address, f"<QueueMessage><MessageText>{escape(text)}</MessageText></QueueMessage>")

    async def close(self) -> None:
        """Give back the connections."""
        if self._session is not None:
            await self._session.close()

    async def _call(self, method: str, address: str, body: str | None = None) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30))
        try:
            async with self._session.request(method, address, data=body, headers={"x-ms-version": _VERSION}) as answer:
                if answer.status >= 300:
                    raise QueueError(f"the storage account answered {answer.status}: {await answer.text()}")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise QueueError(f"the storage account cannot be reached: {error}") from error


def _moments(lifetime_seconds: float) -> tuple[str, str]:
    now = time.time()
    # A SAS knows whole seconds. Rounded up, it is never over before its lifetime is.
    return _written(now - 1), _written(math.ceil(now + lifetime_seconds))


def _written(moment: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
