"""Collections and Purchase: renewal and creation of User Store ID keys; their other routes are given.

Source: store-services reference, sections 0, 3 and 4; fixtures ``renew-*``, ``create-key-*`` and ``error-*``.
"""

import base64
import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from local.emulator.errors import StoreError, status_name, store_error_body
from local.emulator.identity.audiences import SERVICE_AUDIENCE
from local.emulator.identity.tokens import AccessTokens, InvalidAccessTokenError, VerifiedToken
from local.emulator.identity.x_tokens import XTokens
from local.emulator.service import CLIENT_ID, Route, Service, json_response
from local.emulator.store.fields import Fields, read_fields
from local.emulator.store.keys import NO_USER_ID, InvalidStoreIdError, KeyContent, StoreIds
from local.emulator.store.kinds import Kind
from local.emulator.store.rate_limit import rate_limited_body

RENEW_PATH = "/v6.0/b2b/keys/renew"


def store_service(
    kind: Kind, tokens: AccessTokens, store_ids: StoreIds, x_tokens: XTokens, routes: tuple[Route, ...]
) -> Service:
    """Return the service under ``/collections`` or ``/purchase``, with ``routes`` beside those of its keys."""
    keys = _Keys(kind, tokens, store_ids, x_tokens)
    return Service(
        name=kind.name,
        routes=(
            Route("POST", f"/{kind.name}{RENEW_PATH}", keys.renew),
            Route("POST", f"/{kind.name}{kind.create_path}", keys.create),
            *routes,
        ),
        error_body=lambda status: _injected(status, kind),
        headers=_headers,
    )


@dataclass(frozen=True)
class _Keys:
    kind: Kind
    tokens: AccessTokens
    store_ids: StoreIds
    x_tokens: XTokens

    async def renew(self, request: web.Request) -> web.Response:
        """``{"serviceTicket", "key"}`` to ``{"key"}``; no Authorization header is asked for.

        An expired key is refused, as it has been since 2024 (reference, section 3). The old key stays valid: whether
        the real one does is not documented, and a client must not rely on either.
        """
        body = await read_fields(request, self.kind.source)
        ticket = self._ticket(request, body, SERVICE_AUDIENCE)
        try:
            old = self.store_ids.verify(body.text("key"), self.kind)
        except InvalidStoreIdError as error:
            raise self._unauthorized("AuthenticationTokenInvalid", f"The key is invalid: {error}.") from error
        if old.client_id != ticket.client_id:
            message = "Client ids of the key and of the token differ."
            raise StoreError(401, self.kind.source, "InconsistentClientId", message, field="clientId")
        return self._key(
            KeyContent(self.kind, old.client_id, old.user_id, old.player, issued_on=time.time(), prefix=old.prefix)
        )

    async def create(self, request: web.Request) -> web.Response:
        """``{"serviceTicket", "publisherUserId"?}`` and an X-token to ``{"key"}``."""
        body = await read_fields(request, self.kind.source)
        player = self.x_tokens.verify(request.headers.get("Authorization", ""), self.kind)
        ticket = self._ticket(request, body, self.kind.ticket_audience)
        user_id = body.text("publisherUserId") if body.get("publisherUserId") is not None else NO_USER_ID
        return self._key(KeyContent(self.kind, ticket.client_id, user_id, player, issued_on=time.time()))

    def _key(self, content: KeyContent) -> web.Response:
        return json_response({"key": self.store_ids.mint(content)})

    def _ticket(self, request: web.Request, body: Fields, audience: str) -> VerifiedToken:
        ticket = body.get("serviceTicket")
        if not isinstance(ticket, str) or not ticket:
            raise self._unauthorized("PartnerAadTicketRequired", "The partner AAD ticket is missing.")
        try:
            verified = self.tokens.verify(ticket, audience)
        except InvalidAccessTokenError as error:
            raise self._unauthorized(
                "AuthenticationTokenInvalid", f"The service ticket is invalid: {error}."
            ) from error
        request[CLIENT_ID] = verified.client_id
        return verified

    def _unauthorized(self, inner_code: str, message: str) -> StoreError:
        return StoreError(401, self.kind.source, inner_code, message)


def _headers(request: web.Request) -> Mapping[str, str]:
    return {
        "MS-CorrelationId": request.headers.get("MS-CorrelationId") or str(uuid.uuid4()),
        "MS-RequestId": str(uuid.uuid4()),
        "MS-CV": base64.b64encode(os.urandom(16)).decode().rstrip("=") + ".0",
    }


def _injected(status: int, kind: Kind) -> object:
    if status == 429:
        return rate_limited_body()
    if status == 500:
        message = "The service has encountered an unknown internal server error."
        return store_error_body(status, kind.source, "UnknownInternalFailure", message)
    if status == 401:
        return store_error_body(
            status, kind.source, "AuthenticationTokenInvalid", "The authentication token is invalid."
        )
    return store_error_body(status, kind.source, status_name(status), "An injected error.")
