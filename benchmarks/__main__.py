"""``python -m benchmarks``: measures all, prints a table, writes ``benchmarks/results.json``; exit 1 where a limit is
missed.

``python -m benchmarks start tokens`` measures some of it and writes nothing.
"""

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks import catalog, fulfillment, refunds, renewal, seats, start, tokens
from benchmarks.report import Finding, table, write

RESULTS = Path(__file__).parent / "results.json"

_SUBJECTS: dict[str, Callable[[Path], Awaitable[list[Finding]]]] = {
    "start": lambda _: start.measure(),
    "tokens": tokens.measure,
    "renewal": renewal.measure,
    "catalog": catalog.measure,
    "seats": seats.measure,
    "fulfillment": fulfillment.measure,
    "refunds": refunds.measure,
}


async def main(wanted: list[str]) -> int:
    """Measure what is wanted, one after the other; the exit code."""
    unknown = set(wanted) - set(_SUBJECTS)
    if unknown:
        print(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(_SUBJECTS)}")
        return 2
    findings: list[Finding] = []
    with tempfile.TemporaryDirectory(prefix="storekeeper-bench-") as folder:
        for subject in wanted or _SUBJECTS:
            print(f"measuring {subject} ...", flush=True)
            findings += await _SUBJECTS[subject](Path(folder) / subject)
    print(table(findings))
    if not wanted:
        write(findings, RESULTS)
    return 0 if all(finding.holds for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
