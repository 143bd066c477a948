"""Days on which much goes wrong at once: what is kept is kept, and what was gone comes back by itself."""

import asyncio
from datetime import timedelta
from itertools import islice

import pytest
from azure.data.tables.aio import TableServiceClient
from azure.storage.queue.aio import QueueServiceClient

from local.control import Control
from shared.errors import UnavailableError
from shared.keys.filing import RECORDS_A_COMMIT
from shared.keys.messages import RenewalMessage
from shared.keys.record import StoredKey, shard_of
from shared.keys.renewal import MANY_KEYS
from shared.keys.status import Status
from shared.storage.leases import Lease, Leases
from shared.storage.transactions import Operation
from tests.support.app import Storage, unique
from tests.support.keeping import Keeping
from tests.support.polling import eventually

RENEWALS = "/keys/renew$"
REFUSED = {"status": 401}


class TestAStoreThatRefusesEverybody:
    """All keys of a batch are refused: more likely the Store's trouble than the players'."""

    async def test_nobody_is_declared_dead_on_the_first_day(self, keeping: Keeping, control: Control) -> None:
        crowd = await _crowd(keeping)
        await control.disturb("collections", REFUSED, path=RENEWALS)
        await keeping.renew(crowd[0])

        keys = await _held(keeping, crowd)
        assert {key.status for key in keys} == {Status.ACTIVE}
        assert all(key.sealed and key.doubted for key in keys)

        await control.calm()
        keeping.offset = timedelta(hours=7)
        await keeping.renew(crowd[0])

        renewed = await _held(keeping, crowd)
        assert all(after.issued_on > before.issued_on for after, before in zip(renewed, keys, strict=True))
        assert not any(key.doubted for key in renewed)

    async def test_earlier_failures_do_not_take_the_doubt_away(self, keeping: Keeping, control: Control) -> None:
        crowd = await _crowd(keeping)
        await control.disturb("collections", {"status": 503}, path=RENEWALS)
        await keeping.renew(crowd[0])
        await control.calm()
        await control.disturb("collections", REFUSED, path=RENEWALS)
        keeping.offset = timedelta(hours=1)

        await keeping.renew(crowd[0])

        assert {key.status for key in await _held(keeping, crowd)} == {Status.ACTIVE}

    async def test_keys_that_are_refused_again_are_dead_and_told(self, keeping: Keeping, control: Control) -> None:
        crowd = await _crowd(keeping)
        await control.disturb("collections", REFUSED, path=RENEWALS)
        await keeping.renew(crowd[0])

        keeping.offset = timedelta(hours=7)
        await keeping.renew(crowd[0])

        assert {key.status for key in await _held(keeping, crowd)} == {Status.REISSUE_NEEDED}
        assert len(await keeping.events(crowd[0])) == 1

    async def test_one_that_is_renewed_shows_that_the_others_are_dead(self, keeping: Keeping, control: Control) -> None:
        crowd = await _crowd(keeping)
        await control.disturb("collections", REFUSED, path=RENEWALS, after=1)

        await keeping.renew(crowd[0])

        assert {key.status for key in await _held(keeping, crowd)} == {Status.ACTIVE, Status.REISSUE_NEEDED}


class TestAClockThatIsAhead:
    """Our clock says that keys have expired; the Store, which decides, does not."""

    async def test_a_store_that_does_not_answer_ends_no_key(self, keeping: Keeping, control: Control) -> None:
        user = unique()
        old = await keeping.keep(user)
        keeping.offset = timedelta(days=30, hours=1)
        await control.disturb("collections", {"status": 429, "retryAfter": 1}, path=RENEWALS)
        await keeping.renew(user)
        assert await keeping.opened(user) == old

        await control.calm()
        keeping.offset += timedelta(hours=1)
        await keeping.renew(user)

        assert await keeping.opened(user) != old

    async def test_a_renewed_key_is_not_due_again_at_once(self, keeping: Keeping, control: Control) -> None:
        user = unique()
        await keeping.keep(user)
        keeping.offset = timedelta(days=20)
        since = await control.last_seen()

        await keeping.renew(user)

        assert await control.count(path=RENEWALS, since=since) == 1

    async def test_a_clock_that_is_set_right_again_finds_what_it_renewed_still_to_be_renewed(
        self, keeping: Keeping, control: Control
    ) -> None:
        user = unique()
        old = await keeping.keep(user, issuedDaysAgo=1)
        keeping.offset = timedelta(days=365)
        since = await control.last_seen()

        await keeping.renew(user)
        assert await control.count(path=RENEWALS, since=since) == 1
        keeping.offset = timedelta(0)

        renewed = await keeping.held(user)
        assert await keeping.opened(user) != old
        assert renewed.duty_on == renewed.renew_after < renewed.expires_on

    async def test_but_a_day_without_an_answer_is_enough(self, keeping: Keeping, control: Control) -> None:
        user = unique()
        await keeping.keep(user)
        keeping.offset = timedelta(days=31, hours=1)
        await control.disturb("collections", {"status": 500}, path=RENEWALS)

        await keeping.renew(user)

        assert (await keeping.held(user)).status is Status.EXPIRED
        assert [event["data"]["reason"] for event in await keeping.events(user)] == ["expired"]


class TestWhatIsGone:
    """A table or a queue is deleted under a running app."""

    async def test_a_table_is_missed_and_made_anew(self, keeping: Keeping, storage: Storage) -> None:
        user = unique()
        await keeping.keep(user)
        async with TableServiceClient.from_connection_string(storage.connection_string) as service:
            await service.delete_table(keeping.name)

        with pytest.raises(UnavailableError, match="was gone"):
            await keeping.table.check()

        assert await keeping.files.find(user) is None
        await keeping.keep(user)
        assert await keeping.files.find(user)

    async def test_rows_that_nobody_can_read_hold_nobody_up_however_many_they_are(self, keeping: Keeping) -> None:
        user = unique()
        await keeping.keep(user, issuedDaysAgo=20)
        before = (await keeping.held(user)).issued_on
        shard = shard_of(user)
        for number in range(RECORDS_A_COMMIT + 7):
            row = {"PartitionKey": shard, "RowKey": f"due|2000-01-01T00:00:00Z|{number:03}"}
            await keeping.table.commit([Operation("create", row)])

        await keeping.renew(user)

        assert (await keeping.held(user)).issued_on > before

    async def test_a_queue_is_missed_and_made_anew(self, keeping: Keeping, storage: Storage) -> None:
        await keeping.renewals_queue.send(RenewalMessage("00"))
        async with QueueServiceClient.from_connection_string(storage.connection_string) as service:
            await service.delete_queue(keeping.renewals_queue.name)

        with pytest.raises(UnavailableError, match="was gone"):
            await keeping.renewals_queue.check()

        await keeping.renewals_queue.send(RenewalMessage("00"))
        assert len(await storage.messages(keeping.renewals_queue.name)) == 1


class TestLeases:
    """Who works on a shard."""

    async def test_a_lease_is_prolonged_for_as_long_as_the_work_takes(self, keeping: Keeping) -> None:
        mine, other = (Leases(keeping.table, timedelta(seconds=2)) for _ in range(2))

        async with mine.held("00") as is_mine:
            assert is_mine
            await asyncio.sleep(3.2)
            async with other.held("00") as is_others:
                assert not is_others

        async with other.held("00") as is_others:
            assert is_others

    async def test_a_lease_from_a_clock_that_is_far_ahead_holds_nobody_up(self, keeping: Keeping) -> None:
        ahead = Leases(keeping.table, timedelta(seconds=30), clock=lambda: keeping.clock() + timedelta(hours=1))
        assert await ahead._take(Lease("00"))

        async with Leases(keeping.table, timedelta(seconds=30)).held("00") as is_ours:
            assert is_ours

    async def test_work_that_fails_gives_its_lease_back(self, keeping: Keeping) -> None:
        leases = Leases(keeping.table, timedelta(seconds=30))
        with pytest.raises(ZeroDivisionError):
            async with leases.held("00"):
                _ = 1 / 0

        async with leases.held("00") as is_ours:
            assert is_ours


async def test_players_with_names_that_xml_cannot_write_are_told_too(keeping: Keeping, control: Control) -> None:
    user = f"{unique()}-\ufffe-\U0001f600"
    await control.revoke(await keeping.keep(user, issuedDaysAgo=15))

    await keeping.renew(user)

    events = await eventually(lambda: keeping.events(user))
    assert [event["data"]["userId"] for event in events] == [user]


async def _crowd(keeping: Keeping) -> list[str]:
    """Due keys of more players than can die by chance, all in one shard."""
    names = (f"{keeping.name}-{number}" for number in range(100_000))
    crowd = list(islice((name for name in names if shard_of(name) == "07"), MANY_KEYS + 2))
    for name in crowd:
        await keeping.keep(name, issuedDaysAgo=15)
    return crowd


async def _held(keeping: Keeping, crowd: list[str]) -> list[StoredKey]:
    return [await keeping.held(name) for name in crowd]
