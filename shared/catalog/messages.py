"""The queues over which a pass is spread; nobody but the app reads them."""

from typing import Annotated

import msgspec

PASSES_QUEUE = "catalog-passes"
PIECES_QUEUE = "catalog-pieces"
DOWNLOADS_QUEUE = "catalog-downloads"
"""A queue of its own, since downloads last: nobody waits behind one to be fetched."""

type _Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[0-9A-Za-z._-]+$(?!\n)")]


class WorkMessage(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A piece of work of a pass. What is to be done stands in its row; the message only names it."""

    tenant_id: _Name
    sync_id: _Name
    todo: _Name
    version: int = 1
