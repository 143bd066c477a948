"""What players own and subscribe to."""

from functools import cached_property

from shared.entitlements.change_filing import TABLE as CHANGES_TABLE
from shared.entitlements.change_filing import ChangeFiles
from shared.entitlements.changing import Changes
from shared.entitlements.grant_filing import TABLE as GRANTS_TABLE
from shared.entitlements.grant_filing import GrantFiles
from shared.entitlements.granting import FreeProducts
from shared.entitlements.products import Products
from shared.entitlements.subscriptions import Subscriptions
from shared.storage.tables import Table
from shared.wiring.core import Core
from shared.wiring.keys import KeyParts
from shared.wiring.store import StoreParts


class EntitlementParts:
    """Products, subscriptions and their changes, free products."""

    def __init__(self, core: Core, store: StoreParts, keys: KeyParts) -> None:
        self._core = core
        self._store = store
        self._keys = keys

    @cached_property
    def products(self) -> Products:
        """What players own, live from the Store."""
        return Products(self._keys.current, self._store.collections)

    @cached_property
    def subscriptions(self) -> Subscriptions:
        """What players subscribe to, live from the Store."""
        return Subscriptions(self._keys.current, self._store.purchase)

    @cached_property
    def changes(self) -> Changes:
        """Changes of subscriptions, each carried out once."""
        files = ChangeFiles(Table(self._core.account, CHANGES_TABLE))
        return Changes(self._keys.current, self._store.purchase, self.subscriptions, files)

    @cached_property
    def free_products(self) -> FreeProducts:
        """Free products, each order granted once."""
        files = GrantFiles(Table(self._core.account, GRANTS_TABLE))
        return FreeProducts(self._keys.current, self._store.purchase, files)
