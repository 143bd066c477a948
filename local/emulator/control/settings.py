"""Control: what an app needs in order to run against the emulator, and who may administer the vault."""

import json
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from local.emulator.context import Context
from local.emulator.identity.issuers import CALLER_AUDIENCE
from local.emulator.seeds import DATA_KEY_NAME, PUBLISHER_SECRET_NAME
from local.emulator.service import Route, json_response
from local.emulator.state import App


def settings_routes(context: Context, ca_path: Path) -> tuple[Route, ...]:
    """Return ``GET`` of ``/settings``, ``/ca.pem``, ``/admin``, ``/managed-identity`` and ``/health``."""
    settings = _Settings(context, ca_path)
    return (
        Route("GET", "/_emulator/settings", settings.get_settings),
        Route("GET", "/_emulator/ca.pem", settings.get_ca),
        Route("GET", "/_emulator/admin", settings.get_admin),
        Route("GET", "/_emulator/managed-identity", settings.get_managed_identity),
        Route("GET", "/_emulator/health", settings.get_health),
    )


@dataclass(frozen=True)
class _Settings:
    context: Context
    ca_path: Path

    async def get_settings(self, _: web.Request) -> web.Response:
        """In the shape of ``local.settings.json``; ``AzureWebJobsStorage`` is the launcher's to add."""
        return json_response({"IsEncrypted": False, "Values": app_settings(self.context, self.ca_path)})

    async def get_ca(self, _: web.Request) -> web.Response:
        return web.Response(
            text=self.context.state.certificate_authority.certificate_pem, content_type="application/x-pem-file"
        )

    async def get_admin(self, _: web.Request) -> web.Response:
        """The identity that may write to the vault, for the demo and for tests."""
        admin = _app(self.context, self.context.state.admin_client_id)
        return json_response(
            {
                "tenantId": self.context.state.publisher_tenant_id,
                "clientId": admin.client_id,
                "clientSecret": admin.secrets[-1].value,
            }
        )

    async def get_managed_identity(self, _: web.Request) -> web.Response:
        """What App Service would put into the environment of an app with a managed identity."""
        identity = self.context.state.managed_identity
        return json_response(
            {
                "clientId": identity.client_id,
                "objectId": _app(self.context, identity.client_id).object_id,
                "environment": {
                    "IDENTITY_ENDPOINT": f"{self.context.origin}/msi/token",
                    "IDENTITY_HEADER": identity.header_value,
                },
            }
        )

    async def get_health(self, _: web.Request) -> web.Response:
        return json_response({"status": "ok", "url": self.context.origin})


def app_settings(context: Context, ca_path: Path) -> dict[str, str]:
    """Return the settings by name. All values are text, as in every Azure Functions app."""
    state, origin = context.state, context.origin
    app = _app(context, state.app_client_id)
    issuers = [
        {"issuer": f"{origin}/{name}", "audience": CALLER_AUDIENCE, "kind": kind}
        for name, kind in (("players", "player"), ("operators", "operator"))
    ]
    business = [
        {"tenantId": tenant.tenant_id, "clientId": tenant.client_id, "credential": f"secret:{tenant.secret_name}"}
        for tenant in state.business_tenants
    ]
    return {
        "FUNCTIONS_WORKER_RUNTIME": "python",
        "KEY_VAULT_URL": origin,
        "KEY_VAULT_VERIFY_CHALLENGE": "false",
        "ENTRA_AUTHORITY": origin,
        "AZURE_DISABLE_INSTANCE_DISCOVERY": "true",
        "PUBLISHER_TENANT_ID": state.publisher_tenant_id,
        "PUBLISHER_CLIENT_ID": state.publisher_client_id,
        "PUBLISHER_CREDENTIAL": f"secret:{PUBLISHER_SECRET_NAME}",
        "BUSINESS_TENANTS": json.dumps(business),
        "STORE_BUSINESS_URL": f"{origin}/business",
        "STORE_COLLECTIONS_URL": f"{origin}/collections",
        "STORE_PURCHASE_URL": f"{origin}/purchase",
        "STORE_ID_DATA_KEY": DATA_KEY_NAME,
        "CALLER_ISSUERS": json.dumps(issuers),
        "AZURE_TENANT_ID": state.publisher_tenant_id,
        "AZURE_CLIENT_ID": app.client_id,
        "AZURE_CLIENT_SECRET": app.secrets[-1].value,
        "AZURE_AUTHORITY_HOST": origin,
        "SSL_CERT_FILE": str(ca_path),
        "REQUESTS_CA_BUNDLE": str(ca_path),
    }


def _app(context: Context, client_id: str) -> App:
    found = context.state.find_app(client_id)
    if found is None:
        raise LookupError(f"the state has no app {client_id}")
    return found[1]
