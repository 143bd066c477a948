"""The Store's queue behind its SAS address, by the published examples, over a real connection."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web

from shared.auth.tokens import ServiceToken
from shared.secret import Secret
from shared.store.clawback_queue import RENEW_BEFORE, ClawbackQueue, QueueMessage
from shared.store.errors import StoreError, StoreRefusedError, StoreThrottledError, StoreUnknownError
from shared.store.models.purchase import ClawbackQueueAddress
from shared.store.purchase import Purchase
from shared.store.transport import Transport
from tests.support.fixtures import whole, wire

EMPTY = '<?xml version="1.0" encoding="utf-8"?><QueueMessagesList />'
ONE = wire("clawback-queue-get-response-xml")["body"]
SAS = urlsplit(wire("clawback-sastoken-response")["uri"]).query
NOW = datetime(2026, 11, 21, 14, 13, 46, tzinfo=UTC)


@dataclass
class Answer:
    status: int = 200
    body: str = EMPTY
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Azure:
    """A queue service that says what it is told to say, the last answer for ever, and keeps what it was asked."""

    url: str = ""
    answers: list[Answer] = field(default_factory=lambda: [Answer()])
    asked: list[tuple[str, str]] = field(default_factory=list)
    drop: bool = False

    def says(self, *answers: Answer) -> None:
        self.answers = list(answers)

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        answer = self.answers[min(len(self.asked), len(self.answers) - 1)]
        self.asked.append((request.method, request.raw_path))
        if self.drop and request.transport:
            request.transport.close()
        return web.Response(
            status=answer.status, body=answer.body.encode(), headers=answer.headers, content_type="application/xml"
        )


def refusal(name: str) -> Answer:
    """A published error of the queue."""
    content = whole(name)
    return Answer(content["_http"]["status"], content["body"], content["_http"]["headers"])


EXPIRED = refusal("clawback-queue-error-sas-expired")


class Addresses:
    """Gives addresses of the queue, numbered, each good for ``lifetime``."""

    def __init__(self, url: str) -> None:
        self.url, self.given, self.now = url, 0, NOW
        self.lifetime = timedelta(hours=6)

    async def find(self) -> ClawbackQueueAddress:
        self.given += 1
        uri = f"{self.url}/examplequeue?{SAS}&number={self.given}"
        return ClawbackQueueAddress(Secret(uri), self.now + self.lifetime)


@pytest.fixture
async def azure() -> AsyncIterator[Azure]:
    azure = Azure()
    runner = web.ServerRunner(web.Server(azure.handle), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    azure.url = f"http://{host}:{port}"
    yield azure
    await runner.cleanup()


@pytest.fixture
def addresses(azure: Azure) -> Addresses:
    return Addresses(azure.url)


@pytest.fixture
async def queue(addresses: Addresses) -> AsyncIterator[ClawbackQueue]:
    queue = ClawbackQueue(addresses.find, clock=lambda: addresses.now)
    yield queue
    await queue.close()


def message(**changes: Any) -> QueueMessage:
    values: dict[str, Any] = {
        "id": "7df1",
        "text": "e30",
        "pop_receipt": "AgAA+/=",
        "dequeue_count": 1,
        "visible_on": NOW,
    }
    return QueueMessage(**(values | changes))


async def test_the_published_page_is_read(azure: Azure, queue: ClawbackQueue) -> None:
    azure.says(Answer(body=ONE))

    (found,) = await queue.receive(300)

    assert found.id == "7df10000-2c9b-4a09-9913-2e4f843ca439"
    assert found.text == wire("clawback-queue-message-base64")["MessageText"]
    assert found.pop_receipt == "AgAAAAMAAAAAAAAAPLACEHOLDER="
    assert found.dequeue_count == 1
    assert found.visible_on == datetime(2026, 10, 5, 8, 20, tzinfo=UTC)


async def test_a_full_page_is_asked_for_and_the_sas_goes_out_as_it_came(azure: Azure, queue: ClawbackQueue) -> None:
    assert await queue.receive(300) == []

    ((method, target),) = azure.asked
    path, _, query = target.partition("?")
    assert (method, path) == ("GET", "/examplequeue/messages")
    assert query.startswith("numofmessages=32&visibilitytimeout=300&")
    assert f"&{SAS}&number=1" in query


async def test_a_message_is_deleted_by_its_receipt(azure: Azure, queue: ClawbackQueue) -> None:
    azure.says(Answer(204, ""))

    assert await queue.delete(message())

    ((method, target),) = azure.asked
    assert (method, urlsplit(target).path) == ("DELETE", "/examplequeue/messages/7df1")
    assert parse_qs(urlsplit(target).query)["popreceipt"] == ["AgAA+/="]
    assert "popreceipt=AgAA%2B%2F%3D&" in target


@pytest.mark.parametrize("name", ["message-not-found", "pop-receipt-mismatch"])
async def test_a_message_that_others_have_now_is_let_go(azure: Azure, queue: ClawbackQueue, name: str) -> None:
    azure.says(refusal(f"clawback-queue-error-{name}"))

    assert not await queue.delete(message())


async def test_an_expired_address_is_renewed_once(azure: Azure, addresses: Addresses, queue: ClawbackQueue) -> None:
    azure.says(EXPIRED, Answer(body=ONE))

    assert len(await queue.receive(300)) == 1
    assert addresses.given == 2
    assert [target.rpartition("=")[2] for _, target in azure.asked] == ["1", "2"]


async def test_an_address_that_is_refused_anew_is_an_error_without_the_secret(
    azure: Azure, addresses: Addresses, queue: ClawbackQueue
) -> None:
    azure.says(EXPIRED)

    with pytest.raises(StoreRefusedError) as refused:
        await queue.receive(300)

    assert addresses.given == 2
    assert refused.value.answer.code == "AuthenticationFailed"
    assert "sig=" not in f"{refused.value!r} {refused.value}"


async def test_a_delete_renews_the_address_too(azure: Azure, addresses: Addresses, queue: ClawbackQueue) -> None:
    azure.says(EXPIRED, Answer(204, ""))

    assert await queue.delete(message())
    assert addresses.given == 2


async def test_an_address_is_renewed_before_it_ends(addresses: Addresses, queue: ClawbackQueue) -> None:
    await queue.receive(300)
    addresses.now += addresses.lifetime - RENEW_BEFORE - timedelta(seconds=1)
    await queue.receive(300)
    assert addresses.given == 1

    addresses.now += timedelta(seconds=1)
    await queue.receive(300)

    assert addresses.given == 2


async def test_a_short_address_is_used_for_half_its_life(addresses: Addresses, queue: ClawbackQueue) -> None:
    addresses.lifetime = timedelta(minutes=2)
    await queue.receive(300)
    addresses.now += timedelta(seconds=59)
    await queue.receive(300)
    assert addresses.given == 1

    addresses.now += timedelta(seconds=1)
    await queue.receive(300)

    assert addresses.given == 2


async def test_an_address_that_ended_by_our_clock_alone_is_used(addresses: Addresses, queue: ClawbackQueue) -> None:
    addresses.lifetime = timedelta(hours=-1)

    await queue.receive(300)
    await queue.receive(300)

    assert addresses.given == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(503, "", {"x-ms-error-code": "ServerBusy"}), StoreThrottledError),
        (Answer(429, ""), StoreThrottledError),
        (Answer(500, "", {"x-ms-error-code": "InternalError"}), StoreUnknownError),
        (Answer(404, "", {"x-ms-error-code": "QueueNotFound"}), StoreRefusedError),
        (Answer(200, "<QueueMessagesList>"), StoreUnknownError),
        (Answer(200, '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'), StoreUnknownError),
        (Answer(200, ONE.replace("PopReceipt", "Pop")), StoreUnknownError),
        (Answer(200, ONE.replace("Mon, 05 Oct 2026 08:20:00 GMT", "soon")), StoreUnknownError),
    ],
)
async def test_an_error_says_what_is_known(
    azure: Azure, queue: ClawbackQueue, answer: Answer, error: type[StoreError]
) -> None:
    azure.says(answer)

    with pytest.raises(error):
        await queue.receive(300)


async def test_a_broken_connection_is_an_unknown_outcome(azure: Azure, queue: ClawbackQueue) -> None:
    azure.drop = True

    with pytest.raises(StoreUnknownError) as unknown:
        await queue.receive(300)

    assert "sig" not in str(unknown.value)


async def test_a_delete_that_another_cause_refuses_is_an_error(azure: Azure, queue: ClawbackQueue) -> None:
    azure.says(Answer(404, "", {"x-ms-error-code": "QueueNotFound"}))

    with pytest.raises(StoreRefusedError):
        await queue.delete(message())


async def test_the_published_address_is_read_without_its_seconds(azure: Azure) -> None:
    published = wire("clawback-sastoken-response")
    azure.says(Answer(200, json.dumps(published)))
    transport = Transport(azure.url, 1)

    address = await Purchase(transport).get_clawback_queue(ServiceToken("token", NOW))
    await transport.close()

    assert azure.asked == [("GET", "/v8.0/b2b/clawback/sastoken")]
    assert address.uri.reveal() == published["uri"]
    assert address.expires_on == datetime(2026, 11, 21, 20, 13, tzinfo=UTC)
    assert "sig" not in repr(address)
