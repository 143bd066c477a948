"""Players' User Store ID keys."""

from collections.abc import Awaitable, Callable
from functools import cached_property

from shared.keys.current import CurrentKeys
from shared.keys.filing import Files
from shared.keys.intake import Intake
from shared.keys.messages import QUEUE
from shared.keys.renewal import LEASE_DURATION, Renewal
from shared.keys.sealing import KeySealer
from shared.storage.leases import Leases
from shared.storage.queues import Queue
from shared.storage.tables import Table
from shared.wiring.core import Core
from shared.wiring.store import StoreParts

TABLE = "storeids"


class KeyParts:
    """Keys that come in, are kept alive, and are used. ``hurry`` is for what waits for a collections key."""

    def __init__(self, core: Core, store: StoreParts, hurry: Callable[[str], Awaitable[None]]) -> None:
        self._core = core
        self._store = store
        self._hurry = hurry

    @cached_property
    def intake(self) -> Intake:
        """Keys that come in."""
        core = self._core
        return Intake(
            core.publisher,
            self.files,
            self.sealer,
            core.entra,
            self._store.key_service,
            match_user=core.settings.store_id_match_user,
            hurry=self._hurry,
        )

    @cached_property
    def renewal(self) -> Renewal:
        """Keys that are kept alive."""
        core = self._core
        return Renewal(
            core.publisher,
            self.files,
            self.sealer,
            core.entra,
            self._store.key_service,
            core.events,
            self.queue,
            self._leases,
        )

    @cached_property
    def current(self) -> CurrentKeys:
        """Players' keys for calls to the Store."""
        core = self._core
        return CurrentKeys(core.publisher, self.files, self.sealer, core.entra, self._store.key_service, self._leases)

    @cached_property
    def files(self) -> Files:
        """Where they are kept."""
        return Files(self.table)

    @cached_property
    def sealer(self) -> KeySealer:
        """How they are kept."""
        return KeySealer(self._core.sealer)

    @cached_property
    def table(self) -> Table:
        """The table of keys."""
        return Table(self._core.account, TABLE)

    @cached_property
    def queue(self) -> Queue:
        """The queue of shards with something due."""
        return Queue(self._core.account, QUEUE)

    @cached_property
    def _leases(self) -> Leases:
        return Leases(self.table, LEASE_DURATION)
