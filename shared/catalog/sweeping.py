"""What a crash left behind goes on: work without a worker, passes without an end, events that were not sent."""

from collections.abc import Sequence
from datetime import timedelta

from shared.catalog.ending import Ending
from shared.catalog.shelf import Shelf
from shared.catalog.side_by_side import side_by_side
from shared.catalog.starting import Starting
from shared.catalog.work import Pass, State
from shared.clock import Clock, utc_now
from shared.correlation import get_logger

STALLED = timedelta(minutes=2)
"""A pass that nothing landed of for so long has its open work announced again."""

_log = get_logger(__name__)


class Sweeper:
    """Looks after the passes of all tenants."""

    def __init__(
        self,
        tenant_ids: Sequence[str],
        shelf: Shelf,
        starting: Starting,
        ending: Ending,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self._tenant_ids = tenant_ids
        self._shelf = shelf
        self._starting = starting
        self._ending = ending
        self._clock = clock

    async def sweep(self) -> None:
        """Look at every tenant; what fails for one is logged and holds up no other."""
        await side_by_side(self._try, self._tenant_ids)

    async def _try(self, tenant_id: str) -> None:
        try:
            await self._sweep(tenant_id)
        except Exception:  # noqa: BLE001 - whatever is wrong with one tenant, the others are still looked after
            _log.exception("the catalogue of tenant %s could not be looked after", tenant_id)

    async def _sweep(self, tenant_id: str) -> None:
        await self._ending.tell(tenant_id)
        tenant = await self._shelf.tenant(tenant_id)
        sync = await self._shelf.find_pass(tenant_id, tenant.running) if tenant.running else None
        if sync is None or sync.state is not State.RUNNING:
            return
        if await self._ending.end_if_landed(tenant_id, sync.sync_id):
            return
        if await self._is_stalled(sync):
            _log.warning("the pass %s of tenant %s has stalled; its work is announced again", sync.sync_id, tenant_id)
            await self._starting.nudge(sync)

    async def _is_stalled(self, sync: Pass) -> bool:
        _, last = await self._shelf.counted(sync.tenant_id, sync.sync_id)
        return self._clock() - max(sync.moved_on, last or sync.moved_on) >= STALLED
