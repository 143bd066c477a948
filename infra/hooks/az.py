"""The Azure CLI, as the hooks call it."""

import json
import shutil
import subprocess
from typing import Any


class AzError(Exception):
    """``az`` refused; the text is what it said."""


def is_there() -> bool:
    """Whether ``az`` can be called at all."""
    return shutil.which("az") is not None


def az(*arguments: str) -> Any:
    """What ``az`` answers, decoded; None where it answers nothing.

    Secrets never stand among the arguments, which every process of the machine may read: they go by file.

    :raises AzError: it ended with an error.
    """
    command = ["az", *arguments, "--output", "json", "--only-show-errors"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AzError(done.stderr.strip() or f"az ended with exit code {done.returncode}")
    return json.loads(done.stdout) if done.stdout.strip() else None
