"""What is asked of a table page by page: never for more rows than it shows, never fewer than there are."""

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from shared.storage.account import Account
from shared.storage.tables import MOST_A_PAGE, Table


class Stored(Table):
    """A table of so many rows, as the service shows them."""

    def __init__(self, count: int) -> None:
        super().__init__(cast("Account", None), "rows")
        self.count = count
        self.asked: list[int] = []

    async def _send(self, *_: object, query: Mapping[str, str] | None = None, **__: object) -> Any:
        assert query
        wanted, start = int(query["$top"]), int(query.get("NextRowKey", "0"))
        self.asked.append(wanted)
        end = min(start + wanted, self.count)
        headers = {}
        if end < self.count:
            headers = {"x-ms-continuation-NextPartitionKey": "p", "x-ms-continuation-NextRowKey": str(end)}
        rows = [{"PartitionKey": "p", "RowKey": str(number)} for number in range(start, end)]
        return SimpleNamespace(content=msgspec.json.encode({"value": rows}), headers=headers)


@pytest.mark.parametrize(
    ("count", "there", "found"),
    [(5, 3, 3), (5, 5, 5), (5, 9, 5), (2_500, 5_000, 2_500), (None, 12_345, 12_345), (None, 0, 0)],
)
async def test_all_that_was_asked_for_is_found(count: int | None, there: int, found: int) -> None:
    table = Stored(there)

    rows = await table.first("p", "", "~", count)

    assert [row["RowKey"] for row in rows] == [str(number) for number in range(found)]
    assert max(table.asked) <= MOST_A_PAGE
