"""Child processes and Azurite as they are started, and as they fail to."""

import asyncio
import signal
import sys
import time
from pathlib import Path

import aiohttp
import pytest

from local import azurite, processes


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


async def test_a_server_is_started_and_stopped(tmp_path: Path) -> None:
    code = "import time; print('ready http://127.0.0.1:1', flush=True); time.sleep(60)"
    async with processes.running("one", _python(code), log=tmp_path / "logs" / "one.log") as server:
        assert server.url == "http://127.0.0.1:1"
    assert server.process.returncode == -signal.SIGTERM


async def test_one_that_does_not_heed_sigterm_is_killed(tmp_path: Path) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready x', flush=True); time.sleep(60)"
    server = await processes.start("deaf", _python(code), log=tmp_path / "log")
    assert await server.terminate(grace=0.1) == -signal.SIGKILL
    assert await server.terminate() == -signal.SIGKILL  # once more does no harm


async def test_one_that_ends_is_told_with_its_log(tmp_path: Path) -> None:
    with pytest.raises(processes.ServerError, match=r"bad ended with exit code 3 before it served(.|\n)*the reason"):
        await processes.start("bad", _python("print('the reason'); raise SystemExit(3)"), log=tmp_path / "log")


async def test_one_that_never_serves_is_ended(tmp_path: Path) -> None:
    with pytest.raises(processes.ServerError, match=r"idle did not serve within 0.5 seconds"):
        await processes.start("idle", _python("import time; time.sleep(60)"), log=tmp_path / "log", deadline=0.5)


async def test_a_child_ends_with_its_parent(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    code = (
        "import asyncio, os, sys; from pathlib import Path; from local import processes\n"
        f"command = ['sh', '-c', 'echo ready $$; exec sleep 60']\n"
        f"server = asyncio.run(processes.start('child', command, log=Path({str(log)!r})))\n"
        "os._exit(0)\n"
    )
    command = [sys.executable, "-c", code]
    assert await processes.finish(command, log=tmp_path / "parent.log") == 0, processes.tail(tmp_path / "parent.log")
    pid = processes.read_log(log).split()[1]
    async with asyncio.timeout(5):
        await asyncio.to_thread(_wait_for_end, int(pid))


def _wait_for_end(pid: int) -> None:
    while Path(f"/proc/{pid}").exists():
        time.sleep(0.02)


async def test_azurite_answers_on_all_three_services(tmp_path: Path) -> None:
    async with azurite.running(log=tmp_path / "log", location=tmp_path / "state") as storage:
        assert all(storage.ports)
        async with aiohttp.ClientSession() as session:
            for endpoint in (storage.blob, storage.queue, storage.table):
                assert endpoint in storage.connection_string
                async with session.get(f"{endpoint}?comp=list") as response:
                    assert response.headers["Server"].startswith("Azurite-")
        with pytest.raises(processes.ServerError, match="azurite"):
            await azurite.start(log=tmp_path / "second.log", ports=storage.ports)
    assert list((tmp_path / "state").iterdir())


async def test_without_node_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(azurite.AzuriteMissing, match=r"install Node\.js"):
        await azurite.start(log=tmp_path / "log")
