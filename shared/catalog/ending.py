"""The end of a pass: whoever finds nothing left to do writes it, and one of them succeeds.

The watermark moves in that transaction, and only where everything has landed. The event waits in the outbox until it is
sent, so that it goes out at least once; its id depends on tenant and pass alone.
"""

from dataclasses import replace
from datetime import timedelta

import msgspec

from shared.catalog.shelf import Shelf, change_tenant
from shared.catalog.work import Pass, State, Tally, pass_row, pass_row_name
from shared.clock import Clock, from_iso, to_iso, utc_now
from shared.correlation import get_logger
from shared.events import CatalogSyncedData, Events, catalog_synced
from shared.storage.transactions import ConflictError, Operation

KEPT_FOR = timedelta(days=30)
"""How long passes that have ended can be looked at."""

_log = get_logger(__name__)


class Ending:
    """Ends passes, and tells of it."""

    def __init__(self, shelf: Shelf, events: Events, *, clock: Clock = utc_now) -> None:
        self._shelf = shelf
        self._events = events
        self._clock = clock

    async def end_if_landed(self, tenant_id: str, sync_id: str) -> bool:
        """End a pass that has nothing left to do; whether it has none.

        :raises UnavailableError: storage is away; the sweeper ends the pass.
        """
        if await self._shelf.has_todos(tenant_id, sync_id):
            return False
        sync = await self._shelf.find_pass(tenant_id, sync_id)
        if sync is not None and sync.state is State.RUNNING:
            await self._end(sync)
        return True

    async def _end(self, sync: Pass) -> None:
        tenant = await self._shelf.tenant(sync.tenant_id)
        counted, _ = await self._shelf.counted(sync.tenant_id, sync.sync_id)
        ended = _judged(replace(sync, ended_on=self._clock(), tally=sync.tally + counted))
        after = replace(tenant, running="")
        if ended.state is State.COMPLETED:
            # Nothing newer was listed: what was before still holds, if it was on the same settings.
            watermark = ended.candidate or (tenant.watermark if tenant.basis == sync.basis else "")
            after = replace(after, watermark=watermark, basis=sync.basis)
        data = _told(ended)
        try:
            await self._shelf.table.commit(
                [
                    Operation("replace", pass_row(ended), sync.etag),
                    change_tenant(sync.tenant_id, after),
                    Operation(
                        "create",
                        {
                            "PartitionKey": sync.tenant_id,
                            "RowKey": _outbox(sync.sync_id),
                            "data": msgspec.json.encode(data),
                            "endedOn": to_iso(self._clock()),
                        },
                    ),
                ]
            )
        except ConflictError:
            _log.info("the pass %s was ended by another worker", sync.sync_id)
            return
        _log.info("the pass %s of tenant %s: %s, %s", sync.sync_id, sync.tenant_id, ended.state, ended.tally)
        await self.tell(sync.tenant_id)

    async def tell(self, tenant_id: str) -> None:
        """Send the events that were not sent yet, and clear away what their passes no longer need.

        :raises UnavailableError: storage is away; the sweeper sends them.
        """
        async for row in self._shelf.scan(tenant_id, _outbox(""), _outbox("~")):
            data = msgspec.json.decode(row["data"], type=CatalogSyncedData)
            await self._events.send(catalog_synced(data, from_iso(row["endedOn"])))
            for prefix in ("done", "page"):
                # None but its own: the next pass may run by now, and its id need not sort behind this one's.
                start = f"{prefix}|{data.sync_id}|"
                await self._shelf.sweep_rows(tenant_id, start, start + "~")
            oldest = f"{self._clock() - KEPT_FOR:%Y%m%dT%H%M%SZ}"
            await self._shelf.sweep_rows(tenant_id, pass_row_name(""), pass_row_name(oldest))
            await self._shelf.sweep_rows(tenant_id, row["RowKey"], row["RowKey"] + " ")


def _judged(sync: Pass) -> Pass:
    """The state that a pass ends in."""
    if not sync.listed:
        return replace(sync, state=State.FAILED, reason=sync.reason or "the inventory could not be listed")
    if sync.tally.failed:
        return replace(
            sync,
            state=State.COMPLETED_WITH_FAILURES,
            reason=f"{sync.tally.failed} products or files could not be had; the next pass asks again",
        )
    return replace(sync, state=State.COMPLETED)


def _told(sync: Pass) -> CatalogSyncedData:
    tally: Tally = sync.tally
    status = {State.COMPLETED: "completed", State.FAILED: "failed"}.get(sync.state, "completedWithFailures")
    return CatalogSyncedData(
        tenant_id=sync.tenant_id,
        sync_id=sync.sync_id,
        full=sync.full,
        status=status,  # type: ignore[arg-type]
        seen=tally.seen,
        changed=tally.changed,
        failed=tally.failed,
        downloaded_bytes=tally.downloaded_bytes,
    )


def _outbox(sync_id: str) -> str:
    return f"outbox|{sync_id}"
