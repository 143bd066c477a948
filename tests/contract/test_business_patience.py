"""When a call to Store for Business is made again, when it waits, and that no tenant feels another's trouble.

The pauses are real and short: ``Retry-After`` is read as a number of seconds, with a fraction too.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from shared.auth.entra import EntraRefusedError
from shared.errors import UnavailableError
from shared.store import business_calls, pauses
from shared.store.business import BusinessStore
from shared.store.errors import StoreCredentialsError, StoreThrottledError, StoreUnknownError
from shared.store.models.business import SeatAction
from tests.support.business import PRODUCT, LoopbackStore, Said, ScriptedEntra, Sent, all_of, client, identity
from tests.support.fixtures import business
from tests.support.polling import eventually

ADA = "ada@contoso.example"
SEAT = Said(body=business("seat"))


def busy(seconds: object = 0.2, status: int = 429) -> Said:
    return Said(status, b"", {"Retry-After": str(seconds)})


@pytest.fixture(autouse=True)
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(business_calls, "REPEAT_PAUSE", 0.02)


@pytest.fixture
async def server() -> AsyncIterator[LoopbackStore]:
    async with LoopbackStore().running() as server:
        yield server


@pytest.fixture
def entra() -> ScriptedEntra:
    return ScriptedEntra()


@pytest.fixture
async def store(server: LoopbackStore, entra: ScriptedEntra) -> AsyncIterator[BusinessStore]:
    async with client(server.url, entra) as store:
        yield store


def old_token_refused(sent: Sent) -> Said:
    return Said(401) if sent.token.endswith("-1") else SEAT


async def test_a_token_that_is_not_taken_is_replaced_once(
    server: LoopbackStore, store: BusinessStore, entra: ScriptedEntra
) -> None:
    server.says(SEAT)
    await store.get_seat(PRODUCT, ADA)
    entra.ticks += 3600
    server.says(old_token_refused)

    await store.assign_seat(PRODUCT, ADA)
    await store.assign_seat(PRODUCT, ADA)

    assert [sent.token for sent in server.sent] == ["contoso-token-1", "contoso-token-2", "contoso-token-2"]


async def test_a_fresh_token_that_is_not_taken_either_ends_it(
    server: LoopbackStore, store: BusinessStore, entra: ScriptedEntra
) -> None:
    server.says(SEAT)
    await store.get_seat(PRODUCT, ADA)
    entra.ticks += 3600
    server.says(Said(401, {"code": "Unauthorized"}))

    with pytest.raises(StoreCredentialsError, match="Unauthorized"):
        await store.get_seat(PRODUCT, ADA)

    assert [sent.token for sent in server.sent] == ["contoso-token-1", "contoso-token-2"]


async def test_a_token_that_was_only_just_had_is_not_asked_for_again(
    server: LoopbackStore, store: BusinessStore, entra: ScriptedEntra
) -> None:
    server.says(Said(401))

    for _ in range(3):
        with pytest.raises(StoreCredentialsError):
            await store.get_seat(PRODUCT, ADA)

    assert len(server.sent) == 3
    assert entra.requests == ["contoso"]


async def test_a_hundred_calls_with_an_old_token_cost_one_new_one(server: LoopbackStore, entra: ScriptedEntra) -> None:
    async with client(server.url, entra, concurrency=100) as store:
        server.says(SEAT)
        await store.get_seat(PRODUCT, ADA)
        entra.ticks += 3600
        server.says(old_token_refused)

        await asyncio.gather(*(store.get_seat(PRODUCT, ADA) for _ in range(100)))

    assert entra.requests == ["contoso", "contoso"]


@pytest.mark.parametrize("answer", [busy(), busy(status=503)], ids=["429", "503"])
async def test_a_store_that_is_busy_for_a_moment_is_called_again_after_it(
    server: LoopbackStore, store: BusinessStore, answer: Said
) -> None:
    server.says(answer, answer, SEAT)
    started = time.monotonic()

    await store.assign_seat(PRODUCT, ADA)

    assert len(server.sent) == 3
    assert 0.4 <= time.monotonic() - started < 2


async def test_a_store_that_stays_busy_is_called_three_times_more(server: LoopbackStore, store: BusinessStore) -> None:
    server.says(busy(0.01))

    with pytest.raises(StoreThrottledError) as refusal:
        await store.change_seats(PRODUCT, [ADA], SeatAction.ASSIGN)

    assert len(server.sent) == 4
    assert refusal.value.retry_after == 0.01


async def test_a_429_without_a_time_pauses_for_a_time_of_ours(
    server: LoopbackStore, store: BusinessStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.store.business_answers.UNNAMED_PAUSE", 0.2)
    server.says(Said(429), SEAT)
    started = time.monotonic()

    await store.get_seat(PRODUCT, ADA)

    assert time.monotonic() - started >= 0.2


async def test_nobody_is_called_during_a_pause_and_nobody_waits_for_a_long_one(
    server: LoopbackStore, store: BusinessStore
) -> None:
    server.says(busy(3600))

    with pytest.raises(StoreThrottledError) as first:
        await store.get_seat(PRODUCT, ADA)
    with pytest.raises(StoreThrottledError, match="left alone") as second:
        await all_of(store.inventory())

    assert len(server.sent) == 1
    assert first.value.retry_after == 3600
    assert second.value.retry_after is not None
    assert 3590 < second.value.retry_after <= 3600
    assert (second.value.answer.status, second.value.answer.path) == (None, "/V1/Inventory")


async def test_a_pause_that_has_become_short_is_waited_for(server: LoopbackStore) -> None:
    now = time.monotonic()
    passed = 0.0
    async with client(server.url, ScriptedEntra(), monotonic=lambda: now + passed) as store:
        server.says(busy(100), SEAT)
        with pytest.raises(StoreThrottledError):
            await store.get_seat(PRODUCT, ADA)
        passed = 79.0
        with pytest.raises(StoreThrottledError) as refusal:
            await store.get_seat(PRODUCT, ADA)
        assert refusal.value.retry_after == pytest.approx(21)

        passed = 99.9
        waiting = asyncio.ensure_future(store.get_seat(PRODUCT, ADA))
        await asyncio.sleep(0)
        passed = 100.0
        await waiting


async def test_a_call_that_waited_for_its_turn_while_the_pause_began_is_not_sent_into_it(
    server: LoopbackStore,
) -> None:
    async with client(server.url, ScriptedEntra(), concurrency=2) as store:
        server.latency = 0.05
        server.says(busy(0.5), busy(0.5), SEAT)

        calls = asyncio.gather(*(store.get_seat(PRODUCT, ADA) for _ in range(12)))
        await asyncio.sleep(0.4)
        seen_in_pause = len(server.sent)
        await calls

    assert seen_in_pause == 2
    assert len(server.sent) == 14


async def test_who_waits_holds_no_connection(server: LoopbackStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "SPREAD", 0)
    async with client(server.url, ScriptedEntra(), concurrency=1) as store:
        server.says(busy(0.6), SEAT)
        waiting = [asyncio.ensure_future(store.get_seat(PRODUCT, ADA)) for _ in range(5)]
        await eventually(lambda: _seen(server, 1))
        await asyncio.sleep(0.1)

        # The one connection is free: the transport, which knows no pauses, uses it at once.
        before = time.monotonic()
        await store._calls._transport.reach()
        assert time.monotonic() - before < 0.3

        await asyncio.gather(*waiting)


async def _seen(server: LoopbackStore, count: int) -> bool:
    return len(server.sent) >= count and server.in_flight == 0


READS: dict[str, Callable[[BusinessStore], Awaitable[object]]] = {
    "seat": lambda store: store.get_seat(PRODUCT, ADA),
    "page": lambda store: anext(store.seats(PRODUCT)),
}
CHANGES: dict[str, Callable[[BusinessStore], Awaitable[object]]] = {
    "assign": lambda store: store.assign_seat(PRODUCT, ADA),
    "reclaim": lambda store: store.reclaim_seat(PRODUCT, ADA),
    "bulk": lambda store: store.change_seats(PRODUCT, [ADA], SeatAction.ASSIGN),
    "license": lambda store: store.get_offline_license(PRODUCT, "c"),
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("failure", [Said(500), Said(503), Said(200, b"<html>"), None], ids=str)
async def test_a_read_whose_outcome_is_not_known_is_made_twice_more(
    server: LoopbackStore, store: BusinessStore, read: str, failure: Said | None
) -> None:
    def failing(_: Sent) -> Said | None:
        return failure

    server.says(failing, failing, Said(body=business("seats-page-1") | business("seat")))
    await READS[read](store)
    assert len(server.sent) == 3

    server.says(failing)
    with pytest.raises(StoreUnknownError):
        await READS[read](store)
    assert len(server.sent) == 3


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_whose_outcome_is_not_known_is_its_callers_to_repeat(
    server: LoopbackStore, store: BusinessStore, change: str
) -> None:
    server.says(Said(500))

    with pytest.raises(StoreUnknownError):
        await CHANGES[change](store)

    assert len(server.sent) == 1


async def test_no_tenant_feels_that_another_is_throttled_or_misconfigured(
    server: LoopbackStore, entra: ScriptedEntra
) -> None:
    def answer(sent: Sent) -> Said:
        return busy(3600) if sent.token.startswith("throttled") else SEAT

    server.says(answer)
    entra.failures["refused"] = EntraRefusedError("invalid_client", "AADSTS7000215")
    entra.failures["away"] = UnavailableError("entra", "is away")
    async with (
        client(server.url, entra, "throttled") as throttled,
        client(server.url, entra, "refused") as refused,
        client(server.url, entra, "away") as away,
        client(server.url, entra, "well") as well,
    ):
        for _ in range(3):
            with pytest.raises(StoreThrottledError):
                await throttled.get_seat(PRODUCT, ADA)
            with pytest.raises(EntraRefusedError):
                await refused.get_seat(PRODUCT, ADA)
            with pytest.raises(UnavailableError):
                await away.get_seat(PRODUCT, ADA)
            assert (await well.get_seat(PRODUCT, ADA)).assigned_to == ADA

    assert [sent.token for sent in server.sent] == ["throttled-token-1", *["well-token-1"] * 3]
    assert well.tenant_id == identity("well").tenant_id == "well"


async def test_no_tenant_waits_for_the_connections_of_another(server: LoopbackStore, entra: ScriptedEntra) -> None:
    server.says(SEAT)
    async with client(server.url, entra, "slow", concurrency=2) as slow, client(server.url, entra, "well") as well:
        server.latency = 30
        waiting = [asyncio.ensure_future(slow.get_seat(PRODUCT, ADA)) for _ in range(10)]
        await eventually(lambda: _in_flight(server, 2))
        server.latency = 0

        await asyncio.wait_for(well.get_seat(PRODUCT, ADA), 2)

        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def _in_flight(server: LoopbackStore, count: int) -> bool:
    return server.in_flight >= count


async def test_calls_that_were_given_up_leave_their_connections_to_others(
    server: LoopbackStore, entra: ScriptedEntra
) -> None:
    server.says(SEAT)
    async with client(server.url, entra, concurrency=2) as store:
        server.latency = 30
        for _ in range(4):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(store.get_seat(PRODUCT, ADA), 0.05)
        server.latency = 0

        await asyncio.wait_for(asyncio.gather(*(store.get_seat(PRODUCT, ADA) for _ in range(10))), 5)
