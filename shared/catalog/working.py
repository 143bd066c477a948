"""Carries out the work that a message names."""

from collections.abc import Callable

from shared.catalog.bringing import Bringing
from shared.catalog.ending import Ending
from shared.catalog.listing import Listing
from shared.catalog.messages import WorkMessage
from shared.catalog.missing import Missing
from shared.catalog.pieces import Pieces
from shared.catalog.shelf import Shelf
from shared.catalog.work import Kind
from shared.clock import Clock, utc_now
from shared.correlation import get_logger
from shared.errors import NotFoundError
from shared.messages import GivenUpError
from shared.store.business import BusinessStore

_log = get_logger(__name__)


class Working:
    """One worker; ``stores`` gives each tenant's Store for Business."""

    def __init__(
        self,
        shelf: Shelf,
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
        self._stores = stores
        self._ending = ending
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
        if todo is not None:
            await self._works[todo.kind](store, todo)
        await self._ending.end_if_landed(message.tenant_id, message.sync_id)
