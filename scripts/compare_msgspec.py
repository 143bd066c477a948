"""What the README says under "Why msgspec", measured: time until three of our bodies are declared and described.

Run it with a Python that has msgspec, pydantic and azure-functions, such as that of a throw-away environment. Each run
is a new process that has loaded azure-functions, as every worker has; the median of 21 is shown, in milliseconds.
"""

import statistics
import subprocess
import sys

RUNS = 21

BEFORE = "import azure.functions, time\nstarted = time.perf_counter()\n"

BODIES = """
    user_id: str
    kind: Literal["collections", "purchase"]
    status: Literal["active", "reissueNeeded", "expired"]
    issued_on: datetime
    expires_on: datetime
    renew_after: datetime
"""

MSGSPEC = f"""
import msgspec
from datetime import datetime
from typing import Annotated, Literal
class KeyUpload(msgspec.Struct, forbid_unknown_fields=True):
    key: Annotated[str, msgspec.Meta(min_length=1, max_length=16384)]
class StoreId(msgspec.Struct, rename="camel"):{BODIES}
class StoreIdList(msgspec.Struct, rename="camel"):
    store_ids: list[StoreId]
declared = time.perf_counter()
msgspec.json.schema_components([KeyUpload, StoreId, StoreIdList])
"""

PYDANTIC = f"""
from datetime import datetime
from typing import Annotated, Literal
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
class KeyUpload(BaseModel, extra="forbid"):
    key: Annotated[str, Field(min_length=1, max_length=16384)]
class StoreId(BaseModel, alias_generator=to_camel):{BODIES}
class StoreIdList(BaseModel, alias_generator=to_camel):
    store_ids: list[StoreId]
declared = time.perf_counter()
from pydantic.json_schema import models_json_schema
models_json_schema([(each, "serialization") for each in (KeyUpload, StoreId, StoreIdList)])
"""

AFTER = "print((declared - started) * 1000, (time.perf_counter() - started) * 1000)\n"


def main() -> None:
    """Print both."""
    for name, code in (("msgspec", MSGSPEC), ("pydantic", PYDANTIC)):
        command = [sys.executable, "-c", BEFORE + code + AFTER]
        runs = [subprocess.run(command, capture_output=True, text=True, check=True).stdout for _ in range(RUNS)]
        declared, described = (
            statistics.median(column) for column in zip(*(map(float, run.split()) for run in runs), strict=True)
        )
        print(f"{name:8}  declared after {declared:5.1f} ms, described after {described:5.1f} ms")


if __name__ == "__main__":
    main()
