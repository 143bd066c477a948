"""Open rows behind which nothing is left to be done are removed together, many of a shard in one transaction.

Nobody waits for that. A row is swept long after it was filed, so one that stays for seconds costs nothing; one that
stays because its process died is swept, and what it stands for is done once more, under the same ids.
"""

import asyncio
from itertools import batched

from shared.correlation import get_logger
from shared.errors import UnavailableError
from shared.storage.tables import Table
from shared.storage.transactions import MAX_OPERATIONS, ConflictError, Operation

PAUSE = 5.0
"""Seconds for which rows of a shard are gathered."""

_log = get_logger(__name__)


class Closing:
    """Removes open rows of the table ``ledger``; with no ``pause``, each at once and by itself."""

    def __init__(self, table: Table, *, pause: float = PAUSE) -> None:
        self._table = table
        self._pause = pause
        self._gathered: dict[str, dict[str, None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self, shard: str, name: str) -> None:
        """Have a row removed, if it is there. Closing twice is no error.

        :raises UnavailableError: storage is away and there is no pause; after one, it is only said in the log.
        """
        if not self._pause:
            await self._remove(shard, [name])
            return
        if shard not in self._gathered:
            self._gathered[shard] = {}
            task = asyncio.create_task(self._later(shard))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._gathered[shard][name] = None

    async def _later(self, shard: str) -> None:
        await asyncio.sleep(self._pause)
        names = self._gathered.pop(shard)
        try:
            for batch in batched(names, MAX_OPERATIONS, strict=False):
                await self._remove(shard, list(batch))
        except UnavailableError as error:
            _log.warning("%d ended rows of shard %s wait for the next sweep: %s", len(names), shard, error)
        except Exception:  # noqa: BLE001 - nobody waits for this, so nobody else would hear of it
            _log.exception("%d ended rows of shard %s cannot be removed", len(names), shard)

    async def _remove(self, shard: str, names: list[str]) -> None:
        while names:
            try:
                rows = [{"PartitionKey": shard, "RowKey": name} for name in names]
                await self._table.commit([Operation("delete", row) for row in rows])
            except ConflictError as gone:
                del names[gone.index]
            else:
                return
