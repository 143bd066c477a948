"""What goes to the Store's key operations, and how their answers are read, by the published examples.

The client speaks to a real server on loopback that answers with a fixture and keeps what it was sent.
"""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web

from shared.auth.tokens import CreationToken, ServiceToken, StoreIdKind
from shared.correlation import correlated
from shared.secret import Secret
from shared.store.errors import (
    StoreCredentialsError,
    StoreError,
    StoreRefusedError,
    StoreThrottledError,
    StoreUnknownError,
)
from shared.store.key_service import KeyService
from shared.store.transport import Transport
from shared.store.user_store_id import UserStoreIdKey
from tests.support.fixtures import names, whole, wire

EXPIRY = datetime(2026, 11, 21, 15, 0, tzinfo=UTC)
X_TOKEN = Secret("XBL3.0 x=1234567890;PLACEHOLDER.X.TOKEN")
RENEWAL, CREATION = wire("renew-request"), wire("create-key-xsts-request")


@dataclass
class Sent:
    """One request as it came over the wire."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads(self.body)
        return content


@dataclass
class Store:
    """A Store that says what it is told to say. ``url`` stands for both services."""

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    sent: list[Sent] = field(default_factory=list)
    drop: bool = False

    def answers(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        self.status, self.headers = status, dict(headers or {})
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.sent.append(Sent(request.method, request.raw_path, request.headers, await request.read()))
        if self.drop and request.transport:
            request.transport.close()
        return web.Response(status=self.status, headers=self.headers, body=self.body, content_type="application/json")


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    store = Store()
    runner = web.ServerRunner(web.Server(store.handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    store.url = f"http://{host}:{port}"
    yield store
    await runner.cleanup()


@pytest.fixture
async def service(store: Store) -> AsyncIterator[KeyService]:
    transports = {kind: Transport(f"{store.url}/{kind}", 4) for kind in StoreIdKind}
    yield KeyService(transports)
    for transport in transports.values():
        await transport.close()


async def renew(service: KeyService, kind: StoreIdKind = StoreIdKind.COLLECTIONS) -> UserStoreIdKey:
    token = ServiceToken(RENEWAL["serviceTicket"], EXPIRY)
    return await service.renew(kind, UserStoreIdKey(RENEWAL["key"]), token)


async def create(
    service: KeyService, kind: StoreIdKind = StoreIdKind.COLLECTIONS, user_id: str | None = None
) -> UserStoreIdKey:
    return await service.create(kind, X_TOKEN, CreationToken(CREATION["serviceTicket"], EXPIRY), user_id)


@pytest.mark.parametrize("kind", StoreIdKind)
async def test_a_renewal_is_sent_as_published(store: Store, service: KeyService, kind: StoreIdKind) -> None:
    store.answers(200, wire("renew-response"))

    with correlated("c-1"):
        renewed = await renew(service, kind)

    (sent,) = store.sent
    assert renewed.reveal() == wire("renew-response")["key"]
    assert (sent.method, sent.target) == ("POST", f"/{kind}/v6.0/b2b/keys/renew")
    assert sent.json == RENEWAL
    assert sent.headers["Content-Type"] == "application/json"
    assert sent.headers["MS-CorrelationId"] == "c-1"
    assert sent.headers["User-Agent"].startswith("Storekeeper/")
    assert sent.headers["Host"] == store.url.removeprefix("http://")
    assert "Authorization" not in sent.headers
    assert "MS-CV" not in sent.headers


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        (StoreIdKind.COLLECTIONS, "/collections/v7.0/beneficiaries/me/keys"),
        (StoreIdKind.PURCHASE, "/purchase/v7.0/users/me/keys"),
    ],
)
async def test_a_creation_is_sent_as_published(store: Store, service: KeyService, kind: StoreIdKind, path: str) -> None:
    store.answers(200, wire("create-key-xsts-response"))

    created = await create(service, kind, CREATION["publisherUserId"])

    (sent,) = store.sent
    assert created.reveal() == wire("create-key-xsts-response")["key"]
    assert (sent.method, sent.target) == ("POST", path)
    assert sent.json == CREATION
    assert sent.headers["Authorization"] == X_TOKEN.reveal()
    assert sent.headers["Content-Type"] == "application/json"


async def test_a_user_id_that_was_not_given_is_not_sent(store: Store, service: KeyService) -> None:
    store.answers(200, wire("create-key-xsts-response"))

    await create(service)

    assert store.sent[0].json == {"serviceTicket": CREATION["serviceTicket"]}


CLASSES: dict[int, type[StoreError]] = {
    400: StoreRefusedError,
    401: StoreCredentialsError,
    429: StoreThrottledError,
    500: StoreUnknownError,
}


@pytest.mark.parametrize("name", names("error-[0-9]*"))
@pytest.mark.parametrize("call", [renew, create], ids=["renew", "create"])
async def test_every_published_error_is_told_by_its_class(
    store: Store, service: KeyService, name: str, call: Any
) -> None:
    status = int(name.split("-")[1])
    more = {"MS-RequestId": "r-1", **whole(name).get("_http", {}).get("headers", {})}
    store.answers(status, wire(name), more)

    with pytest.raises(StoreError) as refusal:
        await call(service)

    error = refusal.value
    assert type(error) is CLASSES[status]
    assert error.answer.request_id == "r-1"
    assert error.answer.inner_code == wire(name).get("innererror", {}).get("code")
    assert error.retry_after == (37 if status == 429 else None)
    assert len(store.sent) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed_since_the_body_holds_our_token(
    store: Store, service: KeyService, status: int
) -> None:
    store.answers(status, b"", {"Location": f"{store.url}/collections/elsewhere"})

    with pytest.raises(StoreUnknownError):
        await renew(service)

    assert len(store.sent) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"key":null}', b'{"Key":"x"}', b"\xff"])
async def test_a_success_without_a_key_is_an_unknown_outcome(store: Store, service: KeyService, body: bytes) -> None:
    store.answers(200, body)

    with pytest.raises(StoreUnknownError, match="unreadable answer"):
        await renew(service)


async def test_fields_nobody_documented_do_no_harm(store: Store, service: KeyService) -> None:
    store.answers(200, wire("renew-response") | {"more": {"x": [1, None]}})

    assert (await renew(service)).reveal() == wire("renew-response")["key"]


async def test_a_connection_that_breaks_is_an_unknown_outcome_and_the_next_call_works(
    store: Store, service: KeyService
) -> None:
    store.drop = True
    for _ in range(10):  # more than there are connections: none may be lost to a failure
        with pytest.raises(StoreUnknownError, match="no answer"):
            await renew(service)

    store.drop = False
    store.answers(200, wire("renew-response"))

    assert (await renew(service)).reveal() == wire("renew-response")["key"]


async def test_cookies_of_the_store_are_not_sent_back(store: Store, service: KeyService) -> None:
    store.answers(200, wire("renew-response"), {"Set-Cookie": "a=b"})

    for _ in range(5):
        await renew(service)

    assert not any("Cookie" in sent.headers for sent in store.sent)


async def test_no_error_shows_what_was_sent(store: Store, service: KeyService) -> None:
    for status in (400, 401, 429, 500):
        store.answers(status, b"")
        with pytest.raises(StoreError) as refusal:
            await renew(service)
        assert RENEWAL["key"] not in repr(refusal.value) + str(refusal.value)
        assert RENEWAL["serviceTicket"] not in repr(refusal.value) + str(refusal.value)
