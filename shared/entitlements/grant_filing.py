"""Where free products are filed: table ``freeproducts``, a partition a player, a row an order."""

from dataclasses import replace

from shared.clock import from_iso, to_iso
from shared.entitlements.grant import Gift, Grant
from shared.entitlements.statuses import GrantStatus
from shared.keys.record import row_name
from shared.storage.rows import Row
from shared.storage.tables import Table
from shared.storage.transactions import Operation

TABLE = "freeproducts"


class GrantFiles:
    """Players' free products."""

    def __init__(self, table: Table) -> None:
        self._table = table

    async def find(self, user_id: str, order_id: str) -> Grant | None:
        """An order, by one point read."""
        found = await self._table.get(row_name(user_id), order_id)
        return _grant(*found) if found else None

    async def write(self, user_id: str, grant: Grant) -> Grant:
        """File an order: a new one, or what became of the one that was read.

        :raises ConflictError: somebody else did meanwhile.
        """
        row = _row(user_id, grant)
        (etag,) = await self._table.commit([Operation("replace" if grant.etag else "create", row, grant.etag)])
        return replace(grant, etag=etag)


def _row(user_id: str, grant: Grant) -> Row:
    gift = grant.gift
    optional = {
        "sandbox": gift.sandbox,
        "claimedOn": to_iso(grant.claimed_on) if grant.claimed_on else None,
        "reason": grant.reason,
    }
    return {
        "PartitionKey": row_name(user_id),
        "RowKey": gift.order_id,
        "userId": user_id,
        "productId": gift.product_id,
        "skuId": gift.sku_id,
        "availabilityId": gift.availability_id,
        "language": gift.language,
        "market": gift.market,
        "status": str(grant.status),
        "doubtful": grant.doubtful,
        **{name: value for name, value in optional.items() if value is not None},
    }


def _grant(row: Row, etag: str) -> Grant:
    claimed_on = row.get("claimedOn")
    return Grant(
        gift=Gift(
            row["RowKey"],
            row["productId"],
            row["skuId"],
            row["availabilityId"],
            row["language"],
            row["market"],
            row.get("sandbox"),
        ),
        status=GrantStatus(row["status"]),
        claimed_on=from_iso(claimed_on) if claimed_on else None,
        doubtful=row["doubtful"],
        reason=row.get("reason"),
        etag=etag,
    )
