"""Where the clawback queue is: asked at the Store with the service token (reference, section 8, "SAS token")."""

from shared.auth.entra import Entra
from shared.settings import Identity
from shared.store.errors import StoreCredentialsError
from shared.store.models.purchase import ClawbackQueueAddress
from shared.store.purchase import Purchase


class Addresses:
    """Asks for addresses of the publisher's queue."""

    def __init__(self, identity: Identity, entra: Entra, purchase: Purchase) -> None:
        self._identity = identity
        self._entra = entra
        self._purchase = purchase

    async def find(self) -> ClawbackQueueAddress:
        """A new address; a service token that the Store refuses is replaced once.

        :raises StoreError: see :mod:`shared.store.errors`.
        :raises StorekeeperError: there is no service token.
        """
        token = await self._entra.get_service_token(self._identity)
        try:
            return await self._purchase.get_clawback_queue(token)
        except StoreCredentialsError:
            fresh = await self._entra.get_service_token(self._identity, refused=token)
            if fresh == token:
                raise
            return await self._purchase.get_clawback_queue(fresh)
