"""Which player an order line went to: the table ``orderlines``, one partition an order.

A clawback event names an order and no player. The rows here follow from players' books and may be written again at any
time; whoever granted leaves a row in the books that has them written, whatever dies in between.
"""

import asyncio
import hashlib
from collections import defaultdict
from itertools import batched

from shared.ledger.record import END, Job, LineRef, LineState, safe
from shared.storage.rows import Row
from shared.storage.tables import Table
from shared.storage.transactions import MAX_OPERATIONS, Operation

WRITERS = 8
"""Orders written side by side, where many filled one consume."""

_UNLINKED = "unlinked|"


class OrderLines:
    """The index. All methods raise :class:`UnavailableError` where storage is away."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def put(self, job: Job) -> None:
        """Write a granted job's lines down, those of unknown orders under their product."""
        partitions: defaultdict[str, list[Row]] = defaultdict(list)
        for line in job.lines:
            if line.state is LineState.ELSEWHERE:
                continue
            ref = LineRef(line.order_id, line.line_id, job.product_id, job.tracking_id, job.user_id)
            row = _row(ref)
            partitions[row["PartitionKey"]].append(row)
        batches = iter([batch for rows in partitions.values() for batch in batched(rows, MAX_OPERATIONS, strict=False)])

        async def writer() -> None:
            for batch in batches:
                await self._table.commit([Operation("put", row) for row in batch])

        await asyncio.gather(*(writer() for _ in range(min(WRITERS, len(partitions)))))

    async def of_order(self, order_id: str) -> list[LineRef]:
        """All lines of an order that anybody was granted something from, however many."""
        return await self._of(safe(order_id.lower()), None)

    async def unlinked(self, product_id: str, count: int) -> list[LineRef]:
        """Up to ``count`` of what was granted of a product without that the Store told from which order."""
        return await self._of(_UNLINKED + safe(product_id.lower()), count)

    async def _of(self, partition: str, count: int | None) -> list[LineRef]:
        return [_from_row(row) for row in await self._table.first(partition, "", END, count)]


def _row(ref: LineRef) -> Row:
    unlinked = f"{_UNLINKED}{safe(ref.product_id.lower())}"
    return {
        "PartitionKey": safe(ref.order_id) if ref.order_id else unlinked,
        "RowKey": f"{safe(ref.line_id)}|{ref.product_id}|{ref.tracking_id}|{_digest(ref.user_id)}",
        "orderId": ref.order_id,
        "lineId": ref.line_id,
        "productId": ref.product_id,
        "trackingId": ref.tracking_id,
        "userId": ref.user_id,
    }


def _digest(user_id: str) -> str:
    return hashlib.sha256(user_id.encode()).hexdigest()[:16]


def _from_row(row: Row) -> LineRef:
    return LineRef(row["orderId"], row["lineId"], row["productId"], row["trackingId"], row["userId"])
