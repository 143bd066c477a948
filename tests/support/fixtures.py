"""The published examples of the wire (tests/contract/fixtures), by name."""

import json
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parents[1] / "contract" / "fixtures"
FOLDER = FIXTURES / "store-services"


def names(pattern: str) -> list[str]:
    """The names of the fixtures that match, in order; there is always one."""
    found = sorted(file.stem for file in FOLDER.glob(f"{pattern}.json"))
    assert found, f"no fixture matches {pattern}"
    return found


def wire(name: str) -> dict[str, Any]:
    """A fixture as it goes over the wire: without the metadata in keys that begin with ``_``."""
    return {key: value for key, value in whole(name).items() if not key.startswith("_")}


def whole(name: str) -> dict[str, Any]:
    """A fixture with its metadata."""
    content: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return content


def business(name: str) -> dict[str, Any]:
    """An example of Store for Business's wire."""
    content: dict[str, Any] = json.loads((FIXTURES / "store-for-business" / f"{name}.json").read_text("utf-8"))
    return content
