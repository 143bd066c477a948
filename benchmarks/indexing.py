"""``python -m benchmarks.indexing DIR``: imports an app and indexes it as the worker does, in a process of its own.

Prints how many functions it has and the seconds that took, with the worker library's own imports.
"""

import asyncio
import sys
import time
from pathlib import Path


def main() -> None:
    """Measure from before the worker library is imported, since a cold start pays for that too."""
    started = time.perf_counter()
    from local.host import worker  # noqa: PLC0415 - part of what is measured

    functions = asyncio.run(worker.index(Path(sys.argv[1]).resolve()))
    print(len(functions), time.perf_counter() - started)


if __name__ == "__main__":
    main()
