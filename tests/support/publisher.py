"""The publisher's clients against a Store on loopback that says what it is told to say."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from shared.auth.tokens import ServiceToken
from shared.store.collections import Collections
from shared.store.errors import (
    StoreCredentialsError,
    StoreError,
    StoreRefusedError,
    StoreThrottledError,
    StoreUnknownError,
)
from shared.store.purchase import Purchase
from shared.store.transport import Transport
from shared.store.user_store_id import UserStoreIdKey
from tests.support.business import LoopbackStore, Said, Sent
from tests.support.fixtures import whole, wire

KEY = UserStoreIdKey("eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.PLACEHOLDER-COLLECTIONS-KEY.SIG")
PURCHASE_KEY = UserStoreIdKey("eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.PLACEHOLDER-PURCHASE-KEY.SIG")
TOKEN = ServiceToken("SERVICE-TOKEN", datetime(2026, 11, 21, 15, 0, tzinfo=UTC))
SUBSCRIPTION = "mdr:0:00112233445566778899aabbccddeeff:12345678-9abc-4def-8012-3456789abcde"
CLASSES: dict[int, type[StoreError]] = {
    400: StoreRefusedError,
    401: StoreCredentialsError,
    429: StoreThrottledError,
    500: StoreUnknownError,
}
"""What each status of a published error is to us."""


@asynccontextmanager
async def transport_to(store: LoopbackStore) -> AsyncIterator[Transport]:
    """A transport, closed in the end."""
    transport = Transport(store.url, 4)
    yield transport
    await transport.close()


@asynccontextmanager
async def collections_of(store: LoopbackStore) -> AsyncIterator[Collections]:
    """A client of Collections."""
    async with transport_to(store) as transport:
        yield Collections(transport)


@asynccontextmanager
async def purchase_of(store: LoopbackStore) -> AsyncIterator[Purchase]:
    """A client of Purchase."""
    async with transport_to(store) as transport:
        yield Purchase(transport)


def published(name: str) -> Said:
    """A published answer: its body, and the status and headers that belong to it."""
    http = whole(name).get("_http", {})
    number = name.split("-")[1]
    status = http.get("status") or (int(number) if number.isdecimal() else 400 if name.startswith("error-") else 200)
    return Said(status, wire(name), {"MS-RequestId": "r-1", **http.get("headers", {})})


def body_of(sent: Sent) -> dict[str, Any]:
    """What was sent, as JSON."""
    content: dict[str, Any] = json.loads(sent.body)
    return content
