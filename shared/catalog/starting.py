"""Passes are begun, at most one a tenant at a time, and looked at."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.catalog.basis import Basis
from shared.catalog.landing import Landing
from shared.catalog.shelf import Shelf
from shared.catalog.side_by_side import side_by_side
from shared.catalog.work import SYNC_ID, Kind, Pass, State, Todo, new_sync_id, pass_row
from shared.clock import Clock, utc_now
from shared.correlation import get_logger
from shared.errors import StateConflictError
from shared.storage.transactions import ConflictError, Operation

RUNNING_RETRY = 30.0
"""Seconds after which one who wants more than the running pass does may ask again."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Started:
    """The id to ask for, and whether anything new was begun for it."""

    sync_id: str
    begun: bool


class Starting:
    """Begins passes, on the settings of ``basis``."""

    def __init__(self, shelf: Shelf, landing: Landing, basis: Basis, *, clock: Clock = utc_now) -> None:
        self._shelf = shelf
        self._landing = landing
        self._basis = str(basis)
        self._clock = clock

    async def start(self, tenant_ids: Sequence[str], *, full: bool = False) -> Started:
        """Begin a pass of one id over these tenants' catalogues; a tenant whose pass runs already joins with that one.

        What the running pass of a tenant has left to do is announced again: should its worker have died, it goes on.

        :raises StateConflictError: ``full`` is asked for while a pass runs that is not; nothing is begun.
        :raises UnavailableError: storage is away; what was begun goes on.
        """
        running = dict(zip(tenant_ids, await side_by_side(self._running, tenant_ids), strict=True))
        partial = [tenant_id for tenant_id, sync in running.items() if sync and full and not sync.full]
        if partial:
            raise StateConflictError(
                f"A pass that is not full is running for {', '.join(partial[:5])}; ask again once it has ended",
                retry_after=RUNNING_RETRY,
            )
        for sync in running.values():
            if sync:
                await self.nudge(sync)
        ids = {sync.sync_id if sync else "" for sync in running.values()}
        if len(ids) == 1 and "" not in ids:
            return Started(ids.pop(), begun=False)
        sync_id = new_sync_id(self._clock())
        await side_by_side(lambda tenant_id: self._begin(tenant_id, sync_id, full=full), tenant_ids)
        return Started(sync_id, begun=True)

    async def nudge(self, sync: Pass) -> None:
        """Announce again what a pass has left to do and need not wait for."""
        now = self._clock()
        todos = await self._shelf.todos(sync.tenant_id, sync.sync_id)
        await self._landing.announce([todo for todo in todos if todo.is_due(now)])

    async def find(self, tenant_ids: Sequence[str], sync_id: str) -> list[Pass]:
        """The passes of an id, with what they have counted so far; of a tenant that joined another pass, that one."""
        found = await side_by_side(lambda tenant_id: self._find(tenant_id, sync_id), tenant_ids)
        return [sync for sync in found if sync]

    async def _find(self, tenant_id: str, sync_id: str) -> Pass | None:
        if not re.fullmatch(SYNC_ID, sync_id):
            return None
        sync = await self._shelf.find_pass(tenant_id, sync_id)
        if sync and sync.joined:
            sync = await self._shelf.find_pass(tenant_id, sync.joined)
        if sync and sync.state is State.RUNNING:
            counted, _ = await self._shelf.counted(tenant_id, sync.sync_id)
            sync = replace(sync, tally=sync.tally + counted)
        return sync

    async def _running(self, tenant_id: str) -> Pass | None:
        tenant = await self._shelf.tenant(tenant_id)
        return await self._shelf.find_pass(tenant_id, tenant.running) if tenant.running else None

    async def _begin(self, tenant_id: str, sync_id: str, *, full: bool) -> None:
        now = self._clock()
        while True:
            tenant = await self._shelf.tenant(tenant_id)
            running = await self._shelf.find_pass(tenant_id, tenant.running) if tenant.running else None
            if running and running.sync_id == sync_id:
                # It was begun, and the answer lost: the client's own repeat met it as a conflict.
                await self.nudge(running)
                return
            # What was fetched on other settings is not what is wanted now: everything is listed, and what was fetched
            # differently counts as new.
            since = tenant.watermark if tenant.basis == self._basis and not full else ""
            sync = Pass(
                tenant_id=tenant_id,
                sync_id=sync_id,
                full=full,
                basis=self._basis,
                started_on=now,
                moved_on=now,
                since=since,
                joined=running.sync_id if running else "",
            )
            if running:
                await self._shelf.table.commit([Operation("put", pass_row(sync))])
                return
            try:
                await self._shelf.begin(tenant, sync)
            except ConflictError:
                _log.info("another pass of tenant %s was begun at the same moment", tenant_id)
                continue
            await self._landing.announce([_listing(sync)])
            return


def _listing(sync: Pass) -> Todo:
    return Todo(tenant_id=sync.tenant_id, sync_id=sync.sync_id, name=Kind.LISTING, kind=Kind.LISTING, payload=b"")
