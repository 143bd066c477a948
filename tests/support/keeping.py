"""The keeping of keys in this process, against real servers, with a clock that a test moves."""

from datetime import UTC, datetime, timedelta
from typing import Any

from local.control import Control, Kind
from shared.auth.entra import Entra
from shared.auth.tokens import StoreIdKind
from shared.events import Events
from shared.keys.filing import Files
from shared.keys.intake import Intake, Kept
from shared.keys.record import StoredKey, shard_of
from shared.keys.renewal import LEASE_DURATION, Renewal
from shared.keys.sealing import KeySealer
from shared.storage.leases import Leases
from shared.storage.queues import Queue
from shared.storage.tables import Table
from shared.store.user_store_id import UserStoreIdKey
from shared.wiring import Wiring
from tests.support.app import Storage, unique


class Keeping:
    """Intake and renewal over a table and queues that no other test knows."""

    def __init__(self, wiring: Wiring, control: Control, storage: Storage) -> None:
        self.wiring, self.control, self.storage = wiring, control, storage
        self.offset = timedelta(0)
        self.name = unique("t").replace("-", "")
        self.table = Table(wiring.core.account, self.name)
        self.files = Files(self.table)
        self.events_queue = Queue(wiring.core.account, f"{self.name}-events")
        self.renewals_queue = Queue(wiring.core.account, f"{self.name}-renewals")
        self.sealer: KeySealer = wiring.keys.sealer
        self.entra: Entra = wiring.core.entra
        self.intake = Intake(
            wiring.core.publisher,
            self.files,
            self.sealer,
            self.entra,
            wiring.store.key_service,
            match_user=False,
            clock=self.clock,
        )

    def clock(self) -> datetime:
        """Now, as this world has it."""
        return datetime.now(UTC) + self.offset

    def renewal(self, **parts: Any) -> Renewal:
        """A worker; each has a lease of its own, as in an instance of its own."""
        return Renewal(
            self.wiring.core.publisher,
            self.files,
            parts.get("sealer", self.sealer),
            parts.get("entra", self.entra),
            self.wiring.store.key_service,
            Events(parts.get("events_queue", self.events_queue)),
            parts.get("renewals_queue", self.renewals_queue),
            Leases(self.table, LEASE_DURATION, clock=self.clock),
            clock=self.clock,
        )

    async def keep(self, user: str, kind: Kind = "collections", **minted: Any) -> str:
        """Mint a key and hand it in; the key."""
        key = await self.control.store_id(kind, user, **minted)
        await self.hand_in(user, kind, key)
        return key

    async def hand_in(self, user: str, kind: Kind, key: str) -> Kept:
        """Hand in a key."""
        return await self.intake.keep(user, StoreIdKind(kind), UserStoreIdKey(key))

    async def renew(self, *users: str) -> None:
        """Work on the shards of these players."""
        for shard in sorted({shard_of(user) for user in users}):
            await self.renewal().renew_shard(shard)

    async def held(self, user: str, kind: Kind = "collections") -> StoredKey:
        """What is kept of a player's key."""
        record = await self.files.find(user)
        assert record, f"nothing is kept of {user}"
        return record.keys[StoreIdKind(kind)]

    async def opened(self, user: str, kind: Kind = "collections") -> str:
        """A player's key in the clear."""
        held = await self.held(user, kind)
        return (await self.sealer.open(user, StoreIdKind(kind), held.sealed)).reveal()

    async def events(self, user: str) -> list[dict[str, Any]]:
        """The events about a player."""
        return await self.storage.events(user, self.events_queue.name)

    async def rows(self, user: str) -> list[dict[str, Any]]:
        """A player's rows, by their kind: ``due`` and ``user``."""
        return await self.storage.rows_of(user, self.name)
