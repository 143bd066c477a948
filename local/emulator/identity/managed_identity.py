"""App Service's managed identity endpoint (``IDENTITY_ENDPOINT`` and ``IDENTITY_HEADER``), api-version 2019-08-01.

Its tokens are Entra's v2 tokens of the identity's service principal: with audience ``api://AzureADTokenExchange`` they
serve as the federated credential of an app (store-services reference, section 1).
"""

import secrets
from collections.abc import Mapping

from aiohttp import web

from local.emulator.context import Context
from local.emulator.errors import IdentityError, status_name
from local.emulator.identity.audiences import audience_of_resource
from local.emulator.identity.tokens import AccessTokens
from local.emulator.service import CLIENT_ID, Route, Service, json_response

API_VERSION = "2019-08-01"


def managed_identity_service(context: Context, tokens: AccessTokens) -> Service:
    """Return the service with its one route, ``GET /msi/token?resource&api-version[&client_id]``."""

    async def issue(request: web.Request) -> web.Response:
        identity = context.state.managed_identity
        _check_header(request, identity.header_value)
        resource = _check_query(request.query, identity.client_id)
        tenant = context.state.tenants[identity.tenant_id]
        audience = audience_of_resource(resource)
        if audience not in tenant.audiences:
            raise IdentityError(400, f"AADSTS500011: The resource principal named {audience} was not found.")
        request[CLIENT_ID] = identity.client_id
        issued = tokens.mint(tenant, tenant.apps[identity.client_id], audience, "2.0")
        return json_response(
            {
                "access_token": issued.token,
                "expires_on": str(issued.expires_on),
                "resource": resource,
                "token_type": "Bearer",
                "client_id": identity.client_id,
            }
        )

    return Service(
        name="msi",
        routes=(Route("GET", "/msi/token", issue),),
        error_body=lambda status: {"statusCode": status, "message": status_name(status)},
    )


def _check_header(request: web.Request, expected: str) -> None:
    presented = request.headers.get("X-IDENTITY-HEADER", "")
    if not secrets.compare_digest(presented.encode(), expected.encode()):
        raise IdentityError(401, "X-IDENTITY-HEADER is missing or wrong")


def _check_query(query: Mapping[str, str], client_id: str) -> str:
    if query.get("api-version") != API_VERSION:
        raise IdentityError(400, f"api-version must be {API_VERSION}")
    if query.get("client_id", client_id).lower() != client_id:
        raise IdentityError(400, "No managed identity found for the specified client_id")
    if not query.get("resource"):
        raise IdentityError(400, "resource is required")
    return query["resource"]
