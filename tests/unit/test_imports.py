"""A cold start is paid by a player: importing the app loads little, asks nothing and touches nothing."""

import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from functions.triggers import SUBJECTS

ROOT = Path(__file__).parents[2]
HEAVY = {"azure.identity", "azure.storage", "azure.data", "azure.keyvault", "azure.core", "httpx", "aiohttp", "jwt"}
HEAVY |= {"cryptography", "msal", "requests"}

# Runs in an interpreter of its own. Audit events show every file, socket and process; os.environ notes its readers.
WATCH = """
import json, os, sys

sys.path.insert(0, os.getcwd())
read, touched = [], []


class Watched(type(os.environ)):
    def __getitem__(self, key):
        frame = sys._getframe(1)
        while frame and frame.f_code.co_filename.startswith("<frozen") or "/os.py" in frame.f_code.co_filename:
            frame = frame.f_back
        read.append((str(key), frame.f_code.co_filename))
        return super().__getitem__(key)


os.environ.__class__ = Watched


def audit(event, arguments):
    if event == "open" and isinstance(arguments[0], str):
        touched.append((event, arguments[0], str(arguments[1])))
    elif event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "urllib.")):
        touched.append((event, str(arguments[0]), ""))


sys.addaudithook(audit)
import function_app

print(json.dumps({"modules": sorted(sys.modules), "read": read, "touched": touched}))
"""


@cache
def imported() -> dict[str, Any]:
    """What importing ``function_app`` did."""
    done = subprocess.run(
        [sys.executable, "-c", WATCH], cwd=ROOT, env={"PATH": "/usr/bin"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def test_no_heavy_package_is_loaded() -> None:
    loaded = {
        name for name in imported()["modules"] for heavy in HEAVY if name == heavy or name.startswith(f"{heavy}.")
    }

    assert loaded == set()


def test_our_modules_read_no_environment_variable() -> None:
    ours = [(name, file) for name, file in imported()["read"] if str(ROOT) in file and "/.venv/" not in file]

    assert ours == []


def test_nothing_but_modules_is_opened_and_nothing_is_connected() -> None:
    opened = [
        (event, path)
        for event, path, _ in imported()["touched"]
        if event != "open" or (not path.endswith((".py", ".pyc", ".so", ".pth")) and not path.startswith("/sys/"))
    ]
    modules = [path for _, path in opened if "__pycache__" in path or path.endswith((".dist-info", "/METADATA"))]

    assert [path for _, path in opened if path not in modules] == []


def test_the_watch_would_see_what_it_watches_for() -> None:
    spy = "import os, socket\nos.environ.get('HOME')\nopen('/dev/null').close()\nsocket.socket().close()\n"
    script = WATCH.replace("import function_app", spy)

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env={"HOME": "/"}, capture_output=True, text=True, check=True
    )
    seen = json.loads(done.stdout)

    assert ["HOME", "<string>"] in seen["read"]
    assert "/dev/null" in [path for _, path, _ in seen["touched"]]
    assert "socket.__new__" in [event for event, _, _ in seen["touched"]]


def test_the_app_is_imported_and_no_subject_of_it() -> None:
    modules = set(imported()["modules"])

    assert {"function_app", "functions.triggers", "functions.parts", "shared.settings"} <= modules
    assert modules & {subject.module for subject in SUBJECTS} == set()
