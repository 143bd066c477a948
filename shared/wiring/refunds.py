"""Refunds, chargebacks and reversals."""

from functools import cached_property

from shared.fulfillment.messages import JOBS_QUEUE
from shared.ledger.ledger import Ledger
from shared.refunds.address import Addresses
from shared.refunds.books import Books
from shared.refunds.desk import Desk
from shared.refunds.drain import Drain
from shared.refunds.entitlements import Entitlements
from shared.refunds.filing import RefundFiles
from shared.refunds.listing import Listing
from shared.refunds.reconsuming import Reconsuming
from shared.refunds.running import LEASE_DURATION, Refunds
from shared.storage.leases import Leases
from shared.storage.queues import Queue
from shared.storage.tables import Table
from shared.store.clawback_queue import ClawbackQueue
from shared.wiring.core import Core
from shared.wiring.store import StoreParts

TABLE = "refunds"


class RefundParts:
    """Clawback events that are fetched, settled and shown."""

    def __init__(self, core: Core, store: StoreParts, ledger: Ledger) -> None:
        self._core = core
        self._store = store
        self._ledger = ledger

    @cached_property
    def running(self) -> Refunds:
        """What the Store tells of, fetched and settled."""
        core, ledger = self._core, self._ledger
        books = Books(ledger, Reconsuming(ledger, Queue(core.account, JOBS_QUEUE)))
        sandbox = core.settings.store_sandbox
        desk = Desk(self._files, books, Entitlements(ledger, core.events), core.events, sandbox)
        return Refunds(Drain(self._clawback_queue, desk), desk, self._files, Leases(self._table, LEASE_DURATION))

    @cached_property
    def listing(self) -> Listing:
        """What became of each."""
        return Listing(self._files)

    @cached_property
    def _files(self) -> RefundFiles:
        return RefundFiles(self._table)

    @cached_property
    def _table(self) -> Table:
        return Table(self._core.account, TABLE)

    @cached_property
    def _clawback_queue(self) -> ClawbackQueue:
        addresses = Addresses(self._core.publisher, self._core.entra, self._store.purchase)
        return self._core.closing(ClawbackQueue(addresses.find))
