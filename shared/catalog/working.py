"""Carries out the work that a message names."""

import random
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

import msgspec

from shared.catalog.bringing import Bringing
from shared.catalog.claims import Claims
from shared.catalog.ending import Ending
from shared.catalog.landing import Landed, Landing, settle
from shared.catalog.listing import Listing
from shared.catalog.messages import WorkMessage
from shared.catalog.missing import Missing
from shared.catalog.pieces import Pieces
from shared.catalog.shelf import Shelf
from shared.catalog.work import Kind, Tally, Todo
from shared.clock import Clock, utc_now
from shared.correlation import get_logger
from shared.errors import NotFoundError, UnavailableError
from shared.messages import GivenUpError
from shared.shares import Shares
from shared.storage.transactions import ConflictError
from shared.store.business import BusinessStore

SLOW = 10.0
"""Seconds after which a piece counts as slow; the four that a tenant may have in one process take two or three."""

PUT_OFF = (5.0, 30.0)
"""Seconds for which a piece is put off, from and to, while its tenant keeps as many workers as it may."""

CROWD = 0.5
"""Seconds by which that grows with each piece put off since the tenant's last turn: thousands would else come back
every few seconds, in front of the other tenants' messages."""

LONGEST_PUT_OFF = 600.0
"""Seconds to which it grows at the most: the Store may have become quick meanwhile."""

_log = get_logger(__name__)


class Working:
    """One worker; ``stores`` gives each tenant's Store for Business."""

    def __init__(
        self,
        shelf: Shelf,
        landing: Landing,
        stores: Callable[[str], BusinessStore],
        listing: Listing,
        pieces: Pieces,
        missing: Missing,
        bringing: Bringing,
        ending: Ending,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self._shelf = shelf
        self._landing = landing
        self._stores = stores
        self._ending = ending
        self._claims = Claims(shelf, clock=clock)
        self._shares: defaultdict[str, Shares] = defaultdict(lambda: Shares(slow=SLOW))
        self._put_off_since: defaultdict[str, int] = defaultdict(int)
        self._clock = clock
        self._works = {
            Kind.LISTING: listing.work,
            Kind.PIECE: pieces.work,
            Kind.MISSING: missing.work,
            Kind.DOWNLOAD: bringing.work,
        }

    async def carry_out(self, message: WorkMessage) -> None:
        """Do a piece of work, and end its pass where that was the last. A message that comes again does no harm.

        :raises GivenUpError: the tenant is not configured.
        :raises UnavailableError: storage is away; what has not landed is still to be done.
        """
        try:
            store = self._stores(message.tenant_id)
        except NotFoundError as error:
            raise GivenUpError(f"the tenant {message.tenant_id} is not configured") from error
        todo = await self._shelf.todo(message.tenant_id, message.sync_id, message.todo)
        if todo is not None and not todo.is_due(self._clock()):
            _log.info("%s of %s has to wait, or somebody is at it", todo.name, todo.sync_id)
            return
        if todo is not None and todo.kind is Kind.LISTING:
            await self._works[todo.kind](store, todo)  # under a lease, one a tenant
        elif todo is not None:
            await self._in_turn(store, todo)
        await self._ending.end_if_landed(message.tenant_id, message.sync_id)

    async def _in_turn(self, store: BusinessStore, todo: Todo) -> None:
        """Do a piece once it is its tenant's turn, or leave it for later without a try."""
        async with self._shares[todo.kind.queue].turn(todo.tenant_id) as has_come:
            if not has_come:
                await self._put_off(todo)
                return
            self._put_off_since[todo.tenant_id] = 0
            claimed = await self._claims.take(todo)
            if claimed is None:
                _log.info("%s of %s is somebody else's by now", todo.name, todo.sync_id)
                return
            try:
                await self._works[todo.kind](store, claimed)
            except UnavailableError:
                await self._claims.release(claimed, failed=False)
                raise
            except Exception:
                if not claimed.is_deadly:
                    await self._claims.release(claimed, failed=True)
                    raise
                # Its own kind cannot even give it up; and a pass must come to its end.
                _log.exception("%s of %s is given up on: nobody can do it", todo.name, todo.sync_id)
                await self._landing.land(claimed, [Landed(todo.name, Tally(failed=1))], [], msgspec.json.encode)

    async def _put_off(self, todo: Todo) -> None:
        crowd = self._put_off_since[todo.tenant_id]
        self._put_off_since[todo.tenant_id] += 1
        shortest, longest = PUT_OFF
        delay = random.uniform(shortest, min(longest + CROWD * crowd, LONGEST_PUT_OFF))  # noqa: S311 - spreads load
        later = replace(todo, not_before=self._clock() + timedelta(seconds=delay))
        # Noted, so that no sweep announces it before that; and where it was changed, it is in other hands.
        with suppress(ConflictError):
            await self._shelf.table.commit([settle(later, done=False)])
            await self._landing.announce([todo], delay=delay)
