"""Tables: rows, ranges and entity-group transactions, with conflicts as values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from shared.storage.account import Account, storage_errors

if TYPE_CHECKING:
    from azure.data.tables.aio import TableClient

MAX_OPERATIONS = 100
"""Operations that one entity-group transaction holds (Azure Tables)."""

type Row = Mapping[str, Any]
"""One entity: ``PartitionKey``, ``RowKey`` and its properties."""


class ConflictError(Exception):
    """Somebody else was there first. ``index`` is the operation of the transaction that did not hold."""

    def __init__(self, index: int) -> None:
        super().__init__(f"operation {index} of the transaction met a row that has changed")
        self.index = index


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a transaction.

    ``create`` fails where the row exists; ``replace`` and ``delete`` fail where it is gone or, with an ``etag``, has
    changed; ``put`` never fails.
    """

    kind: Literal["create", "replace", "delete", "put"]
    row: Row
    etag: str | None = None


class Table:
    """One table of the account; made on first use where it does not exist."""

    def __init__(self, account: Account, name: str) -> None:
        self.name = name
        self._account = account
        self._client: TableClient | None = None

    async def get(self, partition: str, row: str) -> tuple[Row, str] | None:
        """The row and its ETag, or None.

        :raises UnavailableError: the account is away.
        """
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 - loaded with the client

        client = await self._connected()
        with storage_errors("storage-tables"):
            try:
                entity = await client.get_entity(partition, row)
            except ResourceNotFoundError:
                return None
        return entity, str(entity.metadata["etag"])

    async def first(
        self, partition: str, start: str, end: str, count: int, *, select: Sequence[str] | None = None
    ) -> list[Row]:
        """Up to ``count`` rows with ``start`` <= RowKey < ``end``, in order: one range of one partition, no scan.

        :raises UnavailableError: the account is away.
        """
        client = await self._connected()
        bounds = {"partition": partition, "start": start, "end": end}
        with storage_errors("storage-tables"):
            pages = client.query_entities(
                "PartitionKey eq @partition and RowKey ge @start and RowKey lt @end",
                parameters=bounds,
                results_per_page=count,
                select=list(select) if select else None,
            ).by_page()
            rows: list[Row] = []
            # The service may cut a page short of what was asked, even to nothing, and still have more.
            async for page in pages:
                rows.extend([row async for row in page])
                if len(rows) >= count:
                    break
        return rows[:count]

    async def commit(self, operations: Sequence[Operation]) -> None:
        """Carry out up to 100 operations on one partition, all or none.

        :raises ConflictError: one of them did not hold; nothing was done.
        :raises UnavailableError: the account is away; whether anything was done is not known.
        """
        from azure.core import MatchConditions  # noqa: PLC0415 - loaded with the client
        from azure.data.tables import TableTransactionError, UpdateMode  # noqa: PLC0415 - loaded with the client

        batch: list[Any] = []
        for operation in operations:
            match operation.kind:
                case "create":
                    batch.append(("create", operation.row))
                case "put":
                    batch.append(("upsert", operation.row, {"mode": UpdateMode.REPLACE}))
                case "replace" | "delete":
                    condition: dict[str, Any] = {}
                    if operation.etag is not None:
                        condition = {"etag": operation.etag, "match_condition": MatchConditions.IfNotModified}
                    if operation.kind == "replace":
                        condition["mode"] = UpdateMode.REPLACE
                    batch.append(("update" if operation.kind == "replace" else "delete", operation.row, condition))
        client = await self._connected()
        with storage_errors("storage-tables"):
            try:
                await client.submit_transaction(batch)
            except TableTransactionError as error:
                if error.status_code in {404, 409, 412}:
                    raise ConflictError(error.index) from error
                raise

    async def check(self) -> None:
        """Make sure that the table answers.

        :raises UnavailableError: it does not.
        """
        await self.get("check", "check")

    async def _connected(self) -> "TableClient":
        if self._client is None:
            with storage_errors("storage-tables"):
                self._client = await self._account.tables().create_table_if_not_exists(self.name)
        return self._client
