"""Control: Entra apps and their credentials, and what a tenant knows."""

import time
from dataclasses import dataclass
from typing import Annotated

import msgspec
from aiohttp import web

from local.emulator.context import Context
from local.emulator.control.input import Input, read_input
from local.emulator.errors import ControlError
from local.emulator.identity.audiences import EXCHANGE_AUDIENCE
from local.emulator.seeds import new_client_secret, new_secret_version
from local.emulator.service import Route, json_response
from local.emulator.signing import new_certificate_pems
from local.emulator.state import App, ClientSecret, FederatedCredential

PEM_CONTENT_TYPE = "application/x-pem-file"


class NewSecret(Input):
    """A further client secret; ``revoke_others`` makes it the only one. Negative lifetimes give an expired one."""

    revoke_others: bool = False
    store_in_vault: str | None = None
    expires_in_seconds: float | None = None


class NewCertificate(Input):
    """The vault secret that takes the PEM of certificate and private key."""

    store_in_vault: str


class TenantChanges(Input):
    """What to change of a tenant; lifetimes of access tokens in seconds."""

    token_lifetime_seconds: Annotated[int, msgspec.Meta(ge=1)] | None = None
    audiences: list[str] | None = None


def app_routes(context: Context) -> tuple[Route, ...]:
    """Return the routes under ``/apps`` and ``/tenants``."""
    apps = _Apps(context)
    return (
        Route("GET", "/_emulator/apps", apps.list_apps),
        Route("POST", "/_emulator/apps/{client_id}/secrets", apps.add_secret),
        Route("POST", "/_emulator/apps/{client_id}/certificates", apps.add_certificate),
        Route("POST", "/_emulator/apps/{client_id}/federated-credentials", apps.add_federated_credential),
        Route("PATCH", "/_emulator/tenants/{tenant_id}", apps.change_tenant),
    )


@dataclass(frozen=True)
class _Apps:
    context: Context

    def _app(self, request: web.Request) -> App:
        client_id = request.match_info["client_id"]
        found = self.context.state.find_app(client_id)
        if found is None:
            raise ControlError(404, f"there is no app {client_id}")
        return found[1]

    def _store(self, name: str, value: str, content_type: str | None = None) -> None:
        self.context.state.vault.setdefault(name, []).append(new_secret_version(value, content_type))

    async def list_apps(self, _: web.Request) -> web.Response:
        """No secret is shown, only how many there are."""
        return json_response(
            {
                "apps": [
                    {
                        "tenantId": tenant.tenant_id,
                        "clientId": each.client_id,
                        "objectId": each.object_id,
                        "name": each.name,
                        "secrets": len(each.secrets),
                        "certificates": len(each.certificates),
                        "federatedCredentials": len(each.federated_credentials),
                        "vaultPermissions": each.vault_permissions,
                    }
                    for tenant in self.context.state.tenants.values()
                    for each in tenant.apps.values()
                ]
            }
        )

    async def add_secret(self, request: web.Request) -> web.Response:
        owner, wanted = self._app(request), await read_input(request, NewSecret)
        expires_on = None if wanted.expires_in_seconds is None else time.time() + wanted.expires_in_seconds
        secret = ClientSecret(value=new_client_secret(), expires_on=expires_on)
        if wanted.revoke_others:
            for old in owner.secrets:
                self.context.secrets.add_withdrawn(old.value)
            owner.secrets.clear()
        owner.secrets.append(secret)
        if wanted.store_in_vault is not None:
            self._store(wanted.store_in_vault, secret.value)
        self.context.touch()
        return json_response({"secret": secret.value})

    async def add_certificate(self, request: web.Request) -> web.Response:
        owner, wanted = self._app(request), await read_input(request, NewCertificate)
        certificate, private = new_certificate_pems(owner.name)
        owner.certificates.append(certificate)
        self._store(wanted.store_in_vault, private + certificate, PEM_CONTENT_TYPE)
        self.context.touch()
        return json_response({"certificate": certificate})

    async def add_federated_credential(self, request: web.Request) -> web.Response:
        """Trusts the emulator's managed identity."""
        owner = self._app(request)
        identity = self.context.state.managed_identity
        subject = self.context.state.tenants[identity.tenant_id].apps[identity.client_id].object_id
        # {origin} rather than the address of today: the port may be another after a restart.
        issuer = f"{{origin}}/{identity.tenant_id}/v2.0"
        credential = FederatedCredential(issuer=issuer, subject=subject, audience=EXCHANGE_AUDIENCE)
        if credential not in owner.federated_credentials:
            owner.federated_credentials.append(credential)
            self.context.touch()
        shown = issuer.replace("{origin}", self.context.origin)
        return json_response({"issuer": shown, "subject": subject, "audience": EXCHANGE_AUDIENCE})

    async def change_tenant(self, request: web.Request) -> web.Response:
        """Token lifetime and known audiences; answers with both, so that a test can put them back."""
        tenant = self.context.state.tenants.get(request.match_info["tenant_id"].lower())
        if tenant is None:
            raise ControlError(404, f"there is no tenant {request.match_info['tenant_id']}")
        wanted = await read_input(request, TenantChanges)
        if wanted.token_lifetime_seconds is not None:
            tenant.token_lifetime_seconds = wanted.token_lifetime_seconds
        if wanted.audiences is not None:
            tenant.audiences = wanted.audiences
        self.context.touch()
        return json_response({"tokenLifetimeSeconds": tenant.token_lifetime_seconds, "audiences": tenant.audiences})
