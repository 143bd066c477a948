"""A player's key for a call to the Store, now: renewed first where it is due, replaced where the Store takes it not."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

from shared.auth.entra import Entra
from shared.auth.tokens import ServiceToken, StoreIdKind
from shared.clock import Clock, utc_now
from shared.correlation import get_logger
from shared.errors import StateConflictError, UnavailableError
from shared.keys.active import sealed_away
from shared.keys.filing import ATTEMPTS, Change, Files
from shared.keys.pauses import Pauses
from shared.keys.record import Record, StoredKey, shard_of
from shared.keys.schedule import following_time
from shared.keys.sealing import KeySealer
from shared.keys.status import Status
from shared.settings import Identity
from shared.single_flight import SingleFlight
from shared.storage.leases import Leases
from shared.storage.sealing import UnsealError
from shared.storage.transactions import ConflictError
from shared.store.errors import (
    AUTHENTICATION_TOKEN_INVALID,
    StoreAnswer,
    StoreCredentialsError,
    StoreError,
    StoreThrottledError,
    StoreUnknownError,
)
from shared.store.key_service import KeyService
from shared.store.user_store_id import MalformedKeyError, UserStoreIdKey, decode

WRITE_PAUSES = (0.5, 1, 2)
"""Seconds between the tries to file a renewed key while storage is away and a caller waits."""

LEASE_TRIES = 4
LEASE_PAUSE = 0.5
"""How often, and how many seconds apart, a key that is not taken is looked for while somebody else renews."""

RENEWAL_PAUSE = 60.0
"""Seconds for which a due key, which still holds, is used as it is after its renewal failed."""

type Call[T] = Callable[[UserStoreIdKey, ServiceToken], Awaitable[T]]
type _Whose = tuple[str, StoreIdKind]

_log = get_logger(__name__)


class NoKeyError(StateConflictError):
    """There is no key of this kind that the Store would take; only the player's game can make one."""

    def __init__(self, kind: StoreIdKind, why: str | None = None) -> None:
        what = f"A {kind} key of this user is needed: have the game make one and PUT it"
        super().__init__(f"{what} ({why})" if why else what)
        self.kind = kind


class CurrentKeys:
    """Makes calls with players' keys, and remembers which players the Store wants left alone."""

    def __init__(
        self,
        identity: Identity,
        files: Files,
        sealer: KeySealer,
        entra: Entra,
        service: KeyService,
        leases: Leases,
        *,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._identity = identity
        self._files = files
        self._sealer = sealer
        self._entra = entra
        self._service = service
        self._leases = leases
        self._clock = clock
        self._throttled = Pauses[_Whose](monotonic=monotonic)
        self._unrenewed = Pauses[_Whose](monotonic=monotonic)
        self._renewals = SingleFlight[_Whose, UserStoreIdKey | None]()

    async def use[T](self, user_id: str, kind: StoreIdKind, call: Call[T]) -> T:
        """Make ``call`` with the player's key and the service token; what it returns.

        It is made again after a 401, which says that it was not carried out: once with a fresh token and once with
        another key. So nothing was carried out unless it returns or raises
        :class:`~shared.store.errors.StoreUnknownError`.

        :raises NoKeyError: there is no key, or none that the Store takes.
        :raises StoreThrottledError: the player is to be left alone; within that time nothing is sent.
        :raises StoreError: what the call met, see :mod:`shared.store.errors`.
        :raises EntraRefusedError: Entra refuses us for good.
        :raises UnavailableError: storage, the vault or Entra is away, or no other key can be had at present.
        """
        if remaining := self._throttled.remaining((user_id, kind)):
            answer = StoreAnswer("call for a player", None, message="the Store asked to leave this player alone")
            raise StoreThrottledError(answer, remaining)
        try:
            return await self._use(user_id, kind, call)
        except StoreThrottledError as error:
            self._throttled.extend((user_id, kind), error.retry_after or 0.0)
            raise

    async def _use[T](self, user_id: str, kind: StoreIdKind, call: Call[T]) -> T:
        held = self._held(await self._files.find(user_id), kind)
        key = await self._opened(user_id, kind, held)
        if held.duty_on and held.duty_on <= self._clock():
            key = await self._renewed_early(user_id, kind, held) or key
        try:
            return await self._authenticated(call, key)
        except StoreCredentialsError as refusal:
            if refusal.answer.inner_code != AUTHENTICATION_TOKEN_INVALID:
                raise
            other = await self._replaced(user_id, kind, held, key, refusal)
        return await self._authenticated(call, other)

    async def _authenticated[T](self, call: Call[T], key: UserStoreIdKey) -> T:
        """With the token that is at hand and, where the Store does not take it, once more with a fresh one."""
        token = await self._entra.get_service_token(self._identity)
        try:
            return await call(key, token)
        except StoreCredentialsError:
            fresh = await self._entra.get_service_token(self._identity, refused=token)
            if fresh == token:
                raise
            return await call(key, fresh)

    async def _renewed_early(self, user_id: str, kind: StoreIdKind, held: StoredKey) -> UserStoreIdKey | None:
        """The new key for one that is due; None where there is none to be had: the old one still holds."""
        whose = (user_id, kind)
        if self._unrenewed.remaining(whose):
            return None
        try:
            return await self._renewals.join(whose, lambda: self._renew(user_id, kind, held))
        except (StoreError, MalformedKeyError, UnavailableError) as error:
            _log.warning("a %s key that is due is used unrenewed: %s", kind, error)
            self._unrenewed.extend(whose, RENEWAL_PAUSE)
            return None

    async def _replaced(
        self, user_id: str, kind: StoreIdKind, held: StoredKey, refused: UserStoreIdKey, refusal: StoreCredentialsError
    ) -> UserStoreIdKey:
        """Another key for one that the Store did not take.

        :raises StoreCredentialsError: the refusal, where the Store gives no key that could be used.
        """
        for _ in range(LEASE_TRIES):
            try:
                other = await self._renewals.join((user_id, kind), lambda: self._renew(user_id, kind, held, refused))
            except StoreCredentialsError as error:
                if error.answer.inner_code != AUTHENTICATION_TOKEN_INVALID:
                    raise refusal from error
                await self._make_due(user_id, kind, held)
                raise NoKeyError(kind, "the Store no longer takes the one that is kept") from error
            except (StoreThrottledError, StoreUnknownError) as error:
                raise UnavailableError("store", str(error), retry_after=error.retry_after or 5.0) from error
            except (StoreError, MalformedKeyError) as error:
                raise refusal from error
            if other is not None:
                return other
            await asyncio.sleep(LEASE_PAUSE)
        raise UnavailableError("store", f"the {kind} key is being renewed")

    async def _renew(
        self, user_id: str, kind: StoreIdKind, known: StoredKey, refused: UserStoreIdKey | None = None
    ) -> UserStoreIdKey | None:
        """A newer key than ``known``: somebody's or, made and filed here, ours; None while others renew.

        Under the lease of the worker that renews the shard: whether an old key survives its renewal is not documented.
        """
        async with self._leases.held(shard_of(user_id)) as is_ours:
            if not is_ours:
                return None
            record = await self._files.find(user_id)
            held = self._held(record, kind)
            old = await self._opened(user_id, kind, held)
            if held.issued_on > known.issued_on or (refused is not None and old != refused):
                return old
            # Without it the new key would have nowhere to rest.
            await self._sealer.check()
            new = await self._authenticated(lambda key, token: self._service.renew(kind, key, token), old)
            claims = decode(new)
            if claims.kind is not kind or claims.client_id.lower() != self._identity.client_id.lower():
                raise MalformedKeyError("the Store renewed a key into one of another kind or client id")
            renewed = await sealed_away(self._sealer, user_id, kind, new, claims)
            due = following_time(renewed.renew_after, renewed.expires_on, held.expires_on, self._clock())
            await self._keep(user_id, kind, replace(renewed, duty_on=due), record)
            return new

    async def _keep(self, user_id: str, kind: StoreIdKind, renewed: StoredKey, record: Record | None) -> None:
        """File a renewed key; while storage is away it is held on to, since the old one may be dead."""
        for pause in (*WRITE_PAUSES, None):
            try:
                await self._file(user_id, kind, renewed, record)
            except UnavailableError as error:
                _log.warning("a renewed %s key cannot be filed yet: %s", kind, error)
                record = None
            else:
                return
            if pause is not None:
                await asyncio.sleep(pause)
        _log.error("a renewed %s key could not be filed; its old one is tried again", kind)

    async def _file(self, user_id: str, kind: StoreIdKind, renewed: StoredKey, record: Record | None) -> None:
        """Put the key in the place of the one that was renewed. What others put there stays, unless it is older."""
        for _ in range(ATTEMPTS):
            if record is None:
                record = await self._files.find(user_id)
                stored = record.keys.get(kind) if record else None
                if record is None or stored is None or stored.issued_on >= renewed.issued_on:
                    return
            try:
                await self._files.apply(Change(record, record.with_key(kind, renewed)))
            except ConflictError:
                record = None
            else:
                return
        _log.error("a renewed %s key could not be filed: its record is being changed without pause", kind)

    async def _make_due(self, user_id: str, kind: StoreIdKind, refused: StoredKey) -> None:
        """Have the renewal of the shard judge a key that is not taken: it knows one dead key from a bad hour."""
        try:
            record = await self._files.find(user_id)
            held = record.keys.get(kind) if record else None
            if record and held and held.status is Status.ACTIVE and held.issued_on == refused.issued_on:
                now = self._clock()
                if held.duty_on is None or held.duty_on > now:
                    await self._files.apply(Change(record, record.with_key(kind, replace(held, duty_on=now))))
        except (ConflictError, UnavailableError) as error:
            _log.warning("a %s key that the Store does not take could not be made due: %s", kind, error)

    def _held(self, record: Record | None, kind: StoreIdKind) -> StoredKey:
        held = record.keys.get(kind) if record else None
        if held is None:
            raise NoKeyError(kind)
        status = held.status_at(self._clock())
        if status is not Status.ACTIVE:
            why = "has expired" if status is Status.EXPIRED else "is no longer taken by the Store"
            raise NoKeyError(kind, f"the one that is kept {why}")
        return held

    async def _opened(self, user_id: str, kind: StoreIdKind, held: StoredKey) -> UserStoreIdKey:
        try:
            return await self._sealer.open(user_id, kind, held.sealed)
        except UnsealError as error:
            _log.exception("a %s key cannot be opened", kind)
            raise NoKeyError(kind, "the one that is kept cannot be opened") from error
