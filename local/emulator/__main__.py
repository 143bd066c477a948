"""``python -m local.emulator --port N --state FILE``: the emulator alone, until SIGTERM or SIGINT."""

import argparse
import asyncio
import logging
import signal
import sys
from pathlib import Path

from local.emulator.persistence import StateError
from local.emulator.server import Emulator


async def serve(port: int, state: Path) -> None:
    """Serve until told to stop.

    Prints ``ready https://localhost:N`` as the only line on stdout; starters wait for that line.
    """
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Before start(), so that a stop asked for while starting is not lost.
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stopped.set)
    emulator = Emulator(state)
    await emulator.start(port)
    try:
        print(f"ready {emulator.url}", flush=True)
        await stopped.wait()
    finally:
        await emulator.stop()


def main() -> int:
    """Return the exit code: 0 after an orderly stop, 2 when the state or the port cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m local.emulator", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="TCP port on 127.0.0.1; 0 takes a free one")
    parser.add_argument("--state", type=Path, required=True, help="JSON file that keeps everything over a restart")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    try:
        asyncio.run(serve(arguments.port, arguments.state))
    except (StateError, OSError) as error:
        print(f"emulator: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
