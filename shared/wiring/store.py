"""Clients of the Store's services."""

from functools import cached_property

from shared.auth.tokens import StoreIdKind
from shared.errors import NotFoundError
from shared.store.business import BusinessStore
from shared.store.collections import Collections
from shared.store.key_service import KeyService
from shared.store.purchase import Purchase
from shared.store.transport import Transport
from shared.wiring.core import Core


class StoreParts:
    """One client a service; for the Store for Business, one a tenant."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._settings = core.settings
        self._tenants: dict[str, BusinessStore] = {}

    @cached_property
    def collections(self) -> Collections:
        """What players own; its calls and the renewal of its keys share one budget."""
        return Collections(self.publisher_services[StoreIdKind.COLLECTIONS])

    @cached_property
    def purchase(self) -> Purchase:
        """Players' orders and subscriptions; its calls and the renewal of its keys share one budget."""
        return Purchase(self.publisher_services[StoreIdKind.PURCHASE])

    @cached_property
    def key_service(self) -> KeyService:
        """User Store ID keys, made and renewed."""
        return KeyService(self.publisher_services)

    @cached_property
    def publisher_services(self) -> dict[StoreIdKind, Transport]:
        """The services of a kind's keys."""
        return {
            StoreIdKind.COLLECTIONS: self._transport(self._settings.store_collections_url),
            StoreIdKind.PURCHASE: self._transport(self._settings.store_purchase_url),
        }

    def business(self, tenant_id: str) -> BusinessStore:
        """A tenant's Store for Business, one for each tenant.

        :raises NotFoundError: the tenant is not configured.
        """
        store = self._tenants.get(tenant_id)
        if store is None:
            identity = next((each for each in self._settings.business_tenants if each.tenant_id == tenant_id), None)
            if identity is None:
                raise NotFoundError("No such tenant is configured")
            transport = self._transport(self._settings.store_business_url)
            store = self._tenants[tenant_id] = BusinessStore(identity, transport, self._core.entra)
        return store

    @cached_property
    def business_probe(self) -> Transport:
        """The Store for Business, asked whether it is there; no tenant's calls wait for it."""
        return self._core.closing(Transport(self._settings.store_business_url, 1))

    def _transport(self, url: str) -> Transport:
        return self._core.closing(Transport(url, self._settings.store_concurrency))
