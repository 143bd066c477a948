"""Known vulnerabilities of the pinned packages, by pip-audit.

Found ones fail the check. A vulnerability service that cannot be reached, or that does not know our packages (a mirror,
say), is reported and does not fail it: nobody should be kept from working offline.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_SECONDS = 180


def main() -> int:
    """The exit code: 1 when a vulnerability is known."""
    try:
        dependencies = _audit()
    except (subprocess.TimeoutExpired, ValueError) as error:
        _say(f"not done, no vulnerability service could be asked ({error})")
        return 0
    audited = [each for each in dependencies if "vulns" in each]
    vulnerable = [each for each in audited if each["vulns"]]
    for each in vulnerable:
        for found in each["vulns"]:
            mended = ", ".join(found["fix_versions"]) or "no version yet"
            _say(f"{each['name']} {each['version']} has {found['id']}; mended in {mended}")
    if not audited:
        _say("not done, the vulnerability service that can be reached knows none of our packages")
    else:
        _say(f"{len(audited)} of {len(dependencies)} packages asked about, {len(vulnerable)} vulnerable")
    return 1 if vulnerable else 0


def _say(text: str) -> None:
    print(f"audit: {text}")


def _audit() -> list[dict[str, Any]]:
    command = [sys.executable, "-m", "pip_audit", "--requirement", "requirements-dev.txt", "--no-deps", "--disable-pip"]
    options = ["--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(
        command + options, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False
    )
    try:
        dependencies: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError as error:
        lines = done.stderr.strip().splitlines()
        raise ValueError(lines[-1] if lines else f"pip-audit ended with exit code {done.returncode}") from error
    return dependencies


if __name__ == "__main__":
    sys.exit(main())
