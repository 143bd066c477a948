"""Runs the host until it is told to stop."""

import asyncio
import atexit
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from local.host import config, library, logs
from local.host.errors import StartError
from local.host.host import Host, Options

_LAST_WAIT_SECONDS = 0.5


def run(*, app: Path, port: int, log_level: str | None, queue_lease_seconds: int, grace_seconds: float) -> int:
    """Serve; the exit code."""
    try:
        configuration = config.load(app / "host.json")
        logs.configure(configuration.log_levels, log_level)
        options = Options(app=app, port=port, queue_lease_seconds=queue_lease_seconds, grace_seconds=grace_seconds)
        asyncio.run(_serve(Host(options, configuration)))
    except StartError as error:
        print(f"error: {error}", file=sys.stderr)
        return _ended(1)
    return _ended(0)


async def _serve(host: Host) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    log = logging.getLogger("local.host")
    async with host:
        log.info("%d functions: %s", len(host.functions), ", ".join(function.name for function in host.functions))
        print(f"ready {host.url}", flush=True)
        await stop.wait()
        log.info("stopping")
        for number in (signal.SIGTERM, signal.SIGINT):
            # Told once is enough: a second signal must not end the process halfway through its orderly end.
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_IGN)


def _ended(code: int) -> int:
    """The exit code, unless a sync function that was given up still holds a thread: then the process ends here."""
    sys.stdout.flush()
    if (executor := library.threadpool()) is not None:
        executor.shutdown(wait=False, cancel_futures=True)
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]
    for thread in threads:
        thread.join(timeout=_LAST_WAIT_SECONDS)
    if any(thread.is_alive() for thread in threads):
        atexit._run_exitfuncs()  # noqa: SLF001 - what a normal exit does, but for the wait for threads
        logging.shutdown()
        os._exit(code)
    return code
