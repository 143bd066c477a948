"""``python -m local.demo``: plays the guided run; exit code 0 only if every step was right."""

import asyncio
import shutil
import signal
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path

import httpx

from local import azurite, processes, stack
from local.demo.narrator import Narrator, Outcome
from local.demo.play import Play
from local.demo.steps import STEPS
from local.demo.world import StuckError, World

FOLDER = stack.ROOT / ".local" / "run"
TAIL_LINES = 25


async def run(folder: Path, narrator: Narrator) -> int:
    """Start everything, play all steps, tell how it went."""
    started = time.monotonic()
    narrator.title("Storekeeper: the guided run")
    narrator.say(
        "Everything runs on this machine: Azurite for the storage; an emulator for Entra, Key Vault and the Store, "
        "over TLS; the app in the local host. Each line below was read back from one of them."
    )
    outcomes = [Outcome(step.title, step.expected) for step in STEPS]
    narrator.title("Starting")
    async with AsyncExitStack() as running:
        with narrator.timed("Azurite and the emulator"):
            servers = await running.enter_async_context(stack.servers(folder, keep=True))
        world = await running.enter_async_context(World(servers))
        with narrator.timed("the app"):
            await world.start_app()
        await _play(Play(world, narrator), outcomes)
    narrator.summary(outcomes)
    return _conclude(folder, outcomes, narrator, time.monotonic() - started)


async def _play(play: Play, outcomes: list[Outcome]) -> None:
    """All steps up to the first that goes wrong: those after it build on it."""
    for number, (step, outcome) in enumerate(zip(STEPS, outcomes, strict=True), 1):
        play.tell.title(f"{number}. {step.title}")
        play.tell.say((step.act.__doc__ or "").strip())
        started = time.monotonic()
        try:
            outcome.seen = await step.act(play)
        except (StuckError, httpx.HTTPError, processes.ServerError, KeyError) as error:
            outcome.seen = f"{type(error).__name__}: {error}"
            outcome.faults.append(outcome.seen)
        outcome.seconds = time.monotonic() - started
        outcome.faults += play.tell.take_faults()
        outcome.verdict = "WRONG" if outcome.faults else "ok"
        if outcome.faults:
            return


def _conclude(folder: Path, outcomes: list[Outcome], narrator: Narrator, seconds: float) -> int:
    right = sum(outcome.verdict == "ok" for outcome in outcomes)
    shown = folder.relative_to(stack.ROOT)
    if right == len(outcomes):
        narrator.title(f"All {right} steps were right, in {seconds:.0f} s.")
        narrator.say(f"Logs and settings of this run: {shown}/. To try it yourself: make up. How it works: README.md.")
        return 0
    narrator.title(f"{right} of {len(outcomes)} steps were right; what was wrong:")
    for outcome in outcomes:
        for fault in outcome.faults:
            narrator.say(f"{outcome.title}: {fault}")
    log = max(folder.glob("app*.log"), key=lambda file: file.stat().st_mtime, default=folder / "app.log")
    print(f"\nThe end of {shown / log.name}:\n{processes.tail(log, TAIL_LINES)}", file=sys.stderr)
    return 1


async def _main() -> int:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is not None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, task.cancel)
    shutil.rmtree(FOLDER, ignore_errors=True)
    try:
        return await run(FOLDER, Narrator())
    except asyncio.CancelledError:
        print("\nstopped", file=sys.stderr)
        return 130
    except (azurite.AzuriteMissing, processes.ServerError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(asyncio.run(_main()))
