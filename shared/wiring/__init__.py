"""Puts the parts together, once a process and each when it is first needed.

The only place that knows which parts there are. Functions get it from ``functions/parts.py``. A subject is imported
with its first use: all of them together take longer than everything else that the first answer of a process waits for.
"""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.settings import Settings
from shared.wiring.core import Core

if TYPE_CHECKING:
    from shared.health import Probe
    from shared.poison import Poison
    from shared.wiring.catalog import CatalogParts
    from shared.wiring.entitlements import EntitlementParts
    from shared.wiring.fulfillment import FulfillmentParts
    from shared.wiring.keys import KeyParts
    from shared.wiring.refunds import RefundParts
    from shared.wiring.seats import SeatParts
    from shared.wiring.store import StoreParts


class Wiring:
    """The parts of one process, by subject."""

    def __init__(self, settings: Settings) -> None:
        self.core = Core(settings)

    @cached_property
    def store(self) -> "StoreParts":
        """The Store's services."""
        from shared.wiring.store import StoreParts

        return StoreParts(self.core)

    @cached_property
    def keys(self) -> "KeyParts":
        """Players' User Store ID keys."""
        from shared.wiring.keys import KeyParts

        async def hurry(user_id: str) -> None:
            await self.fulfillment.intake.hurry(user_id)

        return KeyParts(self.core, self.store, hurry)

    @cached_property
    def entitlements(self) -> "EntitlementParts":
        """What players own and subscribe to."""
        from shared.wiring.entitlements import EntitlementParts

        return EntitlementParts(self.core, self.store, self.keys)

    @cached_property
    def fulfillment(self) -> "FulfillmentParts":
        """Consumables, and players' books."""
        from shared.wiring.fulfillment import FulfillmentParts

        return FulfillmentParts(self.core, self.store, self.keys)

    @cached_property
    def refunds(self) -> "RefundParts":
        """Refunds, chargebacks and reversals."""
        from shared.wiring.refunds import RefundParts

        return RefundParts(self.core, self.store, self.fulfillment.ledger)

    @cached_property
    def catalog(self) -> "CatalogParts":
        """The tenants' catalogues."""
        from shared.wiring.catalog import CatalogParts

        return CatalogParts(self.core, self.store)

    @cached_property
    def seats(self) -> "SeatParts":
        """The tenants' seats."""
        from shared.wiring.seats import SeatParts

        return SeatParts(self.core, self.store, self.catalog.reading)

    @cached_property
    def poison(self) -> "Poison":
        """What was given up on."""
        from shared.wiring.poison import make_poison

        return make_poison(self.core)

    def probes(self) -> "dict[str, Probe]":
        """What readiness looks at."""
        from shared.wiring.probes import make_probes

        return make_probes(self.core, self.store, self.keys, self.catalog)

    async def close(self) -> None:
        """Give back all connections."""
        await self.core.close()
