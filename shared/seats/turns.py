"""Whose turn it is: jobs of one product are carried out one after the other, in the order of their acceptance.

So an assignment that is followed by a reclaim ends reclaimed. Jobs of different products run side by side. The table
``seatturns`` has one partition a tenant:

- ``turn|PRODUCT|N`` stands for an accepted job that is not over;
- ``last|PRODUCT`` has the number that was given out last. Taking a turn replaces it in the same transaction, so that
  clocks, which differ, have no say in the order.
"""

import asyncio
import base64
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

from shared.errors import UnavailableError
from shared.storage.rows import Row
from shared.storage.tables import Table
from shared.storage.transactions import ConflictError, Operation
from shared.store.models.business import ProductKey

ATTEMPTS = 50
"""Tries to take a turn that others are taking too."""

LONGEST_PAUSE = 0.4
"""Seconds between two of them, at most."""

_TURN = "turn|"
_END = "~"


@dataclass(frozen=True, slots=True)
class Turn:
    """A job's place among those of its product."""

    tenant_id: str
    product: ProductKey
    number: int
    job_id: str


class Turns:
    """The turns. All methods raise :class:`UnavailableError` where storage is away."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def take(self, tenant_id: str, product: ProductKey, job_id: str) -> int:
        """A job's number. One that takes its turn twice is over when the second comes, which is then given back."""
        name = f"last|{_name(product)}"
        for attempt in range(ATTEMPTS):
            last = await self._table.get(tenant_id, name)
            number = last[0]["number"] + 1 if last else 1
            counter = {"PartitionKey": tenant_id, "RowKey": name, "number": number}
            counted = Operation("replace", counter, last[1]) if last else Operation("create", counter)
            taken = Operation("create", _row(Turn(tenant_id, product, number, job_id)))
            try:
                await self._table.commit([counted, taken])
            except ConflictError:
                await asyncio.sleep(random.uniform(0, LONGEST_PAUSE * attempt / ATTEMPTS))  # noqa: S311 - jitter
                continue
            return number
        raise UnavailableError("storage-tables", "too many jobs for this product come in at once", retry_after=1.0)

    async def first(self, tenant_id: str, product: ProductKey) -> Turn | None:
        """The turn that a product is at."""
        prefix = f"{_TURN}{_name(product)}|"
        rows = await self._table.first(tenant_id, prefix, prefix + _END, 1)
        return _from_row(rows[0]) if rows else None

    async def give_back(self, turn: Turn) -> None:
        """Let the next one have its turn. Giving back what is gone is no error."""
        row = {"PartitionKey": turn.tenant_id, "RowKey": _row_name(turn)}
        with suppress(ConflictError):
            await self._table.commit([Operation("delete", row)])

    async def products(self, tenant_id: str) -> AsyncIterator[ProductKey]:
        """The products that have an open job: one small read for each, however many jobs wait behind it."""
        start = _TURN
        while rows := await self._table.first(tenant_id, start, _TURN + _END, 1):
            turn = _from_row(rows[0])
            yield turn.product
            start = f"{_TURN}{_name(turn.product)}|{_END}"


def _name(product: ProductKey) -> str:
    """A product in characters that a row key may hold. Letter case is no difference that an order could hang on."""
    text = f"{product.product_id}\0{product.sku_id}".upper()
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _row_name(turn: Turn) -> str:
    return f"{_TURN}{_name(turn.product)}|{turn.number:012}"


def _row(turn: Turn) -> Row:
    return {
        "PartitionKey": turn.tenant_id,
        "RowKey": _row_name(turn),
        "productId": turn.product.product_id,
        "skuId": turn.product.sku_id,
        "number": turn.number,
        "jobId": turn.job_id,
    }


def _from_row(row: Row) -> Turn:
    product = ProductKey(row["productId"], row["skuId"])
    return Turn(row["PartitionKey"], product, row["number"], row["jobId"])
