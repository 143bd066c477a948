"""What the app took, as others saw it: the kernel and Azurite."""

import re
from pathlib import Path

from local import processes
from local.stack import Servers

_REQUEST = re.compile(r'"(?:GET|PUT|POST|DELETE|MERGE|HEAD|PATCH) /devstoreaccount1')


def transactions(stack: Servers) -> int:
    """Requests that Azurite has seen so far; it must run with its access log."""
    return len(_REQUEST.findall(processes.read_log(stack.azurite.server.log)))


def peak_memory(pid: int) -> float:
    """The most memory that a process has had so far, in MiB."""
    status = Path(f"/proc/{pid}/status").read_text("utf-8")
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024
