"""The clawback queue in Azurite: its address, its events, and messages that nobody should send."""

import base64
import json
import re
import time
import uuid
import xml.etree.ElementTree as ET
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from local import azurite
from tests.emulator.market import Market, inner, opened
from tests.emulator.world import World, fixture, running, shape
from tests.support.polling import eventually

SAS = "/purchase/v8.0/b2b/clawback/sastoken"


@pytest.fixture(scope="module")
async def account(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[azurite.Azurite]:
    async with azurite.running(log=tmp_path_factory.mktemp("azurite") / "azurite.log") as storage:
        yield storage


@pytest.fixture(scope="module")
async def everything(world: World) -> AsyncIterator[Market]:
    async with opened(world) as market:
        store = market.store
        await store.product("GEMS", "Consumable")
        await store.product("POTION", "UnmanagedConsumable")
        await store.product("LEVELS", "Durable")
        await store.product("GIFT", "Durable", price=0)
        await store.product("STARTER", "Durable", contains={"GEMS": 5, "POTION": 1, "LEVELS": 1})
        await store.product("PASS", "Pass")
        yield market


@pytest.fixture
async def market(everything: Market, account: azurite.Azurite) -> AsyncIterator[Market]:
    """With a queue of its own for each test."""
    await everything.store.connect_clawback(account.connection_string, queue=f"q{uuid.uuid4().hex}")
    yield everything
    await everything.store.reset()


async def ask(market: Market, *, token: str | None = None) -> httpx.Response:
    return await market.world.http.get(SAS, headers={"Authorization": f"Bearer {token or market.token}"})


async def address(market: Market) -> str:
    answer = await ask(market)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["uri"])


def messages_of(uri: str) -> str:
    """The address of a queue's messages: its path is extended before the ``?``."""
    queue, sas = uri.split("?")
    return f"{queue}/messages?{sas}"


async def texts(market: Market) -> list[str]:
    """The texts of all messages, which stay where they are."""
    async with httpx.AsyncClient() as http:
        answer = await http.get(f"{messages_of(await address(market))}&peekonly=true&numofmessages=32")
    assert answer.status_code == 200, answer.text
    return [element.text or "" for element in ET.fromstring(answer.text).iter("MessageText")]


async def events(market: Market) -> list[dict[str, Any]]:
    return [json.loads(base64.b64decode(text)) for text in await texts(market)]


def states(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted((event["data"]["productId"], event["data"]["eventState"]) for event in found)


# The address


async def test_the_address_has_the_published_shape(market: Market) -> None:
    answer = (await ask(market)).json()

    assert shape(answer) == shape(fixture("clawback-sastoken-response"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\dZ", answer["expiresOn"])
    expires = time.mktime(time.strptime(answer["expiresOn"], "%Y-%m-%dT%H:%MZ")) - time.timezone
    assert 6 * 3600 - 62 < expires - time.time() <= 6 * 3600
    parameters = httpx.URL(answer["uri"]).params
    assert set(parameters) == set(httpx.URL(fixture("clawback-sastoken-response")["uri"]).params)
    assert parameters["sp"] == "rp"


async def test_with_the_address_messages_are_read_and_deleted_and_nothing_else(market: Market) -> None:
    await market.store.put_message(text="one")
    messages = messages_of(await address(market))
    queue = messages.replace("/messages?", "?")

    async with httpx.AsyncClient() as http:
        got = ET.fromstring((await http.get(f"{messages}&numofmessages=32")).text)
        message_id, receipt = got.findtext(".//MessageId"), got.findtext(".//PopReceipt") or ""
        one = messages.replace("?", f"/{message_id}?")
        body = "<QueueMessage><MessageText>x</MessageText></QueueMessage>"
        put = await http.post(messages, content=body)
        update = await http.put(one, params=_with(one, popreceipt=receipt, visibilitytimeout="60"), content=body)
        clear = await http.delete(messages)
        drop = await http.delete(queue)
        deleted = await http.delete(one, params=_with(one, popreceipt=receipt))
        again = await http.delete(one, params=_with(one, popreceipt=receipt))

    assert [put.status_code, update.status_code, clear.status_code, drop.status_code] == [403] * 4
    assert deleted.status_code == 204
    assert (again.status_code, again.headers["x-ms-error-code"]) == (404, "MessageNotFound")


def _with(address: str, **more: str) -> dict[str, str]:
    return {**httpx.URL(address).params, **more}


async def test_the_address_ends(market: Market, account: azurite.Azurite) -> None:
    await market.store.connect_clawback(account.connection_string, sasLifetimeSeconds=0.5)
    messages = messages_of(await address(market))

    async with httpx.AsyncClient() as http:
        assert (await http.get(messages)).status_code == 200

        async def refused() -> bool:
            return (await http.get(messages)).status_code == 403

        await eventually(refused)
        ended = await http.get(messages)

    assert ended.headers["x-ms-error-code"] == "AuthenticationFailed"


async def test_the_address_is_the_publishers(market: Market) -> None:
    admin = (await market.world.http.get("/_emulator/admin")).json()
    other = await market.world.token(client_id=admin["clientId"], secret=admin["clientSecret"])

    assert inner(await market.world.http.get(SAS)) == (401, "PartnerAadTicketRequired")
    assert inner(await ask(market, token="no.such.token")) == (401, "AuthenticationTokenInvalid")
    assert inner(await ask(market, token=other)) == (404, "EmulatorNoClawbackQueue")
    assert (await market.world.http.post(SAS)).status_code == 405


async def test_the_signature_is_a_secret(market: Market) -> None:
    uri = await address(market)

    known = (await market.world.http.get("/_emulator/secrets-in-use")).json()["secrets"]

    found = {each["value"] for each in known if each["kind"] == "clawbackSignature"}
    assert {httpx.URL(uri).params["sig"], uri.partition("sig=")[2]} <= found


async def test_before_onboarding_there_is_no_queue(market: Market, player: str) -> None:
    order = await market.store.buy(player, "GEMS")
    await market.store.disconnect_clawback()

    assert inner(await ask(market)) == (404, "EmulatorNoClawbackQueue")
    [event] = await market.store.refund(player, order["orderId"])
    assert event in await market.store.events()
    with pytest.raises(RuntimeError, match="no clawback queue"):
        await market.store.put_message(text="x")


@pytest.mark.parametrize("connection", ["", "AccountName=a;AccountKey=YQ==", "nonsense"])
async def test_a_bad_connection_is_named(market: Market, connection: str) -> None:
    with pytest.raises(RuntimeError, match=r"400.*connection string has no"):
        await market.store.connect_clawback(connection)


async def test_a_storage_account_that_is_not_there(market: Market, account: azurite.Azurite) -> None:
    nowhere = account.connection_string.replace(account.queue, "http://127.0.0.1:9/devstoreaccount1")

    with pytest.raises(RuntimeError, match=r"502.*cannot be reached"):
        await market.store.connect_clawback(nowhere)
    assert (await ask(market)).status_code == 200


# Events


async def test_a_refund_of_what_was_not_consumed(market: Market, player: str) -> None:
    order = await market.store.buy(player, "GEMS", 5)

    [event] = await market.store.refund(player, order["orderId"])

    assert shape(event) == shape(fixture("clawback-event-returned-consumable"))
    assert event["source"] == "/Purchase/Refund"
    data = event["data"]
    assert (data["orderId"], data["lineItemId"]) == (order["orderId"], order["lines"][0]["lineItemId"])
    assert (data["productType"], data["eventState"], data["sandboxId"]) == ("Consumable", "Returned", "RETAIL")
    assert data["purchasedDate"] == order["purchasedOn"]
    assert await events(market) == [event]
    assert (await market.books(player))["products"]["RETAIL"]["GEMS"] == {
        "kind": "Consumable",
        "balance": 0,
        "bought": 5,
        "consumed": 0,
        "held": 0,
    }


async def test_a_refund_of_what_was_consumed_in_part(market: Market, player: str) -> None:
    order = await market.store.buy(player, "GEMS", 5)
    await market.consumed(player, "GEMS", 2)
    assert (await market.books(player))["products"]["RETAIL"]["GEMS"]["held"] == 2

    [event] = await market.store.refund(player, order["orderId"])

    assert event["data"]["eventState"] == "Revoked"
    gems = (await market.books(player))["products"]["RETAIL"]["GEMS"]
    assert (gems["balance"], gems["consumed"], gems["held"]) == (0, 2, 0)


async def test_a_refund_that_leaves_the_product_with_the_user(market: Market, player: str) -> None:
    order = await market.store.buy(player, "GEMS", 5)
    await market.consumed(player, "GEMS", 2)

    [event] = await market.store.refund(player, order["orderId"], keep=True)

    assert event["data"]["eventState"] == "Refunded"
    gems = (await market.books(player))["products"]["RETAIL"]["GEMS"]
    assert (gems["balance"], gems["held"]) == (3, 2)


async def test_a_chargeback_and_its_reversal_store_managed(market: Market, player: str) -> None:
    order = await market.store.buy(player, "GEMS", 5)
    await market.consumed(player, "GEMS", 2)

    [revoked] = await market.store.charge_back(player, order["orderId"])
    assert (revoked["source"], revoked["data"]["eventState"]) == ("/Purchase/Chargeback", "Revoked")
    assert (await market.books(player))["products"]["RETAIL"]["GEMS"]["balance"] == 0
    [reversal] = await market.store.reverse_chargeback(player, order["orderId"])

    assert shape(reversal) == shape(fixture("clawback-event-chargeback-reversal"))
    assert (reversal["source"], reversal["data"]["eventState"]) == ("/Purchase/Chargeback", "ChargebackReversal")
    gems = (await market.books(player))["products"]["RETAIL"]["GEMS"]
    assert (gems["balance"], gems["held"]) == (3, 2)


async def test_a_reversal_adds_a_developer_managed_consumable_back_though_it_was_consumed(
    market: Market, player: str
) -> None:
    first = await market.store.buy(player, "POTION")
    await market.consumed(player, "POTION")
    await market.store.buy(player, "POTION")
    await market.store.charge_back(player, first["orderId"])

    await market.store.reverse_chargeback(player, first["orderId"])

    assert (await market.item(player, "POTION"))["quantity"] == 1
    potion = (await market.books(player))["products"]["RETAIL"]["POTION"]
    assert (potion["balance"], potion["held"]) == (2, 1)
    again = await market.consumed(player, "POTION")
    assert again["newQuantity"] == 1
    assert [each["orderId"] for each in again["orderTransactions"]] == [first["orderId"]]
    assert (await market.consumed(player, "POTION"))["newQuantity"] == 0


async def test_only_a_chargeback_is_reversed_and_nothing_is_refunded_twice(market: Market, player: str) -> None:
    order = await market.store.buy(player, "GEMS")
    await market.store.refund(player, order["orderId"])

    with pytest.raises(RuntimeError, match=r"409.*refunded before"):
        await market.store.refund(player, order["orderId"])
    with pytest.raises(RuntimeError, match=r"409.*not charged back"):
        await market.store.reverse_chargeback(player, order["orderId"])
    with pytest.raises(RuntimeError, match=r"409.*no order"):
        await market.store.refund(player, str(uuid.uuid4()))
    assert len(await events(market)) == 1


async def test_a_bundle_gives_one_event_for_itself_and_one_for_each_consumable(market: Market, player: str) -> None:
    order = await market.store.buy(player, "STARTER")
    await market.consumed(player, "GEMS", 1)

    made = await market.store.refund(player, order["orderId"])

    assert shape(made) == shape(json.loads(_fixture_text("clawback-events-bundle-shared-line-item")))
    assert states(made) == [("GEMS", "Revoked"), ("POTION", "Returned"), ("STARTER", "Returned")]
    assert states(await events(market)) == states(made)
    assert {event["data"]["orderId"] for event in made} == {order["orderId"]}
    assert len({event["data"]["lineItemId"] for event in made}) == 1
    assert len({event["id"] for event in made}) == 3


def _fixture_text(name: str) -> str:
    return (Path(__file__).parents[1] / "contract" / "fixtures" / "store-services" / f"{name}.json").read_text()


async def test_a_bundle_is_refunded_in_part(market: Market, player: str) -> None:
    order = await market.store.buy(player, "STARTER")

    [event] = await market.store.refund(player, order["orderId"], products=["POTION"])

    assert event["data"]["productId"] == "POTION"
    products = (await market.books(player))["products"]["RETAIL"]
    assert (products["POTION"]["balance"], products["GEMS"]["balance"]) == (0, 5)


async def test_what_was_free_gives_no_event(market: Market, player: str) -> None:
    order = await market.store.buy(player, "GIFT")

    assert await market.store.refund(player, order["orderId"]) == []


async def test_events_of_sandboxes_are_in_the_same_queue(market: Market, player: str) -> None:
    order = await market.store.buy(player, "POTION", sandbox="XDKS.1")

    await market.store.refund(player, order["orderId"])

    [event] = await events(market)
    assert shape(event) == shape(fixture("clawback-event-developer-managed-sandbox"))
    assert event["data"]["sandboxId"] == "XDKS.1"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"refundType": "Partial", "daysKept": 6}, {"consumedDurationInDays": 6, "refundType": "Partial"}),
        ({}, {"consumedDurationInDays": 0, "refundType": "Full"}),
    ],
)
async def test_a_subscription_is_refunded(
    market: Market, player: str, options: dict[str, object], expected: dict[str, object]
) -> None:
    subscription = await market.store.subscribe(player, "PASS", days=30)

    [event] = await market.store.refund_subscription(subscription["id"], **options)

    assert shape(event) == shape(fixture("clawback-event-subscription-partial"))
    data = event["data"]["recurrenceData"]
    assert data["recurrenceId"] == subscription["id"]
    assert data["durationIntervalStart"] == subscription["periodStart"]
    assert data["durationInDays"] == 30
    assert expected.items() <= data.items()
    assert (await market.item(player, "PASS"))["status"] == "Revoked"


async def test_a_subscription_is_charged_back_and_given_back(market: Market, player: str) -> None:
    subscription = await market.store.subscribe(player, "PASS")
    with pytest.raises(RuntimeError, match=r"409.*not charged back"):
        await market.store.reverse_subscription(subscription["id"])

    [revoked] = await market.store.refund_subscription(subscription["id"], chargeback=True)
    [reversal] = await market.store.reverse_subscription(subscription["id"])

    assert (revoked["source"], reversal["source"]) == ("/Purchase/Chargeback", "/Purchase/Chargeback")
    assert reversal["data"]["eventState"] == "ChargebackReversal"
    assert reversal["data"]["recurrenceData"]["recurrenceId"] == subscription["id"]
    assert (await market.item(player, "PASS"))["status"] == "Active"
    [restored] = (await market.books(player))["recurrences"]
    assert (restored["state"], restored["expiration"]) == ("Active", subscription["expiration"])


async def test_states_in_their_other_spelling(market: Market, player: str) -> None:
    await market.store.set(eventStates="short")
    orders = [await market.store.buy(player, "GEMS") for _ in range(2)]

    [returned] = await market.store.refund(player, orders[0]["orderId"])
    [refunded] = await market.store.refund(player, orders[1]["orderId"], keep=True)

    assert (returned["data"]["eventState"], refunded["data"]["eventState"]) == ("Return", "Refund")


@pytest.mark.parametrize("encoding", ["base64", "base64url"])
@pytest.mark.parametrize("padding", [True, False])
async def test_every_writing_of_base64(market: Market, *, encoding: str, padding: bool) -> None:
    content = {"note": "~?>>>ÿ?", "fill": ""}

    await market.store.put_message(event=content, encoding=encoding, padding=padding)

    [text] = await texts(market)
    assert ("=" in text) == padding
    assert bool(set("-_") & set(text)) == (encoding == "base64url")
    assert bool(set("+/") & set(text)) == (encoding == "base64")
    decoder = base64.urlsafe_b64decode if encoding == "base64url" else base64.b64decode
    assert json.loads(decoder(text + "=" * (-len(text) % 4))) == content


async def test_events_are_written_as_the_settings_say(market: Market, player: str) -> None:
    await market.store.set(eventEncoding="base64url", eventPadding=False)
    orders = await market.store.buy_for_all([f"{player}-{n}" for n in range(3)], "GEMS")
    for order in orders:
        await market.store.refund(order["player"], order["orderId"])

    assert not [text for text in await texts(market) if set("=+/") & set(text)]


async def test_an_event_may_come_twice_late_or_not_at_all(market: Market, player: str) -> None:
    twice, late = [await market.store.buy(player, "GEMS") for _ in range(2)]

    [first] = await market.store.refund(player, twice["orderId"], times=2)
    [second] = await market.store.refund(player, late["orderId"], send=False)
    assert await events(market) == [first, first]
    await market.store.put_message(event=second)

    assert await events(market) == [first, first, second]


async def test_messages_that_nobody_can_decode(market: Market) -> None:
    poison = fixture("clawback-queue-message-poison")["MessageText"]

    await market.store.put_message(text=poison)
    await market.store.put_message(text="<not> base64 & no XML")

    assert await texts(market) == [poison, "<not> base64 & no XML"]
    with pytest.raises(RuntimeError, match="either event or text"):
        await market.store.put_message()


async def test_the_queue_is_the_launchers_to_name_again_after_a_restart(tmp_path: Path) -> None:
    async with running(tmp_path / "state.json") as world, opened(world) as market:
        assert inner(await ask(market)) == (404, "EmulatorNoClawbackQueue")
