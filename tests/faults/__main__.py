"""``python -m tests.faults``: the whole fault suite, the kills spread over two processes.

``FAULT_RUNS`` runs (1,000 without it) are shared out, and so are the points. ``FAULT_SEED`` repeats the drawing.
The tests that fail at a sample of their points in ``make test`` fail at all of them here.
"""

import os
import secrets
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
SAMPLED = [ROOT / "tests" / "integration" / name for name in ("test_refunds_faults.py", "test_refunds_two_runs.py")]
KILLS = "test_kills.py"
PROCESSES = 2


def main() -> int:
    runs = int(os.environ.get("FAULT_RUNS") or 1000)
    seed = os.environ.get("FAULT_SEED") or str(secrets.randbelow(2**31))
    sys.stdout.write(f"{runs} runs; to repeat them: FAULT_SEED={seed} make test-faults\n")
    sys.stdout.flush()
    kills = []
    for number in range(PROCESSES):
        share = {"FAULT_RUNS": str(-(-runs // PROCESSES)), "FAULT_SHARE": f"{number}/{PROCESSES}", "FAULT_SEED": seed}
        command = [*_pytest("-s"), str(FOLDER / KILLS)]
        kills.append(subprocess.Popen(command, env=os.environ | share, cwd=ROOT))
    failed = [process.wait() for process in kills]
    failed.append(subprocess.call([*_pytest(), str(FOLDER), "--ignore", str(FOLDER / KILLS)], cwd=ROOT))
    every_point = os.environ | {"ALL_FAULTS": "1"}
    failed.append(subprocess.call([*_pytest("--timeout=1800"), *map(str, SAMPLED)], env=every_point, cwd=ROOT))
    return max(map(abs, failed))


def _pytest(*options: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]


if __name__ == "__main__":
    sys.exit(main())
