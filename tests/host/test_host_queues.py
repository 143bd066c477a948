"""Queue triggers and outputs of the app ``queue``, against Azurite."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import aiohttp
import pytest_asyncio

from local.processes import Server
from tests.host.hosts import Hosts, emptied, eventually, received, unique

IN = unique("in")


@pytest_asyncio.fixture(scope="module")
async def server(hosts: Hosts) -> AsyncIterator[Server]:
    async with hosts.running("queue", "--queue-lease-seconds", "2", IN_QUEUE=IN) as server:
        yield server


async def test_success_deletes_the_message(hosts: Hosts, server: Server) -> None:
    async with hosts.queue(IN) as queue, hosts.queue("seen") as seen:
        sent = await queue.send_message("grün <&> 1")
        (told,) = await received(seen, 1)
        await emptied(queue)
    content = json.loads(told.content)
    assert content["text"] == "grün <&> 1"
    assert content["id"] == sent.id
    assert content["count"] == 1
    assert content["receipt"]
    inserted, expires, following = (datetime.fromisoformat(content[key]) for key in ("inserted", "expires", "next"))
    assert sent.inserted_on is not None
    assert abs(inserted - sent.inserted_on) < timedelta(seconds=2)
    assert expires - inserted > timedelta(days=6)
    assert following > inserted


async def test_an_exception_hides_the_message_for_visibility_timeout(hosts: Hosts, server: Server) -> None:
    async with hosts.queue(IN) as queue, hosts.queue("seen") as seen:
        began = time.monotonic()
        await queue.send_message("fail once")
        (told,) = await received(seen, 1)
        assert 0.9 < time.monotonic() - began < 6
        assert json.loads(told.content)["count"] == 2
        await emptied(queue)


async def test_what_always_fails_ends_in_poison(hosts: Hosts, server: Server) -> None:
    async with hosts.queue(IN) as queue, hosts.queue(f"{IN}-poison") as poison:
        sent = await queue.send_message("fail")
        (given_up,) = await received(poison, 1)
        assert given_up.content == "fail"
        await emptied(queue)
    await eventually(lambda: f"message {sent.id} was moved to {IN}-poison, received 3 times" in server.tail())
    assert server.tail(2000).count("RuntimeError('as told')") >= 3


async def test_a_running_message_is_kept_hidden(hosts: Hosts, server: Server) -> None:
    """It runs for longer than its lease of two seconds."""
    async with hosts.queue(IN) as queue, hosts.queue("seen") as seen:
        await queue.send_message("sleep 3.2")
        (told,) = await received(seen, 1)
        assert json.loads(told.content)["count"] == 1
        await emptied(queue)
        assert [message async for message in seen.receive_messages()] == []


async def test_no_more_than_a_batch_runs_at_once(hosts: Hosts, server: Server) -> None:
    """``newBatchThreshold`` is 0, so batch after batch of four."""
    async with hosts.queue("crowd") as queue, hosts.queue("crowded") as crowded:
        await asyncio.gather(*(queue.send_message(str(number)) for number in range(14)))
        told = await received(crowded, 14)
    assert max(int(message.content) for message in told) == 4


async def test_every_form_of_output(http: aiohttp.ClientSession, hosts: Hosts, server: Server) -> None:
    async with hosts.queue("out") as queue:
        for kind, expected in {
            "text": ['["one", "message"]'],
            "many": ["first", '{"a": 1}'],
            "message": ["a message"],
            "raw": ["some bytes"],
        }.items():
            async with http.post(f"{server.url}/api/out/{kind}") as response:
                assert response.status == 204
            assert sorted(message.content for message in await received(queue, len(expected))) == sorted(expected)


async def test_a_queue_function_can_be_run_by_hand(http: aiohttp.ClientSession, hosts: Hosts, server: Server) -> None:
    url = f"{server.url}/admin/functions/work"
    async with hosts.queue("seen") as seen:
        async with http.post(url, params={"wait": "true"}, json={"input": "by hand"}) as response:
            assert response.status == 200
        (told,) = await received(seen, 1)
    assert json.loads(told.content)["text"] == "by hand"
    async with http.post(url, headers={"wait": "true"}, json={"input": "fail"}) as response:
        assert response.status == 500
    async with http.post(url, json={"input": "fail"}) as response:
        assert response.status == 202


async def test_base64_and_what_is_none(hosts: Hosts) -> None:
    inward, outward = unique(), unique()
    async with (
        hosts.queue(inward) as queue,
        hosts.queue(outward) as done,
        hosts.queue(f"{inward}-poison") as poison,
        hosts.running("slow", IN_QUEUE=inward, OUT_QUEUE=outward) as server,
    ):
        await queue.send_message(base64.b64encode(b"0").decode())
        (told,) = await received(done, 1)
        assert base64.b64decode(told.content) == b"received 1 times"
        # A message that is no base64 goes to poison at once, and the log says which
        sent = await queue.send_message("{not base64}")
        (given_up,) = await received(poison, 1)
        assert given_up.content == "{not base64}"
        await eventually(lambda: f"message {sent.id} of {inward} is not base64" in server.tail())
        assert "{not base64}" not in server.tail()
