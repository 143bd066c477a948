"""Tables: point reads, ranges and entity-group transactions.

The SDK signs, sends and repeats; rows are read and written here. Its own way through generic models and e-mail parts
takes ten times the processor time (`shared.storage.transactions`), which renewal pays for every key.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import quote

from shared.errors import UnavailableError
from shared.storage.account import Account, storage_errors
from shared.storage.rows import Row, decode_row, decode_rows
from shared.storage.transactions import Operation, encode, etags, quoted

if TYPE_CHECKING:
    from azure.core.rest import AsyncHttpResponse
    from azure.data.tables.aio import TableClient

_JSON = "application/json;odata=minimalmetadata"

MOST_A_PAGE = 1_000
"""Rows that one request shows; a request for more is refused (Azure Tables, "Query Entities")."""

_NEXT = {"NextPartitionKey": "x-ms-continuation-NextPartitionKey", "NextRowKey": "x-ms-continuation-NextRowKey"}


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
        path = f"{self.name}(PartitionKey='{quoted(partition)}',RowKey='{quoted(row)}')"
        response = await self._send("GET", path, headers={"Accept": _JSON}, accepted={200, 404})
        if response.status_code == 404:
            return None
        return decode_row(response.content), response.headers["ETag"]

    async def first(
        self,
        partition: str,
        start: str,
        end: str,
        count: int | None,
        *,
        select: Sequence[str] = (),
        having: tuple[str, str] | None = None,
    ) -> list[Row]:
        """Up to ``count`` rows (None: all) with ``start`` <= RowKey < ``end``, in order: one range, no scan.

        ``having`` leaves those out whose property has not this value.

        :raises UnavailableError: the account is away.
        """
        terms = [*_bounds(partition, start, end), *([(f"{having[0]} eq", having[1])] if having else [])]
        conditions = (f"{name} '{value.replace("'", "''")}'" for name, value in terms)
        query = {"$filter": " and ".join(conditions), "$top": str(min(count or MOST_A_PAGE, MOST_A_PAGE))}
        if select:
            query["$select"] = ",".join(select)
        rows: list[Row] = []
        # The service may cut a page short of what was asked, even to nothing, and still have more.
        while True:
            response = await self._send("GET", f"{self.name}()", headers={"Accept": _JSON}, query=query)
            rows += decode_rows(response.content)
            following = {
                name: quote(response.headers[header], safe="")
                for name, header in _NEXT.items()
                if header in response.headers
            }
            if not following or (count is not None and len(rows) >= count):
                return rows[:count]
            query |= following

    async def commit(self, operations: Sequence[Operation]) -> list[str]:
        """Carry out up to 100 operations on one partition, all or none; the ETags of what was written, in order.

        :raises ConflictError: one of them did not hold; nothing was done.
        :raises UnavailableError: the account is away; whether anything was done is not known.
        """
        client = await self._connected()
        content_type, body = encode(f"{client.url}/{self.name}", operations)
        headers = {"Content-Type": content_type}
        response = await self._send("POST", "$batch", headers=headers, content=body, accepted={202})
        return etags(response.content, operations)

    async def check(self) -> None:
        """Make sure that the table answers.

        :raises UnavailableError: it does not.
        """
        await self.get("check", "check")

    async def _send(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        query: Mapping[str, str] | None = None,
        content: bytes | None = None,
        accepted: frozenset[int] | set[int] = frozenset({200}),
    ) -> "AsyncHttpResponse":
        from azure.core.exceptions import HttpResponseError  # noqa: PLC0415 - loaded with the client
        from azure.core.rest import HttpRequest  # noqa: PLC0415 - loaded with the client

        client = await self._connected()
        versions = {"DataServiceVersion": "3.0", "MaxDataServiceVersion": "3.0;NetFx", **headers}
        request = HttpRequest(method, f"{client.url}/{path}", headers=versions, params=query, content=content)
        with storage_errors("storage-tables"):
            # All of the SDK's own calls go this way; it offers no public one (requirements.txt pins it exactly).
            response = await client._client.send_request(request, stream=True)  # noqa: SLF001
            content = await response.read()
            if b'"TableNotFound"' in content:
                self._client = None
                raise UnavailableError("storage-tables", f"the table {self.name} was gone; it is made anew")
            if response.status_code not in accepted:
                raise HttpResponseError(response=response)
        return response

    async def _connected(self) -> "TableClient":
        if self._client is None:
            with storage_errors("storage-tables"):
                self._client = await self._account.tables().create_table_if_not_exists(self.name)
        return self._client


def _bounds(partition: str, start: str, end: str) -> tuple[tuple[str, str], ...]:
    return ("PartitionKey eq", partition), ("RowKey ge", start), ("RowKey lt", end)
