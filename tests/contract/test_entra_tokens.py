"""What goes to Entra's token endpoint, and how its answers are read, by the published examples."""

import json
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import trustme
from aiohttp import web

from shared.auth.entra import Entra, EntraRefusedError
from shared.auth.tokens import StoreIdKind
from shared.errors import StorekeeperError, UnavailableError
from tests.support.environ import settings
from tests.support.fixtures import wire
from tests.support.trusting import trusted
from tests.support.vaults import MemoryVault

REQUEST = wire("entra-token-v2-request")["form"]
TENANT = "11111111-2222-4333-8444-555555555555"


@dataclass
class Login:
    """A token endpoint that says what it is told to say."""

    url: str = ""
    answers: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    sent: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        form = parse_qsl((await request.read()).decode("ascii"), strict_parsing=True)
        self.sent.append((request.method, request.raw_path, dict(form)))
        status, body = self.answers[min(len(self.sent), len(self.answers)) - 1]
        return web.json_response(body, status=status)


@pytest.fixture
async def login(tmp_path: Path) -> AsyncIterator[Login]:
    login = Login()
    authority = trustme.CA()
    ca = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(tls)
    runner = web.ServerRunner(web.Server(login.handle))
    await runner.setup()
    await web.TCPSite(runner, "localhost", 0, ssl_context=tls).start()
    login.url = f"https://localhost:{runner.addresses[0][1]}"
    with trusted(str(ca)):
        yield login
    await runner.cleanup()


def entra_of(login: Login, secret: str = REQUEST["client_secret"]) -> tuple[Entra, MemoryVault]:
    vault = MemoryVault(**{"publisher-client-secret": secret})
    changes = {"ENTRA_AUTHORITY": login.url, "AZURE_DISABLE_INSTANCE_DISCOVERY": "true"}
    return Entra(settings(**changes), vault), vault


def identity() -> Any:
    found = settings(PUBLISHER_TENANT_ID=TENANT, PUBLISHER_CLIENT_ID=REQUEST["client_id"]).publisher
    assert found
    return found


async def test_a_token_is_asked_for_as_published(login: Login) -> None:
    login.answers = [(200, wire("entra-token-v2-response"))]
    entra, _ = entra_of(login)

    token = await entra.get_service_token(identity())

    ((method, path, form),) = login.sent
    assert (method, path) == ("POST", f"/{TENANT}/oauth2/v2.0/token")
    assert form == REQUEST
    assert token.reveal() == wire("entra-token-v2-response")["access_token"]
    assert abs(token.expires_on.timestamp() - time.time() - 3599) < 10


@pytest.mark.parametrize("kind", StoreIdKind)
async def test_each_kind_has_its_scope(login: Login, kind: StoreIdKind) -> None:
    login.answers = [(200, wire("entra-token-v2-response"))]
    entra, _ = entra_of(login)

    await entra.get_creation_token(identity(), kind)

    scope = f"https://onestore.microsoft.com/b2b/keys/create/{kind}/.default"
    assert login.sent[0][2] == REQUEST | {"scope": scope}
    if kind is StoreIdKind.COLLECTIONS:
        assert wire("entra-token-v2-request-federated")["form"]["scope"] == scope


@pytest.mark.parametrize("secret", ["a%2Bb", "a+b", "a~b", "a&b=c", "a b", "é"])
async def test_a_secret_arrives_as_it_is_whatever_it_holds(login: Login, secret: str) -> None:
    login.answers = [(200, wire("entra-token-v2-response"))]
    entra, _ = entra_of(login, secret)

    await entra.get_service_token(identity())

    assert login.sent[0][2]["client_secret"] == secret


async def test_numbers_may_come_as_texts(login: Login) -> None:
    login.answers = [(200, wire("entra-token-v1-response") | {"expires_on": str(int(time.time()) + 3599)})]
    entra, _ = entra_of(login)

    token = await entra.get_service_token(identity())

    assert abs(token.expires_on.timestamp() - time.time() - 3599) < 10


@pytest.mark.parametrize(
    ("name", "status", "expected", "said", "calls"),
    [
        ("entra-token-error-invalid-client", 401, EntraRefusedError, "invalid_client: AADSTS7000215", 2),
        ("entra-token-error-invalid-resource", 400, EntraRefusedError, "invalid_resource: AADSTS500011", 1),
        ("entra-token-error-temporarily-unavailable", 400, UnavailableError, "entra: temporarily_unavailable", 1),
    ],
)
async def test_every_published_error_is_told(
    login: Login, name: str, status: int, expected: type[StorekeeperError], said: str, calls: int
) -> None:
    login.answers = [(status, wire(name))]
    entra, vault = entra_of(login)

    with pytest.raises(expected) as refusal:
        await entra.get_service_token(identity())

    assert said in refusal.value.detail
    assert "Trace ID" not in refusal.value.detail
    assert json.dumps(REQUEST["client_secret"]) not in refusal.value.detail
    assert len(login.sent) == calls
    assert [fresh for _, _, fresh in vault.reads] == [False, True][:calls]


async def test_a_secret_rotated_in_the_vault_is_used_at_once(login: Login) -> None:
    login.answers = [
        (401, wire("entra-token-error-invalid-client")),
        (200, wire("entra-token-v2-response")),
    ]
    entra, vault = entra_of(login, "the-old-one")
    vault.put("publisher-client-secret", "the-new-one")

    assert (await entra.get_service_token(identity())).reveal()
    assert len(login.sent) == 2
