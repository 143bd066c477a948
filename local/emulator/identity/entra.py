"""Entra ID: token endpoints v1 and v2 with client credentials, OIDC discovery, JWKS.

Source: store-services reference, section 1, and fixtures ``entra-token-*``. MSAL and ``azure-identity`` work against
it with ``authority=https://localhost:N`` and ``disable_instance_discovery=True``.
"""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from aiohttp import web

from local.emulator.context import Context
from local.emulator.errors import EntraError, entra_error_body, status_name
from local.emulator.identity.audiences import ScopeError, audience_of_resource, audience_of_scope
from local.emulator.identity.clients import authenticate
from local.emulator.identity.tokens import AccessTokens
from local.emulator.service import CLIENT_ID, Route, Service, json_response
from local.emulator.signing import json_web_key_set
from local.emulator.state import App, Tenant


def entra_service(context: Context, tokens: AccessTokens) -> Service:
    """Return the service; its paths begin with a tenant id, so it is registered after all others."""
    entra = _Entra(context, tokens)
    return Service(
        name="entra",
        routes=(
            Route("GET", "/common/discovery/instance", entra.discover_instance),
            Route("POST", "/{tenant}/oauth2/v2.0/token", entra.issue_v2),
            Route("POST", "/{tenant}/oauth2/token", entra.issue_v1),
            Route("GET", "/{tenant}/v2.0/.well-known/openid-configuration", entra.describe_v2),
            Route("GET", "/{tenant}/.well-known/openid-configuration", entra.describe_v1),
            Route("GET", "/{tenant}/discovery/v2.0/keys", entra.list_keys),
        ),
        error_body=_error_body,
        headers=_headers,
    )


@dataclass(frozen=True)
class _Entra:
    context: Context
    tokens: AccessTokens

    async def issue_v2(self, request: web.Request) -> web.Response:
        """``scope`` in, numbers out; no ``resource`` and no ``expires_on`` in the answer."""
        return await self._issue(request, "2.0")

    async def issue_v1(self, request: web.Request) -> web.Response:
        """``resource`` in; every number of the answer is a string."""
        return await self._issue(request, "1.0")

    async def _issue(self, request: web.Request, version: Literal["1.0", "2.0"]) -> web.Response:
        form = {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
        tenant = self._tenant(request)
        app = _app(tenant, form)
        request[CLIENT_ID] = app.client_id
        audience = _audience(tenant, form, version)
        by_assertion = authenticate(self.context, tenant, app, form)
        issued = self.tokens.mint(tenant, app, audience, version, by_certificate=by_assertion)
        # One second less than the token lives, as in every published answer.
        expires_in = issued.expires_on - int(time.time()) - 1
        if version == "2.0":
            numbers = {"expires_in": expires_in, "ext_expires_in": expires_in}
            return json_response({"token_type": "Bearer", **numbers, "access_token": issued.token})
        return json_response(
            {
                "token_type": "Bearer",
                "expires_in": str(expires_in),
                "ext_expires_in": str(expires_in),
                "expires_on": str(issued.expires_on),
                "not_before": str(issued.not_before),
                "resource": form["resource"],
                "access_token": issued.token,
            }
        )

    def _tenant(self, request: web.Request) -> Tenant:
        name = request.match_info["tenant"]
        tenant = self.context.state.tenants.get(name.lower())
        if tenant is None:
            raise EntraError(
                90002, f"Tenant '{name}' not found. Check to make sure you have the correct tenant ID and cloud."
            )
        return tenant

    async def describe_v2(self, request: web.Request) -> web.Response:
        """OIDC discovery of the v2 endpoints."""
        return self._describe(request, "/oauth2/v2.0", "{}/v2.0")

    async def describe_v1(self, request: web.Request) -> web.Response:
        """OIDC discovery of the v1 endpoints."""
        return self._describe(request, "/oauth2", "https://sts.windows.net/{tenant}/")

    def _describe(self, request: web.Request, endpoints: str, issuer: str) -> web.Response:
        tenant = self._tenant(request)
        root = f"{self.context.origin}/{tenant.tenant_id}"
        return json_response(
            {
                "issuer": issuer.format(root, tenant=tenant.tenant_id),
                "authorization_endpoint": f"{root}{endpoints}/authorize",
                "token_endpoint": f"{root}{endpoints}/token",
                "jwks_uri": f"{root}/discovery/v2.0/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                "response_types_supported": ["code", "id_token"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def list_keys(self, request: web.Request) -> web.Response:
        """The public half of the key that signs access tokens."""
        self._tenant(request)
        return json_response(json_web_key_set([self.context.state.entra_key]))

    async def discover_instance(self, _: web.Request) -> web.Response:
        """Instance discovery, for clients that were not told to leave it out."""
        host = urlsplit(self.context.origin).netloc
        return json_response(
            {
                "tenant_discovery_endpoint": f"{self.context.origin}/common/v2.0/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
            }
        )


def _app(tenant: Tenant, form: Mapping[str, str]) -> App:
    grant_type = _parameter(form, "grant_type")
    if grant_type != "client_credentials":
        raise EntraError(70003, f"The app requested an unsupported grant type '{grant_type}'.")
    client_id = _parameter(form, "client_id")
    app = tenant.apps.get(client_id.lower())
    if app is None:
        raise EntraError(
            700016, f"Application with identifier '{client_id}' was not found in the directory '{tenant.name}'."
        )
    return app


def _audience(tenant: Tenant, form: Mapping[str, str], version: Literal["1.0", "2.0"]) -> str:
    if version == "1.0":
        audience = audience_of_resource(_parameter(form, "resource"))
    else:
        scope = _parameter(form, "scope")
        try:
            audience = audience_of_scope(scope)
        except ScopeError as error:
            raise EntraError(
                70011, f"The provided value for the input parameter 'scope' is not valid. The scope {scope}: {error}."
            ) from error
    if audience not in tenant.audiences:
        raise EntraError(
            500011,
            f"The resource principal named {audience} was not found in the tenant named {tenant.name}. This can happen "
            "if the application has not been installed by the administrator of the tenant.",
        )
    return audience


def _parameter(form: Mapping[str, str], name: str) -> str:
    if not form.get(name):
        raise EntraError(900144, f"The request body must contain the following parameter: '{name}'.")
    return form[name]


def _error_body(status: int) -> object:
    correlation_id = str(uuid.uuid4())
    if status == 503:
        text = "A transient error has occurred. Please try again."
        return entra_error_body("temporarily_unavailable", 90033, text, correlation_id)
    return entra_error_body(status_name(status), 90033, "An injected error.", correlation_id)


def _headers(_: web.Request) -> Mapping[str, str]:
    return {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache", "x-ms-request-id": str(uuid.uuid4())}
