"""A player's key for a call, now: renewed before use, replaced when it is not taken, told when there is none."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from local.control import Control, Kind
from shared.auth.tokens import ServiceToken, StoreIdKind
from shared.errors import UnavailableError
from shared.keys.current import CurrentKeys, NoKeyError
from shared.keys.filing import Change
from shared.keys.record import shard_of
from shared.keys.renewal import LEASE_DURATION
from shared.keys.status import Status
from shared.storage.leases import Leases
from shared.store.errors import StoreAnswer, StoreCredentialsError, StoreThrottledError, StoreUnknownError
from shared.store.user_store_id import UserStoreIdKey
from tests.support.app import unique
from tests.support.keeping import Keeping

COLLECTIONS, PURCHASE = StoreIdKind.COLLECTIONS, StoreIdKind.PURCHASE
RENEWALS = "/b2b/keys/renew$"


class Watch:
    """A clock of durations that a test moves."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def current(keeping: Keeping, watch: Watch) -> CurrentKeys:
    return current_keys(keeping, watch)


def current_keys(keeping: Keeping, watch: Watch, **parts: Any) -> CurrentKeys:
    """As in an instance of its own."""
    return CurrentKeys(
        keeping.wiring.core.publisher,
        parts.get("files", keeping.files),
        keeping.sealer,
        parts.get("entra", keeping.entra),
        keeping.wiring.store.key_service,
        Leases(keeping.table, LEASE_DURATION, clock=keeping.clock),
        clock=keeping.clock,
        monotonic=watch,
    )


class Store:
    """What a call meets: the keys that it came with, and the errors that it is to raise first."""

    def __init__(self, *errors: Exception | None) -> None:
        self.errors = list(errors)
        self.keys: list[str] = []
        self.tokens: list[ServiceToken] = []

    async def __call__(self, key: UserStoreIdKey, token: ServiceToken) -> str:
        self.keys.append(key.reveal())
        self.tokens.append(token)
        error = self.errors.pop(0) if self.errors else None
        if error:
            raise error
        return "done"


def refusal(inner_code: str = "AuthenticationTokenInvalid") -> StoreCredentialsError:
    return StoreCredentialsError(StoreAnswer("a call", 401, "Unauthorized", inner_code))


async def renewals(control: Control, since: int) -> int:
    return await control.count(path=RENEWALS, since=since)


@pytest.mark.parametrize("kind", ["collections", "purchase"])
async def test_a_call_is_made_with_the_key_of_its_kind(keeping: Keeping, current: CurrentKeys, kind: Kind) -> None:
    user, store = unique(), Store()
    keys: dict[Kind, str] = {"collections": await keeping.keep(user), "purchase": await keeping.keep(user, "purchase")}

    assert await current.use(user, StoreIdKind(kind), store) == "done"

    assert store.keys == [keys[kind]]


class TestNoKey:
    """What only the player's game can help."""

    async def test_who_has_none_is_told_what_to_do(self, keeping: Keeping, current: CurrentKeys) -> None:
        user, store = unique(), Store()
        await keeping.keep(user, "purchase")

        with pytest.raises(NoKeyError) as told:
            await current.use(user, COLLECTIONS, store)

        assert told.value.detail == "A collections key of this user is needed: have the game make one and PUT it"
        assert store.keys == []

    async def test_an_expired_one_is_none(self, keeping: Keeping, current: CurrentKeys) -> None:
        user = unique()
        await keeping.keep(user)
        keeping.offset = timedelta(days=31)

        with pytest.raises(NoKeyError, match="has expired"):
            await current.use(user, COLLECTIONS, Store())

    async def test_a_dead_one_is_none(self, keeping: Keeping, control: Control, current: CurrentKeys) -> None:
        user = unique()
        await control.revoke(await keeping.keep(user, issuedDaysAgo=20))
        await keeping.renew(user)

        with pytest.raises(NoKeyError, match="no longer taken"):
            await current.use(user, COLLECTIONS, Store())

    async def test_one_that_is_another_players_is_none(self, keeping: Keeping, current: CurrentKeys) -> None:
        """A row that was copied to another player does not open there."""
        user, other = unique(), unique()
        await keeping.keep(user)
        await keeping.keep(other)
        stolen = await keeping.files.find(user)
        record = await keeping.files.find(other)
        assert stolen
        assert record
        await keeping.files.apply(Change(record, record.with_key(COLLECTIONS, stolen.keys[COLLECTIONS])))

        with pytest.raises(NoKeyError, match="cannot be opened"):
            await current.use(other, COLLECTIONS, Store())


class TestDue:
    """A key that is due is renewed before it is used."""

    async def test_the_new_key_is_used_and_kept(self, keeping: Keeping, control: Control, current: CurrentKeys) -> None:
        user, store, since = unique(), Store(), await control.last_seen()
        old = await keeping.keep(user, issuedDaysAgo=20)

        for _ in range(2):
            await current.use(user, COLLECTIONS, store)

        assert await renewals(control, since) == 1
        assert old not in store.keys
        assert store.keys == [await keeping.opened(user)] * 2
        assert [row["RowKey"].partition("|")[0] for row in await keeping.rows(user)] == ["due", "user"]

    async def test_many_calls_at_once_renew_it_once(
        self, keeping: Keeping, control: Control, current: CurrentKeys, watch: Watch
    ) -> None:
        user, store, since = unique(), Store(), await control.last_seen()
        await keeping.keep(user, issuedDaysAgo=20)
        instances = [current, current_keys(keeping, watch)]

        await asyncio.gather(*(instances[number % 2].use(user, COLLECTIONS, store) for number in range(40)))

        assert await renewals(control, since) == 1
        assert len(store.keys) == 40

    async def test_while_others_renew_it_is_used_as_it_is(self, keeping: Keeping, current: CurrentKeys) -> None:
        user, store = unique(), Store()
        old = await keeping.keep(user, issuedDaysAgo=20)

        async with Leases(keeping.table, LEASE_DURATION, clock=keeping.clock).held(shard_of(user)):
            await current.use(user, COLLECTIONS, store)

        assert store.keys == [old]

    async def test_a_store_that_does_not_renew_holds_up_nothing_and_is_not_pressed(
        self, keeping: Keeping, control: Control, current: CurrentKeys, watch: Watch
    ) -> None:
        user, store, since = unique(), Store(), await control.last_seen()
        old = await keeping.keep(user, issuedDaysAgo=20)
        await control.disturb("collections", {"status": 500}, path=RENEWALS)

        for _ in range(3):
            await current.use(user, COLLECTIONS, store)
        assert store.keys == [old] * 3
        assert await renewals(control, since) == 1

        await control.calm()
        watch.now += 61
        await current.use(user, COLLECTIONS, store)
        assert store.keys[3] == await keeping.opened(user) != old

    async def test_a_newer_key_that_came_meanwhile_is_not_overwritten(
        self, keeping: Keeping, control: Control, watch: Watch
    ) -> None:
        user = unique()
        await keeping.keep(user, issuedDaysAgo=20)
        newer = await control.store_id("collections", user, issuedDaysAgo=-0.002)

        class HandedInBetween:
            """The player's game hands in a key while ours is being renewed."""

            tries = 0

            def __getattr__(self, name: str) -> Any:
                return getattr(keeping.files, name)

            async def apply(self, change: Any) -> None:
                self.tries += 1
                if self.tries == 1:
                    await keeping.hand_in(user, "collections", newer)
                await keeping.files.apply(change)

        current = current_keys(keeping, watch, files=HandedInBetween())
        await current.use(user, COLLECTIONS, Store())

        assert await keeping.opened(user) == newer

    async def test_a_key_that_was_forgotten_meanwhile_stays_forgotten(self, keeping: Keeping, watch: Watch) -> None:
        user = unique()
        await keeping.keep(user, issuedDaysAgo=20)

        class ForgottenBetween:
            def __getattr__(self, name: str) -> Any:
                return getattr(keeping.files, name)

            async def apply(self, change: Any) -> None:
                await keeping.intake.forget(user, COLLECTIONS)
                await keeping.files.apply(change)

        assert await current_keys(keeping, watch, files=ForgottenBetween()).use(user, COLLECTIONS, Store()) == "done"

        assert await keeping.files.find(user) is None

    async def test_storage_that_is_away_for_a_moment_loses_no_renewed_key(self, keeping: Keeping, watch: Watch) -> None:
        user, store = unique(), Store()
        await keeping.keep(user, issuedDaysAgo=20)

        class AwayOnce:
            tries = 0

            def __getattr__(self, name: str) -> Any:
                return getattr(keeping.files, name)

            async def apply(self, change: Any) -> None:
                self.tries += 1
                if self.tries == 1:
                    raise UnavailableError("storage-tables", "is away")
                await keeping.files.apply(change)

        await current_keys(keeping, watch, files=AwayOnce()).use(user, COLLECTIONS, store)

        assert store.keys == [await keeping.opened(user)]


class TestNotTaken:
    """A 401 says that nothing was carried out, so the call may be made again."""

    async def test_a_fresh_token_is_tried_once(self, keeping: Keeping, current: CurrentKeys) -> None:
        user, store = unique(), Store(refusal("InconsistentClientId"))
        await keeping.keep(user)
        keeping.entra._cache.clear()
        monotonic, keeping.entra._monotonic = keeping.entra._monotonic, lambda: 0.0
        try:
            await keeping.entra.get_service_token(keeping.wiring.core.publisher)
            keeping.entra._monotonic = lambda: 100.0
            assert await current.use(user, COLLECTIONS, store) == "done"
        finally:
            keeping.entra._monotonic = monotonic

        first, second = store.tokens
        assert first != second

    async def test_a_refusal_that_no_key_would_change_stands(
        self, keeping: Keeping, control: Control, current: CurrentKeys
    ) -> None:
        user, since = unique(), await control.last_seen()
        await keeping.keep(user)

        with pytest.raises(StoreCredentialsError, match="InconsistentClientId"):
            await current.use(user, COLLECTIONS, Store(*[refusal("InconsistentClientId")] * 5))

        assert await renewals(control, since) == 0

    async def test_another_key_is_tried_once(self, keeping: Keeping, control: Control, current: CurrentKeys) -> None:
        user, store, since = unique(), Store(refusal()), await control.last_seen()
        old = await keeping.keep(user, issuedDaysAgo=2)

        assert await current.use(user, COLLECTIONS, store) == "done"

        assert store.keys == [old, await keeping.opened(user)]
        assert old != store.keys[1]
        assert await renewals(control, since) == 1

    async def test_and_no_more_than_once(self, keeping: Keeping, control: Control, current: CurrentKeys) -> None:
        user, store, since = unique(), Store(*[refusal()] * 5), await control.last_seen()
        await keeping.keep(user, issuedDaysAgo=2)

        with pytest.raises(StoreCredentialsError):
            await current.use(user, COLLECTIONS, store)

        assert len(store.keys) == 2
        assert await renewals(control, since) == 1

    async def test_a_newer_key_that_is_kept_needs_no_renewal(
        self, keeping: Keeping, control: Control, current: CurrentKeys
    ) -> None:
        user, since = unique(), await control.last_seen()
        await keeping.keep(user, issuedDaysAgo=2)
        newer = await control.store_id("collections", user, issuedDaysAgo=1)

        class HandsIn(Store):
            async def __call__(self, key: UserStoreIdKey, token: ServiceToken) -> str:
                if not self.keys:
                    await keeping.hand_in(user, "collections", newer)
                return await super().__call__(key, token)

        store = HandsIn(refusal())
        await current.use(user, COLLECTIONS, store)

        assert store.keys[1] == newer
        assert await renewals(control, since) == 0

    async def test_a_key_that_is_dead_is_told_and_left_to_the_renewal_to_judge(
        self, keeping: Keeping, control: Control, current: CurrentKeys
    ) -> None:
        user = unique()
        await control.revoke(await keeping.keep(user, issuedDaysAgo=2))

        with pytest.raises(NoKeyError, match="no longer takes"):
            await current.use(user, COLLECTIONS, Store(refusal()))

        assert (await keeping.held(user)).status is Status.ACTIVE
        await keeping.renew(user)
        assert (await keeping.held(user)).status is Status.REISSUE_NEEDED
        assert [event["data"]["reason"] for event in await keeping.events(user)] == ["reissueNeeded"]

    async def test_a_store_that_gives_no_other_key_now_is_an_outage(
        self, keeping: Keeping, control: Control, current: CurrentKeys
    ) -> None:
        user = unique()
        await keeping.keep(user, issuedDaysAgo=2)
        await control.disturb("collections", {"status": 429, "retryAfter": 37}, path=RENEWALS)

        with pytest.raises(UnavailableError) as away:
            await current.use(user, COLLECTIONS, Store(refusal()))

        assert away.value.retry_after == 37

    async def test_while_others_renew_it_is_waited_for(self, keeping: Keeping, current: CurrentKeys) -> None:
        user, store = unique(), Store(refusal())
        await keeping.keep(user, issuedDaysAgo=2)

        async with Leases(keeping.table, LEASE_DURATION, clock=keeping.clock).held(shard_of(user)):
            using = asyncio.ensure_future(current.use(user, COLLECTIONS, store))
            await asyncio.wait([using], timeout=0.7)
            assert not using.done()

        assert await using == "done"
        assert store.keys[1] == await keeping.opened(user)


class TestThrottled:
    """The Store counts a player's calls, and that player alone waits."""

    async def test_nothing_is_sent_for_a_player_until_the_time_is_over(
        self, keeping: Keeping, current: CurrentKeys, watch: Watch
    ) -> None:
        ada, bob = unique("ada"), unique("bob")
        for user in (ada, bob):
            await keeping.keep(user)
            await keeping.keep(user, "purchase")
        throttled = StoreThrottledError(StoreAnswer("a call", 429), 37)
        store = Store(throttled)

        with pytest.raises(StoreThrottledError):
            await current.use(ada, COLLECTIONS, store)
        watch.now += 30
        with pytest.raises(StoreThrottledError) as still:
            await current.use(ada, COLLECTIONS, store)
        assert still.value.retry_after == 7
        assert len(store.keys) == 1

        assert await current.use(bob, COLLECTIONS, store) == "done"
        assert await current.use(ada, PURCHASE, store) == "done"
        watch.now += 8
        assert await current.use(ada, COLLECTIONS, store) == "done"


async def test_what_a_call_meets_is_told_as_it_is(keeping: Keeping, current: CurrentKeys) -> None:
    user = unique()
    await keeping.keep(user)
    error = StoreUnknownError(StoreAnswer("a call", 500))

    with pytest.raises(StoreUnknownError) as told:
        await current.use(user, COLLECTIONS, Store(error))

    assert told.value is error
