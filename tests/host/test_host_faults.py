"""Hosts that are stopped or killed, and a storage that goes away."""

import asyncio
import base64
from pathlib import Path

import aiohttp

from local import azurite
from tests.host.hosts import Hosts, emptied, eventually, received, unique


def _text(seconds: float) -> str:
    return base64.b64encode(str(seconds).encode()).decode()


async def test_sigterm_lets_a_running_message_end(hosts: Hosts) -> None:
    inward, outward = unique(), unique()
    async with hosts.queue(inward) as queue, hosts.queue(outward) as done:
        async with hosts.running("slow", IN_QUEUE=inward, OUT_QUEUE=outward) as server:
            await queue.send_message(_text(1))
            await eventually(lambda: "begins" in server.tail())
            assert await server.terminate() == 0
            assert "nclosed" not in server.tail()
        (told,) = await received(done, 1, seconds=3)
        assert base64.b64decode(told.content) == b"received 1 times"
        await emptied(queue)


async def test_what_does_not_end_in_time_is_returned(hosts: Hosts) -> None:
    inward, outward = unique(), unique()
    options = ("--grace-seconds", "0.3")
    async with hosts.queue(inward) as queue:
        async with hosts.running("slow", *options, IN_QUEUE=inward, OUT_QUEUE=outward) as server:
            await queue.send_message(_text(30))
            await eventually(lambda: "begins" in server.tail())
            async with asyncio.timeout(5):
                assert await server.terminate() == 0
            assert "stopped by the host" in server.tail()
        (message,) = await received(queue, 1, seconds=3)
        assert message.dequeue_count == 2


async def test_a_blocked_thread_does_not_hold_the_exit(http: aiohttp.ClientSession, hosts: Hosts) -> None:
    async with hosts.running("slow", "--grace-seconds", "0.3", IN_QUEUE=unique(), OUT_QUEUE=unique()) as server:
        request = asyncio.create_task(_failed(http, f"{server.url}/api/blocked"))
        await eventually(lambda: "blocks" in server.tail())
        async with asyncio.timeout(5):
            assert await server.terminate() == 0
        assert await request


async def test_the_message_of_a_killed_host_comes_back_after_its_lease(hosts: Hosts) -> None:
    inward, outward = unique(), unique()
    options = ("--queue-lease-seconds", "2")
    async with hosts.queue(inward) as queue, hosts.queue(outward) as done:
        async with hosts.running("slow", *options, IN_QUEUE=inward, OUT_QUEUE=outward) as first:
            await queue.send_message(_text(1.5))
            await eventually(lambda: "begins" in first.tail())
            await first.kill()
        async with hosts.running("slow", *options, IN_QUEUE=inward, OUT_QUEUE=outward):
            (told,) = await received(done, 1)
        assert base64.b64decode(told.content) == b"received 2 times"
        await emptied(queue)


async def test_azurite_goes_away_and_comes_back(http: aiohttp.ClientSession, tmp_path: Path) -> None:
    inward, outward = unique(), unique()
    state = tmp_path / "state"
    storage = await azurite.start(log=tmp_path / "first.log", location=state)
    hosts = Hosts(tmp_path, storage.connection_string)
    try:
        async with hosts.running("slow", IN_QUEUE=inward, OUT_QUEUE=outward) as server:
            async with hosts.queue(inward) as queue:
                await queue.send_message(_text(0.5), visibility_timeout=1)
            # When the storage goes away
            await storage.terminate()
            await eventually(lambda: f"queue {inward} cannot be reached" in server.tail())
            await asyncio.sleep(0.6)
            # Then it is said once, and HTTP goes on
            assert server.tail().count("cannot be reached") == 1
            async with http.get(f"{server.url}/api/hello") as response:
                assert response.status == 200
            # When it comes back, then so does the work
            storage = await azurite.start(log=tmp_path / "second.log", location=state, ports=storage.ports)
            async with hosts.queue(outward) as done:
                await received(done, 1)
            assert f"queue {inward} is back" in server.tail()
    finally:
        await storage.terminate()


async def _failed(http: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with http.get(url) as response:
            return response.status >= 500
    except aiohttp.ClientConnectionError:
        return True
