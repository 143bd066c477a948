"""Writes `shared/contracts/` from the types that messages are read and written as: ``python scripts/contracts.py``."""

import json
import sys
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from shared.events import EVENTS  # noqa: E402 - the project is not installed, but run where it lies

FOLDER = ROOT / "shared" / "contracts"


def contracts() -> dict[str, str]:
    """The files and what stands in them: JSON Schema of each queue that others read or write."""
    schema = msgspec.json.schema(EVENTS)
    for shape in schema["$defs"].values():
        # A default is our own affair: what we send always has every field.
        shape["required"] = list(shape["properties"])
    events = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "store-events",
        "description": "CloudEvents 1.0 as plain JSON, at least once; the id is the same in every repeat.",
        **schema,
    }
    return {"store-events.schema.json": json.dumps(events, indent=2) + "\n"}


if __name__ == "__main__":
    for name, content in contracts().items():
        (FOLDER / name).write_text(content, "utf-8")
        print(FOLDER / name)
