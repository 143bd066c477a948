"""The queue over which the work on shards is spread."""

from typing import Annotated

import msgspec

QUEUE = "store-id-renewals"


class RenewalMessage(msgspec.Struct, forbid_unknown_fields=True):
    """A shard has duties. The message holds no key and no player."""

    shard: Annotated[str, msgspec.Meta(pattern=r"^[0-3][0-9a-f]$(?!\n)")]
    version: int = 1
