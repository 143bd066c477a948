"""What the app took, as others saw it: the kernel and Azurite."""

import os
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


def processor_time(pid: int) -> float:
    """Seconds of a core that a process has used so far, its own and the kernel's for it."""
    # The name of the program, in brackets, may hold anything; what follows is in fixed places (proc(5)).
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
