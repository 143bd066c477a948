"""The table ``catalog``: one partition a tenant, everything of a tenant in it, so that a transaction can change a
product, its pass and what is left to do at once.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec

from shared.catalog.record import AFTER, PREFIX, Product, from_row, row_name
from shared.catalog.work import (
    TENANT_ROW,
    Kind,
    Pass,
    Tally,
    Tenant,
    Todo,
    pass_from,
    pass_row,
    pass_row_name,
    tally_from,
    tenant_from,
    tenant_row,
    todo_from,
    todo_row,
    todo_row_name,
)
from shared.clock import from_iso
from shared.storage.rows import Row
from shared.storage.tables import Table
from shared.storage.transactions import MAX_OPERATIONS, ConflictError, Operation
from shared.store.models.business import ProductKey

PAGE = 1_000
"""Rows that one answer of Azure Tables holds at most."""

_WITHOUT_PAYLOAD = ("PartitionKey", "RowKey", "kind", "attempts", "notBefore", "claimedUntil")


@dataclass(frozen=True, slots=True)
class Known:
    """What the listing must know of a product that is held: see :mod:`shared.catalog.content` on stamp and digest."""

    stamp: str
    digest: str
    status: str


class Shelf:
    """Reads and writes the table ``catalog``. Every method raises UnavailableError where storage is away."""

    def __init__(self, table: Table) -> None:
        self.table = table

    async def tenant(self, tenant_id: str) -> Tenant:
        """What is known of a tenant; nothing, where it was never synced."""
        found = await self.table.get(tenant_id, TENANT_ROW)
        return tenant_from(*found) if found else Tenant()

    async def begin(self, tenant: Tenant, sync: Pass) -> None:
        """Write a pass that runs from now on, and its first piece of work.

        :raises ConflictError: another pass was begun in the meantime.
        """
        listing = Todo(
            tenant_id=sync.tenant_id, sync_id=sync.sync_id, name=Kind.LISTING, kind=Kind.LISTING, payload=b""
        )
        await self.table.commit(
            [
                change_tenant(sync.tenant_id, replace(tenant, running=sync.sync_id)),
                Operation("create", pass_row(sync)),
                Operation("create", todo_row(listing)),
            ]
        )

    async def find_pass(self, tenant_id: str, sync_id: str) -> Pass | None:
        """A pass of a tenant."""
        found = await self.table.get(tenant_id, pass_row_name(sync_id))
        return pass_from(tenant_id, *found) if found else None

    async def todo(self, tenant_id: str, sync_id: str, name: str) -> Todo | None:
        """A piece of work, or None where it has landed."""
        found = await self.table.get(tenant_id, todo_row_name(sync_id, name))
        return todo_from(*found) if found else None

    async def todos(self, tenant_id: str, sync_id: str) -> list[Todo]:
        """What has not landed yet of a pass, payloads left out."""
        start = todo_row_name(sync_id, "")
        return [todo_from(row) async for row in self.scan(tenant_id, start, start + "~", _WITHOUT_PAYLOAD)]

    async def has_todos(self, tenant_id: str, sync_id: str) -> bool:
        """Whether anything of a pass has not landed yet."""
        start = todo_row_name(sync_id, "")
        return bool(await self.table.first(tenant_id, start, start + "~", 1, select=["RowKey"]))

    async def counted(self, tenant_id: str, sync_id: str) -> tuple[Tally, datetime | None]:
        """What the pieces of a pass that have landed counted, and when the last of them landed."""
        tally, last = Tally(), ""
        start = f"done|{sync_id}|"
        async for row in self.scan(tenant_id, start, start + "~"):
            tally += tally_from(row["tally"])
            last = max(last, row["on"])
        return tally, from_iso(last) if last else None

    async def index(self, tenant_id: str) -> dict[str, Known]:
        """All products that are held, by their row keys."""
        select = ("RowKey", "stamp", "digest", "status")
        return {row["RowKey"]: _known(row) async for row in self.scan(tenant_id, PREFIX, AFTER, select)}

    async def known(self, tenant_id: str, product: ProductKey) -> Known | None:
        """What the listing must know of one product."""
        found = await self.table.get(tenant_id, row_name(product))
        return _known(found[0]) if found else None

    async def product(self, tenant_id: str, product: ProductKey) -> Product | None:
        """A product."""
        return await self.product_in_row(tenant_id, row_name(product))

    async def product_in_row(self, tenant_id: str, row: str) -> Product | None:
        """The product of a row key."""
        found = await self.table.get(tenant_id, row)
        return from_row(*found) if found else None

    async def pages(self, tenant_id: str, sync_id: str) -> dict[str, str]:
        """The products that the pages of a pass have named so far, each with the stamp that it had."""
        named: dict[str, str] = {}
        start = f"page|{sync_id}|"
        async for row in self.scan(tenant_id, start, start + "~"):
            named |= msgspec.json.decode(row["named"], type=dict[str, str])
        return named

    async def scan(self, tenant_id: str, start: str, end: str, select: Sequence[str] = ()) -> AsyncIterator[Row]:
        """The rows of a range, read in pages."""
        while True:
            rows = await self.table.first(tenant_id, start, end, PAGE, select=select)
            for row in rows:
                yield row
            if len(rows) < PAGE:
                return
            start = rows[-1]["RowKey"] + " "  # no key that begins with this one sorts before that

    async def sweep_rows(self, tenant_id: str, start: str, end: str) -> None:
        """Delete the rows of a range. Who else does the same does no harm."""
        rows = [row["RowKey"] async for row in self.scan(tenant_id, start, end, ["RowKey"])]
        for at in range(0, len(rows), MAX_OPERATIONS):
            part = rows[at : at + MAX_OPERATIONS]
            try:
                await self.table.commit(
                    [Operation("delete", {"PartitionKey": tenant_id, "RowKey": row}) for row in part]
                )
            except ConflictError:
                return


def change_tenant(tenant_id: str, tenant: Tenant) -> Operation:
    """The operation that writes a tenant's row as long as it is what was read."""
    row = tenant_row(tenant_id, tenant)
    return Operation("replace", row, tenant.etag) if tenant.etag else Operation("create", row)


def _known(row: Mapping[str, str]) -> Known:
    return Known(row["stamp"], row["digest"], row["status"])
