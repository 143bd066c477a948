"""What every subject stands on: who calls us, who we are, the vault, the account."""

from functools import cached_property
from typing import Protocol

from shared.auth.app_identity import AppIdentity
from shared.auth.callers import Callers
from shared.auth.entra import Entra
from shared.auth.issuer_keys import IssuerKeys
from shared.auth.vault import Vault
from shared.errors import NotFoundError
from shared.events import QUEUE as EVENTS_QUEUE
from shared.events import Events
from shared.settings import Identity, Settings
from shared.storage.account import Account
from shared.storage.queues import Queue
from shared.storage.sealing import Sealer


class Closable(Protocol):
    """What holds connections."""

    async def close(self) -> None:
        """Give them back."""


class Core:
    """The parts that no subject has for itself alone."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._closables: list[Closable] = []

    def closing[T: Closable](self, part: T) -> T:
        """Have a part closed with the others, before whatever it was made of."""
        self._closables.append(part)
        return part

    async def close(self) -> None:
        """Give back all connections. Azure ends the process instead; tests and tools close."""
        while self._closables:
            await self._closables.pop().close()

    @property
    def publisher(self) -> Identity:
        """The publisher's Entra app.

        :raises NotFoundError: the publisher's half is switched off.
        """
        identity = self.settings.publisher
        if identity is None:
            raise NotFoundError("The publisher's half is switched off: PUBLISHER_CLIENT_ID is empty")
        return identity

    @property
    def tenants(self) -> list[str]:
        """The ids of the tenants of the Store for Business."""
        return [identity.tenant_id for identity in self.settings.business_tenants]

    @cached_property
    def callers(self) -> Callers:
        """Who calls us."""
        return Callers(self.settings.caller_issuers, self.issuer_keys)

    @cached_property
    def issuer_keys(self) -> IssuerKeys:
        """The keys that callers' tokens are signed with."""
        return self.closing(IssuerKeys())

    @cached_property
    def entra(self) -> Entra:
        """Tokens for the Store."""
        return Entra(self.settings, self.vault)

    @cached_property
    def vault(self) -> Vault:
        """Secrets, certificates and data keys."""
        return self.closing(Vault(self.settings, self.app_identity))

    @cached_property
    def app_identity(self) -> AppIdentity:
        """Who the app is."""
        return self.closing(AppIdentity(self.settings))

    @cached_property
    def storage_identity(self) -> AppIdentity:
        """Who it is at the account."""
        client_id = self.settings.storage.client_id
        return self.closing(AppIdentity(self.settings, client_id=client_id)) if client_id else self.app_identity

    @cached_property
    def account(self) -> Account:
        """The storage account."""
        return self.closing(Account(self.settings.storage, self.storage_identity))

    @cached_property
    def sealer(self) -> Sealer:
        """What must not be read is sealed by it."""
        return Sealer(self.vault, self.settings.store_id_data_key)

    @cached_property
    def events(self) -> Events:
        """What others are told."""
        return Events(Queue(self.account, EVENTS_QUEUE))
