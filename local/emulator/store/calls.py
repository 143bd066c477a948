"""Who calls a Store service, and for whom: the bearer token, and the User Store ID key in the body.

Source: store-services reference, section 0.
"""

from dataclasses import dataclass

from aiohttp import web

from local.emulator.errors import StoreError
from local.emulator.identity.audiences import SERVICE_AUDIENCE
from local.emulator.identity.tokens import AccessTokens, InvalidAccessTokenError
from local.emulator.market.account import Account
from local.emulator.market.books import Books
from local.emulator.market.records import RETAIL
from local.emulator.service import CLIENT_ID
from local.emulator.store.fields import Fields, read_fields
from local.emulator.store.keys import InvalidStoreIdError, StoreIds
from local.emulator.store.kinds import Kind
from local.emulator.store.rate_limit import RateLimit


@dataclass(frozen=True)
class Caller:
    """On whose behalf a call is made. ``user_id`` is the publisher's id of the user, as the key has it.

    ``known`` is false for an app that is not listed in Partner Center: it sees nothing of what the user owns, and no
    error either.
    """

    account: Account
    user_id: str
    client_id: str
    known: bool


@dataclass(frozen=True)
class StoreCalls:
    """How one Store service takes its calls."""

    kind: Kind
    tokens: AccessTokens
    store_ids: StoreIds
    books: Books
    limit: RateLimit
    publisher_client_id: str

    def client(self, request: web.Request) -> str:
        """Return the client id of the bearer token.

        :raises StoreError: 401, it is missing or not a service token.
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise self._unauthorized("PartnerAadTicketRequired", "The partner AAD ticket is missing.")
        try:
            verified = self.tokens.verify(token, SERVICE_AUDIENCE)
        except InvalidAccessTokenError as error:
            raise self._unauthorized(
                "AuthenticationTokenInvalid", f"The authentication token is invalid: {error}."
            ) from error
        request[CLIENT_ID] = verified.client_id
        return verified.client_id

    async def purchase_call(self, request: web.Request, *, limited: bool = True) -> tuple[Fields, Caller]:
        """Return the body and the caller of a call that names its user by ``b2bKey``.

        :raises StoreError: 401, 400; :class:`RateLimitedError`.
        """
        client_id = self.client(request)
        fields = await read_fields(request, self.kind.source)
        return fields, self._caller(client_id, fields.text("b2bKey"), limited=limited)

    async def collections_call(self, request: web.Request, *, several: bool) -> tuple[Fields, Caller, str]:
        """Return body, caller and ticket reference of a call that names its user by an identity object.

        It is ``beneficiary``, or with ``several`` the one of the list ``beneficiaries``.

        :raises StoreError: 401, 400; :class:`RateLimitedError`.
        """
        client_id = self.client(request)
        fields = await read_fields(request, self.kind.source)
        if several:
            identities = fields.objects("beneficiaries") or []
            if len(identities) != 1:
                raise fields.wrong("beneficiaries", "must be a list of exactly one user")
            identity = identities[0]
        else:
            identity = fields.object("beneficiary")
        if identity.text("identityType") != "b2b":
            raise identity.wrong("identityType", "must be b2b")
        reference = identity.get("localTicketReference")
        if not isinstance(reference, str):
            raise identity.wrong("localTicketReference", "must be a string")
        return fields, self._caller(client_id, identity.text("identityValue"), limited=True), reference

    def _caller(self, client_id: str, key: str, *, limited: bool) -> Caller:
        try:
            verified = self.store_ids.verify(key, self.kind)
        except InvalidStoreIdError as error:
            raise self._unauthorized("AuthenticationTokenInvalid", f"The key is invalid: {error}.") from error
        if verified.client_id != client_id:
            message = "Client ids of the key and of the token differ."
            raise StoreError(401, self.kind.source, "InconsistentClientId", message, field="clientId")
        # Keys that were made for no user stand for one account, which is named as responses name such a user.
        player = verified.player or verified.user_id
        if limited:
            self.limit.admit(player, client_id)
        known = client_id == self.publisher_client_id
        return Caller(self.books.account(player), verified.user_id, client_id, known)

    def refusal(self, status: int, code: str, message: str, *, field: str | None = None) -> StoreError:
        """Return an error of which only the status is documented; ``code`` begins with ``Emulator``: it is invented."""
        return StoreError(status, self.kind.source, f"Emulator{code}", message, field=field)

    def _unauthorized(self, inner_code: str, message: str) -> StoreError:
        return StoreError(401, self.kind.source, inner_code, message)


def sandbox_of(fields: Fields) -> str:
    """Return the sandbox that a body's ``sbx`` means; absent it is ``RETAIL``."""
    return fields.optional_text("sbx") or RETAIL
