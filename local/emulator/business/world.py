"""Everything of Store for Business that outlives a request: the tenants' stocks, kept in ``business.json``.

The file is apart from the state file because seats change by the hundred thousand. It is written seldom and outside of
requests; a crash can lose the last seconds.
"""

import asyncio
import threading
import time
from pathlib import Path

import msgspec

from local.emulator.business.hashes import PackageHashes
from local.emulator.business.records import BUSINESS_VERSION, BusinessState
from local.emulator.business.refusals import SeatRefusals
from local.emulator.business.seeds import first_business
from local.emulator.business.stock import Stock
from local.emulator.cdn.addresses import Addresses
from local.emulator.cdn.disturbances import Disturbances
from local.emulator.context import Context
from local.emulator.persistence import StateError, write_private

SAVE_DELAY_SECONDS = 3.0
# Encoding holds the event loop for some milliseconds; never for more than this part of the time.
_SAVE_SHARE = 0.01


class BusinessWorld:
    """Holds the stocks by tenant id, and what tests arrange for seats and downloads; keeps the file in step."""

    def __init__(self, path: Path, context: Context) -> None:
        """Load ``path``, or make the seeds of a first start when it does not exist or is of another state's tenants.

        :raises StateError: the file is not of this version.
        """
        self.path = path
        self.hashes = PackageHashes()
        self.refusals = SeatRefusals()
        self.disturbances = Disturbances()
        tenants = context.state.business_tenants
        found = _load(path) if path.exists() else None
        if found is None or set(found.stocks) != {tenant.tenant_id for tenant in tenants}:
            found = first_business(tenants)
        self._state = found
        self.addresses = Addresses(context, self._state)
        self.stocks = {
            tenant.tenant_id: Stock(tenant, self._state.stocks[tenant.tenant_id], self.touch) for tenant in tenants
        }
        self._delay = SAVE_DELAY_SECONDS
        self._pending: asyncio.TimerHandle | None = None
        self._turn = threading.Lock()
        self._newest = 0
        self._write(self._encode(), self._newest)

    def touch(self) -> None:
        """Note a change; must be called on the event loop. Many changes make one write."""
        if self._pending is None:
            self._pending = asyncio.get_running_loop().call_later(self._delay, self._save)

    def close(self) -> None:
        """Write now and cancel what was planned."""
        if self._pending is not None:
            self._pending.cancel()
            self._pending = None
        self._newest += 1
        self._write(self._encode(), self._newest)

    def _save(self) -> None:
        self._pending = None
        started = time.perf_counter()
        content = self._encode()
        self._delay = max(SAVE_DELAY_SECONDS, (time.perf_counter() - started) / _SAVE_SHARE)
        self._newest += 1
        asyncio.get_running_loop().run_in_executor(None, self._write, content, self._newest)

    def _encode(self) -> bytes:
        for tenant_id, stock in self.stocks.items():
            self._state.stocks[tenant_id] = stock.record()
        return msgspec.json.encode(self._state)

    def _write(self, content: bytes, number: int) -> None:
        # A write in a thread may come to its turn after a later one, such as that of close().
        with self._turn:
            if number == self._newest:
                write_private(self.path, content)


def _load(path: Path) -> BusinessState:
    try:
        state = msgspec.json.decode(path.read_bytes(), type=BusinessState)
    except msgspec.DecodeError as error:
        raise StateError(f"{path} is not what this emulator writes ({error}); remove it to start afresh") from error
    if state.version != BUSINESS_VERSION:
        found = f"version {state.version}, expected {BUSINESS_VERSION}"
        raise StateError(f"{path} was written by another version of the emulator ({found}); remove it to start afresh")
    return state
