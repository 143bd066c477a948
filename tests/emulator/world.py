"""A running emulator and the few calls that most tests make on it."""

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jwt

from local.emulator import Emulator

SERVICE = "https://onestore.microsoft.com"
CREATE = {kind: f"https://onestore.microsoft.com/b2b/keys/create/{kind}" for kind in ("collections", "purchase")}
VAULT = "https://vault.azure.net"
CREATE_PATHS = {
    "collections": "/collections/v7.0/beneficiaries/me/keys",
    "purchase": "/purchase/v7.0/users/me/keys",
}
FIXTURES = Path(__file__).parents[1] / "contract" / "fixtures" / "store-services"


@dataclass
class World:
    """One emulator, a client that trusts it, and the settings it gives to an app."""

    emulator: Emulator
    http: httpx.AsyncClient
    settings: Mapping[str, str]

    @property
    def url(self) -> str:
        return self.emulator.url

    @property
    def ca(self) -> str:
        return str(self.emulator.ca_path)

    @property
    def tenant_id(self) -> str:
        return self.settings["PUBLISHER_TENANT_ID"]

    @property
    def client_id(self) -> str:
        return self.settings["PUBLISHER_CLIENT_ID"]

    async def control(self, path: str, /, **body: object) -> Any:
        """POST to the control API and return the answer, which must be a success."""
        answer = await self.http.post(f"/_emulator/{path}", json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def secret(self) -> str:
        """A fresh client secret of the publisher's app."""
        return str((await self.control(f"apps/{self.client_id}/secrets"))["secret"])

    async def token(self, audience: str = SERVICE, *, client_id: str | None = None, secret: str | None = None) -> str:
        """An access token, of the publisher's app unless another is named."""
        form = {
            "grant_type": "client_credentials",
            "client_id": client_id or self.client_id,
            "client_secret": secret or await self.secret(),
            "scope": f"{audience}/.default",
        }
        answer = await self.http.post(f"/{self.tenant_id}/oauth2/v2.0/token", data=form)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    async def key(self, kind: str = "collections", **wanted: object) -> str:
        """A User Store ID key."""
        return str((await self.control("store-ids", kind=kind, **wanted))["key"])

    async def renew(self, key: str, ticket: str, kind: str = "collections") -> httpx.Response:
        """Ask ``kind``'s service to renew ``key``."""
        return await self.http.post(f"/{kind}/v6.0/b2b/keys/renew", json={"serviceTicket": ticket, "key": key})


@asynccontextmanager
async def running(state: Path, port: int = 0) -> AsyncIterator[World]:
    """An emulator on a free port, stopped at the end."""
    emulator = Emulator(state)
    await emulator.start(port)
    try:
        trust = ssl.create_default_context(cafile=emulator.ca_path)
        async with httpx.AsyncClient(base_url=emulator.url, verify=trust, timeout=20) as http:
            settings = (await http.get("/_emulator/settings")).json()["Values"]
            yield World(emulator, http, settings)
    finally:
        await emulator.stop()


def fixture(name: str) -> Any:
    """A published example of the wire, without the metadata that its keys beginning with ``_`` hold."""
    content: dict[str, object] = json.loads((FIXTURES / f"{name}.json").read_text())
    return {key: value for key, value in content.items() if not key.startswith("_")}


def shape(value: object) -> object:
    """The keys and types of a JSON value; values themselves are left out."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    if isinstance(value, list):
        return [shape(each) for each in value[:1]]
    return type(value).__name__


def claims(token: str) -> dict[str, Any]:
    """What a JWT says, unverified."""
    content: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return content
