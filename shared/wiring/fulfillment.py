"""Consumables, and the books that they are granted in."""

from functools import cached_property

from shared.fulfillment.intake import Intake
from shared.fulfillment.messages import JOBS_QUEUE, WORK_QUEUE
from shared.fulfillment.sweeper import FulfillmentSweeper
from shared.fulfillment.work import Worker
from shared.ledger.ledger import Ledger
from shared.storage.queues import Queue
from shared.storage.tables import Table
from shared.wiring.core import Core
from shared.wiring.keys import KeyParts
from shared.wiring.store import StoreParts

LEDGER_TABLE = "ledger"
ORDER_LINES_TABLE = "orderlines"


class FulfillmentParts:
    """Fulfilments that come in, are carried out, and are found again."""

    def __init__(self, core: Core, store: StoreParts, keys: KeyParts) -> None:
        self._core = core
        self._store = store
        self._keys = keys

    @cached_property
    def intake(self) -> Intake:
        """Fulfilments that come in."""
        jobs_queue = Queue(self._core.account, JOBS_QUEUE)
        return Intake(self.ledger.files, self._keys.files, self.worker, self._work_queue, jobs_queue)

    @cached_property
    def worker(self) -> Worker:
        """Fulfilments that are carried out."""
        ledger = self.ledger
        return Worker(ledger.files, ledger.granting, self._keys.current, self._store.collections, self._work_queue)

    @cached_property
    def sweeper(self) -> FulfillmentSweeper:
        """Fulfilments, and events of the books, that nobody is on any more."""
        return FulfillmentSweeper(self.ledger.files, self.ledger.outbox, self._work_queue)

    @cached_property
    def ledger(self) -> Ledger:
        """Players' books."""
        account = self._core.account
        return Ledger(Table(account, LEDGER_TABLE), Table(account, ORDER_LINES_TABLE), self._core.events)

    @cached_property
    def _work_queue(self) -> Queue:
        return Queue(self._core.account, WORK_QUEUE)
