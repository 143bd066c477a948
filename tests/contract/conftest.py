"""A service that says what a test has it say, and the publisher's clients of it."""

from collections.abc import AsyncIterator

import pytest

from shared.store.collections import Collections
from shared.store.purchase import Purchase
from tests.support.business import LoopbackStore
from tests.support.publisher import collections_of, purchase_of


@pytest.fixture
async def store() -> AsyncIterator[LoopbackStore]:
    async with LoopbackStore().running() as running:
        yield running


@pytest.fixture
async def collections(store: LoopbackStore) -> AsyncIterator[Collections]:
    async with collections_of(store) as client:
        yield client


@pytest.fixture
async def purchase(store: LoopbackStore) -> AsyncIterator[Purchase]:
    async with purchase_of(store) as client:
        yield client
