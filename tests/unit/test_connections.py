"""Connections: as many as there are calls in flight, made one by one, given up when nobody needs them."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from shared.store import connections as module
from shared.store.connections import Connections, tls_context
from tests.support.polling import eventually


@pytest.fixture
async def connections() -> AsyncIterator[Connections]:
    connections = Connections(3)
    yield connections
    await connections.close()


async def test_none_is_made_before_it_is_needed_and_the_warm_one_is_taken_first(connections: Connections) -> None:
    assert connections._idle == []

    one = await connections.take()
    two = await connections.take()
    connections.give(one)
    connections.give(two)

    assert await connections.take() is two
    assert len(connections._idle) == 1
    connections.give(two)


async def test_who_comes_when_all_are_taken_waits_for_one(connections: Connections) -> None:
    taken = [await connections.take() for _ in range(3)]
    waiting = asyncio.ensure_future(connections.take())
    await asyncio.sleep(0)
    assert not waiting.done()

    connections.give(taken[1])

    assert await waiting is taken[1]
    for each in taken:
        connections.give(each)


async def test_what_nobody_takes_is_closed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEEP_ALIVE", 0.05)
    connections = Connections(10)
    taken = [await connections.take() for _ in range(10)]
    for each in taken:
        connections.give(each)

    async def used() -> httpx.AsyncHTTPTransport:
        connection = await connections.take()
        connections.give(connection)
        return connection

    async def the_used_one_alone_is_left() -> bool:
        return await used() is taken[-1] and len(connections._idle) == 1

    async def none_is_left() -> bool:
        return not connections._idle and connections._sweeper is None

    await eventually(the_used_one_alone_is_left)
    for _ in range(20):  # four times as long as it is kept unused
        assert await used() is taken[-1]
        await asyncio.sleep(0.01)
    await eventually(none_is_left)

    connections.give(await connections.take())  # and it begins anew
    await connections.close()


async def test_a_connection_that_cannot_be_made_takes_no_ones_place(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as environment:
        environment.setenv("SSL_CERT_FILE", "/nowhere.pem")
        for _ in range(5):
            with pytest.raises(FileNotFoundError):
                await connections.take()

    connections.give(await connections.take())


def test_all_share_one_tls_context(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)

    assert tls_context() is tls_context()


async def test_one_whose_call_broke_is_closed_and_its_place_is_free(connections: Connections) -> None:
    broken = await connections.take()

    connections.give(broken, broken=True)
    taken = [await connections.take() for _ in range(3)]

    assert broken not in taken
    for each in taken:
        connections.give(each)
