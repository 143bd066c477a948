"""Makes and renews User Store ID keys at the Store (store-services reference, sections 3 and 4)."""

from collections.abc import Mapping

import msgspec

from shared.auth.tokens import CreationToken, ServiceToken, StoreIdKind
from shared.secret import Secret, masked
from shared.store.transport import Transport
from shared.store.user_store_id import RENEWAL_PATH, UserStoreIdKey

_CREATION_PATHS = {
    StoreIdKind.COLLECTIONS: "/v7.0/beneficiaries/me/keys",
    StoreIdKind.PURCHASE: "/v7.0/users/me/keys",
}


class _RenewBody(msgspec.Struct, rename="camel"):
    service_ticket: str
    key: str

    __repr__ = masked


class _CreateBody(msgspec.Struct, rename="camel", omit_defaults=True):
    service_ticket: str
    publisher_user_id: str | None = None

    __repr__ = masked


class _KeyAnswer(msgspec.Struct):
    key: str

    __repr__ = masked


class KeyService:
    """The Store's key operations. Addresses come from settings alone, whatever a key says of itself."""

    def __init__(self, services: Mapping[StoreIdKind, Transport]) -> None:
        self._services = services

    def root(self, kind: StoreIdKind) -> str:
        """Where the service that keys of this kind belong to answers."""
        return self._services[kind].root

    async def renew(self, kind: StoreIdKind, key: UserStoreIdKey, token: ServiceToken) -> UserStoreIdKey:
        """A new key for an old one (section 3). Safe to repeat.

        :raises StoreError: see :mod:`shared.store.errors`.
        """
        body = _RenewBody(token.reveal(), key.reveal())
        answer = await self._services[kind].post(f"renew {kind} key", RENEWAL_PATH, body, _KeyAnswer)
        return UserStoreIdKey(answer.key)

    async def create(
        self, kind: StoreIdKind, x_token: Secret, token: CreationToken, publisher_user_id: str | None
    ) -> UserStoreIdKey:
        """A key for the player whom a delegated X-token names (section 4).

        :raises StoreError: see :mod:`shared.store.errors`.
        """
        body = _CreateBody(token.reveal(), publisher_user_id)
        headers = {"Authorization": x_token.reveal()}
        path = _CREATION_PATHS[kind]
        answer = await self._services[kind].post(f"create {kind} key", path, body, _KeyAnswer, headers=headers)
        return UserStoreIdKey(answer.key)
