"""The app is killed at every await of fulfilment and of refunds: nothing is lost, nothing is doubled.

``make test`` plays a sample of some seconds; ``make test-faults`` plays ``FAULT_RUNS`` runs. ``FAULT_SEED`` draws the
same points again, as far as processes that work side by side cross the same ones.
"""

import os
import secrets
import sys
import time
from pathlib import Path

import pytest

from tests.faults.lives import bench
from tests.faults.scenario import Plan, Run

SAMPLE_SECONDS = 30.0
RUNS_A_BENCH = 50
"""Then the servers are begun anew: what others left in them makes them slow."""

ENOUGH = 500
"""Runs in which every point has its turn."""

CHANGES = (
    "Files.create",
    "Files.replace",
    "Granting.grant",
    "Granting.finish",
    "Closing._remove",
    "OrderLines.put",
    "Collections.consume",
    "Corrections._last",
    "Outbox.send_now",
    "RefundFiles.write",
    "Reconsuming.go_on",
    "ClawbackQueue.delete",
    "FulfillmentSweeper",
    "Queue.send",
    "Lease.delete",
)
"""What changes something outside, so that to die there matters most."""

WAYS = (" out", " back")


def plan() -> Plan:
    """As the environment asks for it: ``FAULT_SHARE`` is ``0/2`` for the first of two processes."""
    share, _, shares = os.environ.get("FAULT_SHARE", "0/1").partition("/")
    seed = int(os.environ.get("FAULT_SEED") or secrets.randbelow(2**31))
    return Plan(seed, int(share), int(shares))


@pytest.mark.timeout(0)
async def test_whatever_dies_the_books_are_the_stores(tmp_path: Path) -> None:
    """Each run ends with equal books, or fails with the points at which its lives were to die."""
    ours, wanted = plan(), int(os.environ.get("FAULT_RUNS") or 0)
    began, run = time.monotonic(), 0
    say(f"FAULT_SEED={ours.seed}")

    def goes_on() -> bool:
        return run < wanted if wanted else time.monotonic() - began < SAMPLE_SECONDS

    while goes_on():
        async with bench(tmp_path / f"bench{run}") as servers:
            for _ in range(RUNS_A_BENCH):
                # The first one lives: it shows the points that there are.
                deaths = 0 if run == 0 else 2 if ours.chance(one_in=2) else 1
                await Run(servers, ours, deaths=deaths).play()
                run += 1
                if run % 10 == 0 or not goes_on():
                    say(f"run {run}: {ours.told()}, {time.monotonic() - began:.0f} s")
                if not goes_on():
                    break

    missing = [
        name for name in CHANGES for way in WAYS if not any(name in each and way in each for each in ours.points)
    ]
    assert not missing, "points that there must be were not seen"
    assert ours.died.total() >= max(1, run // 8)
    if run >= ENOUGH:
        left = ours.without_turn()
        assert not left, f"{len(left)} points had no turn, such as {left[:5]}"


def say(line: str) -> None:
    """Show how far it is."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
