"""Keys are kept alive: what is due is renewed, what is dead is told, and nothing is lost on the way."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import pytest
from azure.identity.aio import ClientSecretCredential
from azure.keyvault.secrets.aio import SecretClient

from local.control import Control, Kind
from shared.auth.entra import Entra
from shared.auth.tokens import ServiceToken, StoreIdKind
from shared.auth.vault import TIME_TO_LIVE, Vault
from shared.errors import UnavailableError
from shared.keys.record import SHARDS, shard_of
from shared.keys.sealing import KeySealer
from shared.keys.status import Status
from shared.secret import Secret
from shared.settings import Settings, StorageAccount
from shared.storage.account import Account
from shared.storage.leases import Lease
from shared.storage.queues import Queue
from shared.storage.sealing import Sealer
from shared.wiring import Wiring
from tests.support.app import unique
from tests.support.keeping import Keeping
from tests.support.polling import eventually
from tests.support.vaults import MemoryVault, new_data_key

DUE: dict[str, Any] = {"issuedDaysAgo": 15}
KINDS: list[Kind] = ["collections", "purchase"]
RENEWALS = "/keys/renew$"


async def renewals(control: Control, since: int) -> int:
    """How many renewals the Store was asked for."""
    return await control.count(path=RENEWALS, since=since)


def issued(key: str) -> datetime:
    return datetime.fromtimestamp(jwt.decode(key, options={"verify_signature": False})["iat"], UTC)


class TestDue:
    """What is due is renewed, and nothing else."""

    async def test_a_due_key_is_renewed_and_filed_anew(self, keeping: Keeping) -> None:
        user = unique()
        old = await keeping.keep(user, **DUE)

        await keeping.renew(user)

        held, new = await keeping.held(user), await keeping.opened(user)
        assert new != old
        assert held.status is Status.ACTIVE
        assert held.issued_on == issued(new) > issued(old)
        assert held.expires_on - held.issued_on == timedelta(days=30)
        assert held.duty_on == held.renew_after >= held.issued_on + timedelta(days=14)
        due, own = await keeping.rows(user)
        assert due["RowKey"].startswith("due|")
        assert own["filedUnder"] == due["RowKey"]
        assert await keeping.events(user) == []

    async def test_a_fresh_key_is_left_alone(self, keeping: Keeping, control: Control) -> None:
        user = unique()
        old = await keeping.keep(user, issuedDaysAgo=13)
        since = await control.last_seen()

        await keeping.renew(user)

        assert await keeping.opened(user) == old
        assert await renewals(control, since) == 0

    async def test_of_two_kinds_only_the_due_one_is_renewed(self, keeping: Keeping) -> None:
        user = unique()
        fresh = await keeping.keep(user, "collections", issuedDaysAgo=1)
        old = await keeping.keep(user, "purchase", **DUE)

        await keeping.renew(user)

        assert await keeping.opened(user, "collections") == fresh
        assert await keeping.opened(user, "purchase") != old
        assert len(await keeping.rows(user)) == 2

    @pytest.mark.parametrize("prefix", ["http", "https"])
    async def test_a_renewed_key_keeps_the_players_id(self, keeping: Keeping, prefix: str) -> None:
        user = unique()
        await keeping.keep(user, "purchase", claimPrefix=prefix, **DUE)

        await keeping.renew(user)

        claims = jwt.decode(await keeping.opened(user, "purchase"), options={"verify_signature": False})
        assert next(claims[name] for name in claims if name.endswith("/userId")) == user

    async def test_a_shard_of_many_is_renewed_to_the_last(self, keeping: Keeping, control: Control) -> None:
        users = [name for name in (f"crowd-{number}" for number in range(8_000)) if shard_of(name) == "07"][:80]
        keys = await asyncio.gather(*(control.store_id("collections", user, **DUE) for user in users))
        await asyncio.gather(
            *(keeping.hand_in(user, "collections", key) for user, key in zip(users, keys, strict=True))
        )
        since = await control.last_seen()

        done = await keeping.renewal().renew_shard("07")

        assert len(users) == 80
        assert done >= 80
        assert await renewals(control, since) == 80
        assert not [user for user in users if (await keeping.held(user)).attempts]
        assert not await keeping.files.has_due("07", keeping.clock())

    async def test_the_planner_finds_every_shard_with_something_due_and_no_other(self, keeping: Keeping) -> None:
        users = [unique() for _ in range(5)]
        for user in users:
            await keeping.keep(user, **DUE)
        await keeping.keep(unique())

        planned = await keeping.renewal().plan()

        shards = sorted({shard_of(user) for user in users})
        messages = await keeping.storage.messages(keeping.renewals_queue.name)
        assert planned == len(shards)
        assert sorted(messages) == sorted(f'{{"shard":"{shard}","version":1}}' for shard in shards)

    async def test_two_planners_and_repeated_messages_cost_no_second_renewal(
        self, keeping: Keeping, control: Control
    ) -> None:
        user = unique()
        await keeping.keep(user, **DUE)
        since = await control.last_seen()

        await asyncio.gather(keeping.renewal().plan(), keeping.renewal().plan())
        await asyncio.gather(*(keeping.renewal().renew_shard(shard_of(user)) for _ in range(5)))
        await keeping.renew(user)

        assert len(await keeping.storage.messages(keeping.renewals_queue.name)) == 2
        assert await renewals(control, since) == 1

    async def test_every_shard_can_be_worked_on(self, keeping: Keeping) -> None:
        assert (
            await asyncio.gather(*(keeping.renewal().renew_shard(f"{shard:02x}") for shard in range(SHARDS)))
            == [0] * SHARDS
        )

    async def test_a_newer_key_handed_in_meanwhile_is_not_overwritten(self, keeping: Keeping, control: Control) -> None:
        user = unique()
        await keeping.keep(user, **DUE)
        await control.disturb("collections", {"latencyMs": 600}, path=RENEWALS)
        newer = await control.store_id("collections", user, issuedDaysAgo=-0.002)

        working = asyncio.create_task(keeping.renew(user))
        await asyncio.sleep(0.2)
        await keeping.hand_in(user, "collections", newer)
        await working

        assert await keeping.opened(user) == newer
        assert len(await keeping.rows(user)) == 2

    async def test_a_renewed_key_survives_a_change_of_the_other_kind(self, keeping: Keeping, control: Control) -> None:
        user = unique()
        old = await keeping.keep(user, **DUE)
        await control.disturb("collections", {"latencyMs": 600}, path=RENEWALS)

        working = asyncio.create_task(keeping.renew(user))
        await asyncio.sleep(0.2)
        purchase = await keeping.keep(user, "purchase")
        await working

        assert await keeping.opened(user) != old
        assert await keeping.opened(user, "purchase") == purchase
        assert len(await keeping.rows(user)) == 2

    async def test_a_key_forgotten_meanwhile_stays_forgotten(self, keeping: Keeping, control: Control) -> None:
        user = unique()
        await keeping.keep(user, **DUE)
        await control.disturb("collections", {"latencyMs": 600}, path=RENEWALS)

        working = asyncio.create_task(keeping.renew(user))
        await asyncio.sleep(0.2)
        await keeping.intake.forget(user, StoreIdKind.COLLECTIONS)
        await working

        assert await keeping.rows(user) == []


class TestDead:
    """A dead key is marked, not kept, and its owner is told exactly once."""

    async def told_once(self, keeping: Keeping, user: str, kind: Kind, reason: str) -> None:
        for _ in range(3):
            await keeping.renew(user)
            keeping.offset += timedelta(days=1)
        held = await keeping.held(user, kind)
        assert held.status == reason
        assert held.sealed is None
        assert held.duty_on is None
        (event,) = await keeping.events(user)
        assert event.keys() == {
            "id",
            "specversion",
            "type",
            "source",
            "subject",
            "time",
            "datacontenttype",
            "data",
        }
        assert UUID(event["id"])
        assert event["specversion"] == "1.0"
        assert event["type"] == "storekeeper.store-id.reissue-needed"
        assert event["subject"] == f"users/{user}/store-ids/{kind}"
        assert event["data"]["reason"] == reason
        assert (event["data"]["userId"], event["data"]["kind"]) == (user, kind)

    @pytest.mark.parametrize("kind", KINDS)
    async def test_a_revoked_key(self, keeping: Keeping, control: Control, kind: Kind) -> None:
        user = unique()
        await control.revoke(await keeping.keep(user, kind, **DUE))

        await self.told_once(keeping, user, kind, "reissueNeeded")

    async def test_a_key_of_a_certificate_that_was_retired(self, keeping: Keeping, control: Control) -> None:
        user = unique()
        await keeping.keep(user, **DUE)
        await control.rotate_signing_certificate(retire_old=True)

        await self.told_once(keeping, user, "collections", "reissueNeeded")

    async def test_an_expired_key(self, keeping: Keeping) -> None:
        user = unique()
        await keeping.keep(user, issuedDaysAgo=15, lifetimeDays=15 + 2 / 86_400)

        async def expired() -> bool:
            return (await keeping.held(user)).expires_on <= datetime.now(UTC)

        await eventually(expired)

        await self.told_once(keeping, user, "collections", "expired")

    async def test_our_clock_alone_does_not_kill_a_key(self, keeping: Keeping) -> None:
        user = unique()
        old = await keeping.keep(user, issuedDaysAgo=15, lifetimeDays=15.01)
        keeping.offset = timedelta(hours=1)
        assert (await keeping.held(user)).status_at(keeping.clock()) is Status.EXPIRED

        await keeping.renew(user)

        assert (await keeping.held(user)).status is Status.ACTIVE
        assert await keeping.opened(user) != old

    async def test_a_new_key_of_the_game_replaces_a_dead_one(self, keeping: Keeping, control: Control) -> None:
        user = unique()
        old = await keeping.keep(user, **DUE)
        await control.revoke(old)
        await keeping.renew(user)

        again = await keeping.hand_in(user, "collections", old)
        assert again.key.status is Status.REISSUE_NEEDED

        await keeping.keep(user)
        assert (await keeping.held(user)).status is Status.ACTIVE

    async def test_an_owner_is_told_although_the_queue_was_away(self, keeping: Keeping, control: Control) -> None:
        user = unique()
        await control.revoke(await keeping.keep(user, **DUE))
        nowhere = Account(StorageAccount(Secret(NOWHERE), None), keeping.wiring.core.app_identity)
        away = keeping.renewal(events_queue=Queue(nowhere, "store-events"))

        await away.renew_shard(shard_of(user))
        held = await keeping.held(user)
        assert held.unannounced
        assert await keeping.events(user) == []
        await nowhere.close()

        keeping.offset += timedelta(days=1)
        await self.told_once(keeping, user, "collections", "reissueNeeded")

    async def test_the_event_has_the_same_id_when_it_is_sent_again(self, keeping: Keeping, control: Control) -> None:
        """A worker that dies between the event and its note sends it again."""
        user = unique()
        await control.revoke(await keeping.keep(user, **DUE))
        shard = shard_of(user)
        renewal = keeping.renewal()
        token = await keeping.entra.get_service_token(keeping.wiring.core.publisher)
        await renewal._work_on(await keeping.files.due(shard, keeping.clock(), 1), token)
        duties = await keeping.files.due(shard, keeping.clock(), 1)

        for _ in range(2):
            await keeping.renewal()._announce(_duty(duties[0]))

        first, second = await keeping.events(user)
        assert first["id"] == second["id"]


def _duty(record: Any) -> Any:
    from shared.keys.renewal import _Duty  # noqa: PLC0415 - one test's look inside

    ((kind, key),) = record.keys.items()
    return _Duty(record.user_id, kind, key)


NOWHERE = (
    "DefaultEndpointsProtocol=http;AccountName=a;AccountKey=a2V5;"
    "QueueEndpoint=http://127.0.0.1:9/a;TableEndpoint=http://127.0.0.1:9/a;"
)


class TestTrouble:
    """Whatever the Store does, a good key is kept, and renewed when it is calm."""

    @pytest.mark.parametrize(
        ("effect", "at_least"),
        [
            ({"status": 429, "retryAfter": 3600}, timedelta(hours=1)),
            ({"status": 429}, timedelta(minutes=1)),
            ({"status": 500}, timedelta(minutes=2)),
            ({"status": 503, "retryAfter": 1800}, timedelta(minutes=30)),
            ({"status": 503, "when": "after"}, timedelta(minutes=2)),
            ({"status": 400}, timedelta(minutes=2)),
            ({"status": 403}, timedelta(minutes=2)),
            ({"status": 404}, timedelta(minutes=2)),
            ({"status": 302}, timedelta(minutes=2)),
            ({"status": 200, "body": "not json"}, timedelta(minutes=2)),
            ({"status": 200, "body": {"key": "not a key"}}, timedelta(minutes=2)),
            ({"drop": "before"}, timedelta(minutes=2)),
            ({"drop": "after"}, timedelta(minutes=2)),
        ],
        ids=str,
    )
    async def test_the_key_is_kept_the_duty_is_moved_and_done_when_calm(
        self, keeping: Keeping, control: Control, effect: dict[str, Any], at_least: timedelta
    ) -> None:
        user = unique()
        old = await keeping.keep(user, **DUE)
        await control.disturb("collections", effect, path=RENEWALS)

        before = keeping.clock()
        await keeping.renew(user)

        held = await keeping.held(user)
        assert await keeping.opened(user) == old
        assert held.status is Status.ACTIVE
        assert held.attempts == 1
        assert held.duty_on
        assert at_least - timedelta(seconds=1) <= held.duty_on - before <= timedelta(hours=13)
        assert await keeping.events(user) == []

        await control.calm()
        keeping.offset = timedelta(hours=14)
        await keeping.renew(user)

        assert await keeping.opened(user) != old
        assert (await keeping.held(user)).attempts == 0

    async def test_one_players_trouble_does_not_hold_up_the_others(self, keeping: Keeping, control: Control) -> None:
        users = [name for name in (f"mixed-{number}" for number in range(2_000)) if shard_of(name) == "11"][:6]
        keys = {user: await keeping.keep(user, **DUE) for user in users}
        await control.disturb("collections", {"status": 500}, path=RENEWALS, times=3)

        await keeping.renewal().renew_shard("11")

        renewed = [user for user in users if await keeping.opened(user) != keys[user]]
        assert len(renewed) == 3
        assert sorted([(await keeping.held(user)).attempts for user in users]) == [0, 0, 0, 1, 1, 1]

    async def test_a_key_of_another_kind_or_client_in_return_is_not_taken(
        self, keeping: Keeping, control: Control
    ) -> None:
        for changes in ({"kind": "purchase"}, {"clientId": "99999999-9999-4999-8999-999999999999"}):
            user = unique()
            old = await keeping.keep(user, **DUE)
            wrong = await control.store_id(**{"kind": "collections", "user": user, **changes})  # type: ignore[arg-type]
            await control.disturb("collections", {"status": 200, "body": {"key": wrong}}, path=RENEWALS)

            await keeping.renew(user)
            await control.calm()

            assert await keeping.opened(user) == old

    async def test_a_service_token_that_went_bad_is_replaced_and_the_key_is_renewed(
        self, keeping: Keeping, wiring: Wiring
    ) -> None:
        """What the Store says of a bad token is what it says of a dead key: only a fresh token tells them apart."""
        user = unique()
        old = await keeping.keep(user, **DUE)

        class Spoilt(Entra):
            """Gives a token that no service takes, until it hears that it was refused."""

            async def get_service_token(self, identity: Any, *, refused: ServiceToken | None = None) -> ServiceToken:
                good = await super().get_service_token(identity)
                return good if refused else ServiceToken("bad.token.here", good.expires_on)

        entra = Spoilt(wiring.core.settings, wiring.core.vault)
        await keeping.renewal(entra=entra).renew_shard(shard_of(user))

        assert await keeping.opened(user) != old

    async def test_a_client_id_that_does_not_fit_kills_no_key(self, keeping: Keeping, control: Control) -> None:
        user = unique()
        old = await keeping.keep(user, **DUE)
        body = {"code": "Unauthorized", "innererror": {"code": "InconsistentClientId", "message": "differ"}}
        await control.disturb("collections", {"status": 401, "body": body}, path=RENEWALS)

        await keeping.renew(user)

        assert await keeping.opened(user) == old

    async def test_without_a_data_key_or_a_token_nothing_is_renewed(self, keeping: Keeping, control: Control) -> None:
        user = unique()
        await keeping.keep(user, **DUE)
        since = await control.last_seen()
        vault = MemoryVault(gone="x")
        vault.away = True

        assert await keeping.renewal(sealer=KeySealer(Sealer(vault, "gone"))).renew_shard(shard_of(user)) == 0

        assert await renewals(control, since) == 0
        await keeping.renew(user)
        assert await renewals(control, since) == 1

    async def test_storage_that_is_away_is_told_to_the_planner_as_an_outage(self, keeping: Keeping) -> None:
        nowhere = Account(StorageAccount(Secret(NOWHERE), None), keeping.wiring.core.app_identity)
        await keeping.keep(unique(), **DUE)

        with pytest.raises(UnavailableError):
            await keeping.renewal(renewals_queue=Queue(nowhere, "store-id-renewals")).plan()
        await nowhere.close()

    async def test_a_worker_that_vanished_holds_nobody_up_for_long(self, keeping: Keeping) -> None:
        user = unique()
        old = await keeping.keep(user, **DUE)
        await keeping.renewal()._leases._take(Lease(shard_of(user)))
        await keeping.renew(user)
        assert await keeping.opened(user) == old

        keeping.offset = timedelta(minutes=6)
        await keeping.renew(user)

        assert await keeping.opened(user) != old

    async def test_a_row_that_was_tampered_with_does_not_open_and_harms_nobody_else(
        self, keeping: Keeping, control: Control
    ) -> None:
        thief, victim = [name for name in (f"row-{number}" for number in range(2_000)) if shard_of(name) == "22"][:2]
        await keeping.keep(thief, **DUE)
        old = await keeping.keep(victim, **DUE)
        await _move_key(keeping, victim, thief)
        since = await control.last_seen()

        await keeping.renewal().renew_shard("22")

        assert await renewals(control, since) == 1
        assert (await keeping.held(thief)).attempts == 1
        assert await keeping.opened(victim) != old


async def _move_key(keeping: Keeping, source: str, target: str) -> None:
    """Put one player's sealed key into another's rows, as someone could who can write the table and nothing else."""
    from azure.data.tables.aio import TableClient  # noqa: PLC0415

    (stolen, *_), rows = await keeping.rows(source), await keeping.rows(target)
    async with TableClient.from_connection_string(keeping.storage.connection_string, keeping.name) as table:
        for row in rows:
            await table.upsert_entity({**row, "collectionsSealed": stolen["collectionsSealed"]})


class TestDataKey:
    """The data key can be rotated: old rows open, renewed rows use the new version."""

    async def test_rotation(self, keeping: Keeping, wiring: Wiring, control: Control) -> None:
        clock = [0.0]
        vault = Vault(wiring.core.settings, wiring.core.app_identity, monotonic=lambda: clock[0])
        keeping.sealer = keeping.intake._sealer = KeySealer(Sealer(vault, wiring.core.settings.store_id_data_key))
        early, late = unique(), unique()
        old = {user: await keeping.keep(user, **DUE) for user in (early, late)}
        first = (await keeping.held(early)).sealed

        second = await _rotate_data_key(control, wiring.core.settings)
        clock[0] += TIME_TO_LIVE + 1
        await keeping.renew(early)

        renewed, untouched = (await keeping.held(early)).sealed, (await keeping.held(late)).sealed
        assert first
        assert renewed
        assert untouched
        assert renewed.key_version == second != first.key_version
        for user in (early, late):
            core = wiring.core
            anew = KeySealer(Sealer(Vault(core.settings, core.app_identity), core.settings.store_id_data_key))
            key = await anew.open(user, StoreIdKind.COLLECTIONS, (await keeping.held(user)).sealed)
            assert (key.reveal() == old[user]) == ((await keeping.held(user)).sealed == untouched)
            await anew._sealer._vault.close()
        await vault.close()


async def _rotate_data_key(control: Control, settings: Settings) -> str:
    """A new version of the data key; its name."""
    admin = await control.admin()
    credential = ClientSecretCredential(
        admin["tenantId"],
        admin["clientId"],
        admin["clientSecret"],
        authority=settings.entra_authority,
        disable_instance_discovery=True,
    )
    async with credential, SecretClient(settings.key_vault_url, credential, verify_challenge_resource=False) as client:
        new = await client.set_secret(settings.store_id_data_key, new_data_key())
    assert base64.b64decode(new.value or "")
    return str(new.properties.version)
