"""The app's side of :mod:`shared.keys`: what is due is found, spread over a queue, and done.

A duty is a renewal or, of a dead key, telling its owner. What is due stays in the due index until the outcome has been
written, so a worker that dies leaves nothing behind but duties for the next one, and every step may happen twice.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Literal

from shared.auth.entra import Entra
from shared.auth.tokens import ServiceToken, StoreIdKind
from shared.clock import Clock, to_iso, utc_now
from shared.correlation import get_logger
from shared.errors import StorekeeperError, UnavailableError
from shared.events import Events, ReissueNeededData, reissue_needed
from shared.keys.active import sealed_away
from shared.keys.filing import ATTEMPTS, RECORDS_A_COMMIT, Change, Files
from shared.keys.messages import RenewalMessage
from shared.keys.record import SHARDS, Record, StoredKey
from shared.keys.schedule import FIRST_RETRY, following_time, retry_time
from shared.keys.sealing import KeySealer
from shared.keys.status import Status
from shared.settings import Identity
from shared.storage.leases import Leases
from shared.storage.queues import Queue
from shared.storage.sealing import UnsealError
from shared.storage.transactions import ConflictError
from shared.store.errors import (
    AUTHENTICATION_TOKEN_INVALID,
    StoreCredentialsError,
    StoreError,
    StoreThrottledError,
    StoreUnknownError,
)
from shared.store.key_service import KeyService
from shared.store.user_store_id import MalformedKeyError, UserStoreIdKey, decode

LEASE_DURATION = timedelta(seconds=30)
"""How long a shard is left alone after its worker died; the next run of the timer then has it worked on."""

TIME_BUDGET = 10.0
"""Seconds after which a message begins no further batch of a shard and leaves the rest to a new message."""

MESSAGE_LIFE = 600
"""Seconds after which an unread message is dropped: the timer has put newer ones long since."""

WRITE_PAUSES = (1, 2, 4, 8, 16, 30)
"""Seconds between the tries to write what was renewed while storage is away."""

EXPIRY_GRACE = timedelta(days=1)
"""How long after its expiry a key is still asked for while the Store gives no answer."""

MANY_KEYS = 20
"""Keys of one batch that cannot all have died by chance."""

DOUBT_PAUSE = timedelta(hours=6)
"""After this time, at the most, keys that died together are asked for once more."""

PLANNERS = 16
"""Shards that the timer looks at side by side."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Duty:
    user_id: str
    kind: StoreIdKind
    key: StoredKey


class Renewal:
    """Finds and carries out what is due."""

    def __init__(
        self,
        identity: Identity,
        files: Files,
        sealer: KeySealer,
        entra: Entra,
        service: KeyService,
        events: Events,
        queue: Queue,
        leases: Leases,
        *,
        clock: Clock = utc_now,
    ) -> None:
        self._identity = identity
        self._files = files
        self._sealer = sealer
        self._entra = entra
        self._service = service
        self._events = events
        self._queue = queue
        self._leases = leases
        self._clock = clock

    async def plan(self) -> int:
        """Put one message for each shard that has something due; how many were put.

        :raises UnavailableError: storage is away; the next run of the timer finds the same shards.
        """
        now = self._clock()
        shards = iter([f"{shard:02x}" for shard in range(SHARDS)])
        planned = 0

        async def planner() -> None:
            nonlocal planned
            for shard in shards:
                if await self._files.has_due(shard, now):
                    await self._queue.send(RenewalMessage(shard), time_to_live=MESSAGE_LIFE)
                    planned += 1

        await asyncio.gather(*(planner() for _ in range(PLANNERS)))
        return planned

    async def renew_shard(self, shard: str) -> int:
        """Carry out what is due in one shard; how many records were worked on.

        One worker a shard at a time: whether an old key survives its renewal is not documented, so a second renewal
        at the same moment might find the key dead. Where storage, the vault or Entra is away or refuses us, everything
        due stays due, and the timer comes again: the message is not worth another try, nor a place among the poison.
        """
        try:
            return await self._renew_shard(shard)
        except StorekeeperError as error:
            _log.log(error.log_level, "shard %s waits for the next run of the timer: %s", shard, error)
            return 0

    async def _renew_shard(self, shard: str) -> int:
        started = time.monotonic()
        done, more = 0, True
        async with self._leases.held(shard) as is_ours:
            if not is_ours:
                _log.info("shard %s is being worked on by another worker", shard)
                return 0
            # Without these a renewed key would have nowhere to rest, or every renewal would fail: better none at all.
            await self._sealer.check()
            token = await self._entra.get_service_token(self._identity)
            while more and time.monotonic() - started < TIME_BUDGET:
                # As much as one commit holds: a longer page would have storage busy with reading, and the Store idle.
                batch = await self._files.due(shard, self._clock(), RECORDS_A_COMMIT)
                has_come_due = await self._work_on(batch, token)
                more = has_come_due or len(batch) == RECORDS_A_COMMIT
                done += len(batch)
        if more:
            # Not before the lease is given back: the next worker might be faster than we are.
            await self._queue.send(RenewalMessage(shard), time_to_live=MESSAGE_LIFE)
        return done

    async def _work_on(self, batch: list[Record], token: ServiceToken) -> bool:
        """Do what is due now; whether that has made something else due at once.

        :raises UnavailableError: our clock is so far ahead that everything would be due for ever; what was renewed is
            filed. Also where storage is away.
        """
        now = self._clock()
        duties = [
            _Duty(record.user_id, kind, key)
            for record in batch
            for kind, key in record.keys.items()
            if key.duty_on and key.duty_on <= now
        ]
        outcomes = await asyncio.gather(*(self._carry_out(duty, token, now) for duty in duties))
        outcomes = self._doubted(duties, outcomes, now)
        changed: dict[str, Record] = {record.user_id: record for record in batch}
        for duty, outcome in zip(duties, outcomes, strict=True):
            changed[duty.user_id] = changed[duty.user_id].with_key(duty.kind, outcome)
        changes = [Change(record, changed[record.user_id]) for record in batch]
        await self._write(changes)
        if any(_is_fresh(outcome) and outcome.duty_on and outcome.duty_on <= now for outcome in outcomes):
            raise UnavailableError("clock", "by ours, keys that the Store has just made are old: it is far ahead")
        return any(record.duty_on and record.duty_on <= now for record in changed.values())

    def _doubted(self, duties: list[_Duty], outcomes: list[StoredKey], now: datetime) -> list[StoredKey]:
        """A Store that takes not one key of many has trouble with us, not with every player: ask again, hours later.

        Otherwise one bad hour at the Store would end the keys of all players at once. A key is doubted once.
        """
        died = [_has_died(outcome) and not duty.key.unannounced for duty, outcome in zip(duties, outcomes, strict=True)]
        if sum(died) < MANY_KEYS or any(_is_fresh(outcome) for outcome in outcomes):
            return outcomes
        _log.error(
            "the Store refused %d keys and renewed none; they are tried once more before they count as dead", sum(died)
        )
        return [
            self._in_doubt(duty.key, now) if has_died and not duty.key.doubted else outcome
            for duty, outcome, has_died in zip(duties, outcomes, died, strict=True)
        ]

    def _in_doubt(self, key: StoredKey, now: datetime) -> StoredKey:
        pause = DOUBT_PAUSE / 2 * (1 + random.random())  # noqa: S311 - jitter
        again = min(now + pause, max(key.expires_on, now + FIRST_RETRY))
        return replace(key, duty_on=again, attempts=key.attempts + 1, doubted=True)

    async def _write(self, changes: list[Change]) -> None:
        """Write the outcomes, and hold on to them while storage is away: the Store may have let the old keys die."""
        conflicts = await self._persisting(lambda: self._files.apply_all(changes))
        for conflict in conflicts:
            await self._persisting(partial(self._reconcile, conflict))

    async def _persisting[T](self, write: Callable[[], Awaitable[T]]) -> T:
        for pause in WRITE_PAUSES:
            try:
                return await write()
            except UnavailableError as error:
                _log.warning("renewed keys cannot be filed yet: %s", error)
                await asyncio.sleep(pause)
        try:
            return await write()
        except UnavailableError:
            _log.exception("renewed keys could not be filed; their old ones are tried again")
            raise

    async def _carry_out(self, duty: _Duty, token: ServiceToken, now: datetime) -> StoredKey:
        """What a key becomes by its duty. Never raises: what one player's key does must not hold up the others."""
        try:
            if duty.key.unannounced:
                return await self._announce(duty)
            return await self._renew(duty, token, now)
        except StorekeeperError as error:
            return self._later(duty, now, str(error), None)
        except Exception:  # noqa: BLE001 - one player's key must not hold up the others, whatever it is
            _log.exception("a duty failed in a way nobody foresaw; it is tried again later")
            return self._later(duty, now, "unforeseen", None)

    async def _announce(self, duty: _Duty) -> StoredKey:
        reason: Literal["expired", "reissueNeeded"] = (
            "expired" if duty.key.status is Status.EXPIRED else "reissueNeeded"
        )
        data = ReissueNeededData(duty.user_id, duty.kind.value, reason, to_iso(duty.key.issued_on))
        await self._events.send(reissue_needed(data, self._clock()))
        return replace(duty.key, unannounced=False, duty_on=None, attempts=0)

    async def _renew(self, duty: _Duty, token: ServiceToken, now: datetime) -> StoredKey:
        """Renew, and judge the answer.

        A key past its expiry is asked for too, until there is an answer or :data:`EXPIRY_GRACE` is over: if it is our
        clock that is wrong, the Store still renews it.
        """
        try:
            old = await self._sealer.open(duty.user_id, duty.kind, duty.key.sealed)
            return await self._accepted(duty, await self._call_store(duty.kind, old, token))
        except (StoreError, UnsealError, MalformedKeyError) as error:
            is_answer = not isinstance(error, StoreThrottledError | StoreUnknownError)
            if duty.key.expires_on <= now - (timedelta(0) if is_answer else EXPIRY_GRACE):
                return _dead(duty.key, Status.EXPIRED, now)
            if _says_dead(error):
                _log.info("a %s key is dead: %s", duty.kind, error)
                return _dead(duty.key, Status.REISSUE_NEEDED, now)
            return self._later(duty, now, str(error), error.retry_after if isinstance(error, StoreError) else None)

    async def _call_store(self, kind: StoreIdKind, key: UserStoreIdKey, token: ServiceToken) -> UserStoreIdKey:
        """Renew with the shard's Entra token and, where the Store does not take it, once more with a fresh one."""
        try:
            return await self._service.renew(kind, key, token)
        except StoreCredentialsError:
            fresh = await self._entra.get_service_token(self._identity, refused=token)
            if fresh == token:
                raise
            return await self._service.renew(kind, key, fresh)

    async def _accepted(self, duty: _Duty, new: UserStoreIdKey) -> StoredKey:
        claims = decode(new)
        if claims.kind is not duty.kind or claims.client_id.lower() != self._identity.client_id.lower():
            raise MalformedKeyError("the Store renewed a key into one of another kind or client id")
        renewed = await sealed_away(self._sealer, duty.user_id, duty.kind, new, claims)
        due = following_time(renewed.renew_after, renewed.expires_on, duty.key.expires_on, self._clock())
        return replace(renewed, duty_on=due)

    def _later(self, duty: _Duty, now: datetime, reason: str, retry_after: float | None) -> StoredKey:
        key = duty.key
        again = retry_time(now, key.expires_on, key.attempts, retry_after, random.random())  # noqa: S311 - jitter
        _log.warning("a %s key is tried again at %s: %s", duty.kind, to_iso(again), reason)
        return replace(key, duty_on=again, attempts=key.attempts + 1)

    async def _reconcile(self, change: Change) -> None:
        """Somebody changed a record while we worked on it. Their change stands, except that a newer key wins.

        A renewed key must not be lost: the Store may have let the old one die.
        """
        for _ in range(ATTEMPTS):
            held = await self._files.find(change.after.user_id)
            if held is None:
                return
            merged = held
            for kind, key in change.after.keys.items():
                stored = held.keys.get(kind)
                if stored and key.status is Status.ACTIVE and key.issued_on > stored.issued_on:
                    merged = merged.with_key(kind, key)
            if merged is held:
                return
            try:
                await self._files.apply(Change(held, merged))
            except ConflictError:
                continue
            return
        _log.error("a renewed key could not be filed: its record is being changed without pause")


def _says_dead(error: Exception) -> bool:
    """Whether an answer that a fresh Entra token did not change is about the key itself (reference, section 0)."""
    return isinstance(error, StoreCredentialsError) and error.answer.inner_code == AUTHENTICATION_TOKEN_INVALID


def _has_died(key: StoredKey) -> bool:
    return key.status is Status.REISSUE_NEEDED


def _is_fresh(outcome: StoredKey) -> bool:
    return outcome.status is Status.ACTIVE and not outcome.attempts


def _dead(key: StoredKey, status: Status, now: datetime) -> StoredKey:
    """A key that is of no more use is not kept, and its owner is told at once."""
    return replace(key, status=status, sealed=None, duty_on=now, attempts=0, unannounced=True, doubted=False)
