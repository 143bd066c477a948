"""Writes `shared/contracts/` from the types that messages are read and written as: ``python scripts/contracts.py``."""

import json
import sys
from pathlib import Path

import msgspec

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from shared.events import EVENTS  # noqa: E402 - the project is not installed, but run where it lies
from shared.fulfillment.messages import JOBS_QUEUE as FULFILLMENTS_QUEUE  # noqa: E402
from shared.fulfillment.messages import FulfillmentMessage  # noqa: E402
from shared.seats.messages import JOBS_QUEUE, SeatJobMessage  # noqa: E402 - likewise

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
FOLDER = ROOT / "shared" / "contracts"


def contracts() -> dict[str, str]:
    """The files and what stands in them: JSON Schema of each queue that others read or write."""
    schema = msgspec.json.schema(EVENTS)
    for shape in schema["$defs"].values():
        # A default is our own affair: what we send always has every field.
        shape["required"] = list(shape["properties"])
    events = {
        "$schema": _DIALECT,
        "title": "store-events",
        "description": "CloudEvents 1.0 as plain JSON, at least once; the id is the same in every repeat.",
        **schema,
    }
    jobs = {
        "$schema": _DIALECT,
        "title": JOBS_QUEUE,
        "description": "Plain JSON or base64 of it, from any sender. The same jobId with the same content is one job.",
        **msgspec.json.schema(SeatJobMessage),
        "oneOf": [{"required": ["users"]}, {"required": ["usersBlob"]}],
    }
    fulfillments = {
        "$schema": _DIALECT,
        "title": FULFILLMENTS_QUEUE,
        "description": "Plain JSON or base64 of it, from any sender. A trackingId is one fulfilment, for ever.",
        **msgspec.json.schema(FulfillmentMessage),
    }
    named = {"store-events": events, JOBS_QUEUE: jobs, FULFILLMENTS_QUEUE: fulfillments}
    return {f"{name}.schema.json": json.dumps(schema, indent=2) + "\n" for name, schema in named.items()}


if __name__ == "__main__":
    for name, content in contracts().items():
        (FOLDER / name).write_text(content, "utf-8")
        print(FOLDER / name)
