"""A storage account that is away is told soon, whichever of its services is asked."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from shared.auth.app_identity import AppIdentity
from shared.errors import UnavailableError
from shared.secret import Secret
from shared.settings import StorageAccount
from shared.storage.account import Account
from shared.storage.queues import Queue
from shared.storage.tables import Table
from shared.storage.transactions import Operation
from tests.support.environ import settings

NOWHERE = "http://127.0.0.1:9/account"  # the discard port: nobody listens
CONNECTION = (
    f"DefaultEndpointsProtocol=http;AccountName=account;AccountKey=a2V5;QueueEndpoint={NOWHERE};"
    f"TableEndpoint={NOWHERE};"
)
SOON = 5.0
"""Seconds: well under what a caller waits, and what readiness gives one dependency."""


@pytest.fixture
async def account() -> AsyncIterator[Account]:
    account = Account(StorageAccount(Secret(CONNECTION), None), AppIdentity(settings()))
    yield account
    await account.close()


@pytest.mark.parametrize("call", ["check", "get", "commit"])
async def test_a_table_that_is_away_is_told_soon(account: Account, call: str) -> None:
    table = Table(account, "storeids")
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "check": table.check,
        "get": lambda: table.get("p", "r"),
        "commit": lambda: table.commit([Operation("create", {"PartitionKey": "p", "RowKey": "r"})]),
    }

    async with asyncio.timeout(SOON):
        with pytest.raises(UnavailableError, match="storage-tables"):
            await calls[call]()


@pytest.mark.parametrize("call", ["check", "send"])
async def test_a_queue_that_is_away_is_told_soon(account: Account, call: str) -> None:
    queue = Queue(account, "store-events")

    async with asyncio.timeout(SOON):
        with pytest.raises(UnavailableError, match="storage-queues"):
            await (queue.check() if call == "check" else queue.send({"a": 1}))
