"""Key Vault secrets, as the real ``azure.keyvault.secrets`` client speaks to them (without soft delete).

The first call without a token is answered with the challenge that names authority and resource; clients must be told
``verify_challenge_resource=False``, because the resource is Microsoft's and the host is not. A secret that holds a PEM
stands for a certificate read through its secret.
"""

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from aiohttp import web

from local.emulator.context import Context
from local.emulator.errors import VaultError, status_name, vault_error_body
from local.emulator.identity.audiences import VAULT_AUDIENCE
from local.emulator.identity.tokens import AccessTokens, InvalidAccessTokenError
from local.emulator.seeds import new_secret_version
from local.emulator.service import CLIENT_ID, Route, Service, json_response
from local.emulator.state import SecretVersion, VaultPermission

_NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")
_PAGE_SIZE = 25


class Attributes(msgspec.Struct):
    """Attributes of a secret in a request; times in epoch seconds."""

    enabled: bool | None = None
    nbf: int | None = None
    exp: int | None = None


class SecretUpdate(msgspec.Struct, rename="camel"):
    """Body of ``PATCH``; what is left out stays."""

    content_type: str | None = None
    attributes: Attributes = msgspec.field(default_factory=Attributes)
    tags: dict[str, str] | None = None


class SecretBody(SecretUpdate, rename="camel", kw_only=True):
    """Body of ``PUT``."""

    value: str


def vault_service(context: Context, tokens: AccessTokens) -> Service:
    """Return the service; ``GET`` needs the permission ``get``, everything that changes a secret needs ``set``."""
    vault = _Vault(context, tokens)
    return Service(
        name="vault",
        routes=(
            Route("GET", "/secrets", vault.list_secrets),
            Route("GET", "/secrets/{name}/versions", vault.list_versions),
            Route("GET", "/secrets/{name}", vault.get),
            # The SDK leaves the slash when it asks for the newest version.
            Route("GET", "/secrets/{name}/", vault.get),
            Route("GET", "/secrets/{name}/{version}", vault.get),
            Route("PUT", "/secrets/{name}", vault.set),
            Route("PATCH", "/secrets/{name}/{version}", vault.update),
            Route("DELETE", "/secrets/{name}", vault.delete),
        ),
        error_body=lambda status: vault_error_body(status_name(status), "An injected error."),
    )


@dataclass(frozen=True)
class _Vault:
    context: Context
    tokens: AccessTokens

    async def get(self, request: web.Request) -> web.Response:
        """One version with its value; the newest when none is named."""
        self._authorize(request, "get")
        name, found = self._find(request)
        if not found.enabled:
            message = f"Operation get is not allowed on a disabled secret ({name})."
            raise VaultError(403, "Forbidden", message, inner_code="SecretDisabled")
        return json_response({"value": found.value, **self._bundle(name, found)})

    async def set(self, request: web.Request) -> web.Response:
        """A new version, which becomes the newest; versions before it stay readable."""
        self._authorize(request, "set")
        name = request.match_info["name"]
        if not _NAME.fullmatch(name):
            raise VaultError(
                400, "BadParameter", f"The secret name {name!r} is invalid; it must match {_NAME.pattern}."
            )
        body = await _read(request, SecretBody)
        version = new_secret_version(body.value, body.content_type)
        _apply(version, body)
        self.context.state.vault.setdefault(name, []).append(version)
        self.context.touch()
        return json_response({"value": version.value, **self._bundle(name, version)})

    async def update(self, request: web.Request) -> web.Response:
        """Change attributes of one version; the value cannot be changed."""
        self._authorize(request, "set")
        name, found = self._find(request)
        _apply(found, await _read(request, SecretUpdate))
        found.updated = int(time.time())
        self.context.touch()
        return json_response(self._bundle(name, found))

    async def delete(self, request: web.Request) -> web.Response:
        """Remove all versions at once; a vault without soft delete gives no ``recoveryId``."""
        self._authorize(request, "set")
        name, newest = self._find(request)
        for version in self.context.state.vault.pop(name):
            self.context.secrets.add_withdrawn(version.value)
        self.context.touch()
        return json_response(self._bundle(name, newest))

    async def list_secrets(self, request: web.Request) -> web.Response:
        """Names and attributes of all secrets, in pages."""
        self._authorize(request, "get")
        secrets = sorted(self.context.state.vault.items())
        return self._page(request, [self._bundle(name, versions[-1], versioned=False) for name, versions in secrets])

    async def list_versions(self, request: web.Request) -> web.Response:
        """Attributes of all versions of one secret, oldest first, in pages."""
        self._authorize(request, "get")
        name = request.match_info["name"]
        self._find(request)
        return self._page(request, [self._bundle(name, version) for version in self.context.state.vault[name]])

    def _authorize(self, request: web.Request, permission: VaultPermission) -> None:
        if not request.query.get("api-version"):
            raise VaultError(400, "BadParameter", "api-version is required")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            raise self._challenge("AKV10000: Request is missing a Bearer or PoP token.")
        try:
            verified = self.tokens.verify(token, VAULT_AUDIENCE)
        except InvalidAccessTokenError as error:
            raise self._challenge(f"AKV10022: Invalid token: {error}.") from error
        request[CLIENT_ID] = verified.client_id
        found = self.context.state.find_app(verified.client_id)
        if found is None or permission not in found[1].vault_permissions:
            message = f"Caller is not authorized to perform action on resource. Caller: appid={verified.client_id}"
            raise VaultError(403, "Forbidden", message, inner_code="ForbiddenByRbac")

    def _challenge(self, message: str) -> VaultError:
        authority = f"{self.context.origin}/{self.context.state.publisher_tenant_id}"
        header = f'Bearer authorization="{authority}", resource="{VAULT_AUDIENCE}"'
        return VaultError(401, "Unauthorized", message, headers={"WWW-Authenticate": header})

    def _find(self, request: web.Request) -> tuple[str, SecretVersion]:
        name, wanted = request.match_info["name"], request.match_info.get("version")
        for version in reversed(self.context.state.vault.get(name, [])):
            if wanted in {None, version.version}:
                return name, version
        described = name if wanted is None else f"{name}/{wanted}"
        message = f"A secret with (name/id) {described} was not found in this key vault."
        raise VaultError(404, "SecretNotFound", message)

    def _bundle(self, name: str, version: SecretVersion, *, versioned: bool = True) -> dict[str, object]:
        attributes = {
            "enabled": version.enabled,
            "nbf": version.not_before,
            "exp": version.expires,
            "created": version.created,
            "updated": version.updated,
            "recoveryLevel": "Purgeable",
            "recoverableDays": 0,
        }
        bundle: dict[str, object] = {
            "id": f"{self.context.origin}/secrets/{name}" + (f"/{version.version}" if versioned else ""),
            "attributes": {key: value for key, value in attributes.items() if value is not None},
            "tags": version.tags,
        }
        if version.content_type is not None:
            bundle["contentType"] = version.content_type
        return bundle

    def _page(self, request: web.Request, items: list[dict[str, object]]) -> web.Response:
        size, start = _number(request.query, "maxresults", _PAGE_SIZE, 1), _number(request.query, "$skiptoken", 0, 0)
        query = f"api-version={request.query['api-version']}&$skiptoken={start + size}&maxresults={size}"
        following = f"{self.context.origin}{request.path}?{query}" if start + size < len(items) else None
        return json_response({"value": items[start : start + size], "nextLink": following})


def _number(query: Mapping[str, str], name: str, default: int, least: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal() or int(text) < least:
        raise VaultError(400, "BadParameter", f"{name} must be a number of {least} or more")
    return int(text)


def _apply(version: SecretVersion, changes: SecretUpdate) -> None:
    attributes = changes.attributes
    version.enabled = version.enabled if attributes.enabled is None else attributes.enabled
    version.not_before = version.not_before if attributes.nbf is None else attributes.nbf
    version.expires = version.expires if attributes.exp is None else attributes.exp
    version.content_type = version.content_type if changes.content_type is None else changes.content_type
    version.tags = version.tags if changes.tags is None else changes.tags


async def _read[T](request: web.Request, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except msgspec.DecodeError as error:
        raise VaultError(400, "BadParameter", f"The request body is invalid: {error}") from error
