"""Start: importing and indexing the app, beside an app with one hello-world function."""

import asyncio
import os
import statistics
import sys
from pathlib import Path

from benchmarks.report import Finding
from local.stack import ROOT

HELLO = Path(__file__).parent / "hello"
ROUNDS = 15

_SETTINGS = {
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "KEY_VAULT_URL": "https://vault.example",
    "CALLER_ISSUERS": '[{"issuer": "https://issuer.example", "audience": "storekeeper", "kind": "player"}]',
}


async def measure() -> list[Finding]:
    """Alternate the two, so that whatever else the machine does falls on both."""
    ours: list[float] = []
    hello: list[float] = []
    for _ in range(ROUNDS + 1):
        ours.append(await _index(ROOT))
        hello.append(await _index(HELLO))
    # The first round of each compiles bytecode.
    app, baseline = statistics.median(ours[1:]), statistics.median(hello[1:])
    detail = f"import and index: {app * 1000:.0f} ms, hello-world {baseline * 1000:.0f} ms (medians of {ROUNDS})"
    return [Finding("start: app / hello-world", app / baseline, 1.5, "x", detail)]


async def _index(app: Path) -> float:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.indexing",
        str(app),
        cwd=ROOT,
        env={**os.environ, **_SETTINGS},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"indexing {app} failed")
    return float(output.split()[1])
