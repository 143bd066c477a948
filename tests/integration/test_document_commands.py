"""The commands of the documents are run as they stand there, against the very servers of ``make up``."""

import asyncio
import contextlib
import json
import os
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from local import up
from tests.support.app import Storage
from tests.support.documents import ROOT, blocks, documents
from tests.support.polling import eventually

MARK = "run by tests/integration/test_document_commands.py"
RUN = [name for name in documents() if any(block.mark == MARK for block in blocks(name))]

# What fails is told: in a document, curl's own silence about an answer of 400 and more would do no harm.
PRELUDE = """set -euo pipefail
curl() { command curl --fail-with-body --max-time 60 "$@"; }
"""


@dataclass
class Up:
    """What ``make up`` has started, and where."""

    folder: Path
    ports: up.Ports

    def at_its_place(self, script: str) -> str:
        """A script of a document, with the ports and the folder of this start."""
        script = script.replace("127.0.0.1:7071", f"127.0.0.1:{self.ports.app}")
        script = script.replace("localhost:8443", f"localhost:{self.ports.emulator}")
        return script.replace(".local/up/", f"{self.folder.relative_to(ROOT)}/")

    @property
    def storage(self) -> Storage:
        """Its storage account."""
        settings = json.loads((self.folder / "app.settings.json").read_text("utf-8"))
        return Storage(settings["Values"]["AzureWebJobsStorage"])


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        probes = [held.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Up]:
    """``make up`` on ports and in a folder of its own."""
    app, emulator, blobs, queues, tables = free_ports(5)
    folder = ROOT / ".local" / f"documents-{os.getpid()}"
    ports = up.Ports(app, emulator, (blobs, queues, tables))
    task = asyncio.create_task(up.run(folder, ports))
    try:
        async with httpx.AsyncClient() as http:

            async def is_up() -> bool:
                if task.done():
                    task.result()
                with contextlib.suppress(httpx.TransportError):
                    alive = await http.get(f"http://127.0.0.1:{app}/api/health")
                    return alive.is_success and (folder / "player.token").exists()
                return False

            await eventually(is_up, seconds=60)
        yield Up(folder, ports)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        shutil.rmtree(folder)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("document", RUN)
async def test_a_document_can_be_followed_from_its_first_command_to_its_last(document: str, running: Up) -> None:
    await has_poison(running)
    script = PRELUDE + "\n".join(block.text for block in blocks(document) if block.mark == MARK)

    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        running.at_its_place(script),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()

    said = output.decode(errors="replace")
    assert process.returncode == 0, said
    assert [text for text in EXPECTED[document] if text not in said] == [], said


EXPECTED = {
    "README.md": {
        '"audience":"https://onestore.microsoft.com/b2b/keys/create/collections"',
        '"status":"active"',
        ",succeeded,",
    },
    "docs/game-guide.md": {'"status":"granted"', '"balances":[{"productId":"9NGAMECOINS1","quantity":10}]'},
    "docs/mdm-guide.md": {'"products":[', "ada@northwind.example,succeeded,", '"licenseBlob":'},
    "docs/operations.md": {'"status":"alive"', '"status":"ready"', '"reason":', "nobody-1@northwind.example,failed"},
    "docs/security.md": set(),
}
"""What each document's commands show, at the least."""


async def has_poison(running: Up) -> None:
    """Something was given up on, as a runbook's reader has it before them."""
    storage = running.storage
    await storage.send("fulfillment-jobs", '{"version": 1}')

    async def given_up() -> bool:
        return bool(await storage.messages("fulfillment-jobs-poison"))

    await eventually(given_up, seconds=60)
