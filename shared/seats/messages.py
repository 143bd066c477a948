"""The queues over which jobs come in, take their turns and are carried out."""

from typing import Annotated, Literal

import msgspec

from shared.seats.states import Action

JOBS_QUEUE = "seat-jobs"
TURNS_QUEUE = "seat-turns"
BLOCKS_QUEUE = "seat-blocks"

# Letters, digits and what a path, a row key and a log line take as they are; nothing that a path could be walked with.
JOB_ID = r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$(?!\n)"
BLOB = r"^seat-jobs/[A-Za-z0-9][A-Za-z0-9._-]{0,199}\.csv$(?!\n)"

type JobId = Annotated[str, msgspec.Meta(pattern=JOB_ID)]
type Id = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class SeatJobMessage(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A job for a list of users: ``users`` or, where that would make more than 64 KiB, the CSV blob ``usersBlob``."""

    version: Literal[1]
    job_id: JobId
    tenant_id: Id
    product_id: Id
    sku_id: Id
    action: Action
    users: list[str] | None = None
    users_blob: Annotated[str, msgspec.Meta(pattern=BLOB)] | None = None


class TurnMessage(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A product may have a job whose turn it is."""

    tenant_id: str
    product_id: str
    sku_id: str
    version: int = 1


class BlockMessage(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A block of a job has users to be dealt with."""

    job_id: str
    number: Annotated[int, msgspec.Meta(ge=0)]
    version: int = 1
