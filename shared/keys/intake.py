"""A key comes in, is shown, is forgotten."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from shared.auth.entra import Entra
from shared.auth.tokens import StoreIdKind
from shared.clock import Clock, utc_now
from shared.correlation import get_logger
from shared.errors import BadGatewayError, InputFault, UnavailableError, UnprocessableError
from shared.keys.active import sealed_away
from shared.keys.filing import ATTEMPTS, Change, Files
from shared.keys.record import Record, StoredKey
from shared.keys.sealing import KeySealer
from shared.keys.status import Status
from shared.secret import Secret
from shared.settings import Identity
from shared.storage.transactions import ConflictError
from shared.store.errors import AUTHENTICATION_TOKEN_INVALID, StoreCredentialsError, StoreError, StoreRefusedError
from shared.store.key_service import KeyService
from shared.store.user_store_id import (
    MalformedKeyError,
    UntrustedClaims,
    UserStoreIdKey,
    decode,
    is_known_renewal_address,
)

CLOCK_LEEWAY = timedelta(minutes=5)
"""How far ahead of our clock a key's ``iat`` may be. Further, and no genuine key would ever count as newer."""

OUR_FAULTS = {"PartnerAadTicketRequired", "InconsistentClientId"}
"""Inner codes of refusals that no other X-token would change (store-services reference, section 0)."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """What was done with a key that came in: whether it is the first of its kind, and what is kept now."""

    created: bool
    key: StoredKey


async def _nothing_waits(_: str) -> None:
    pass


class Intake:
    """The player's side of :mod:`shared.keys`.

    ``hurry`` is told of a player whose collections key was handed in: there may be what waits for one.
    """

    def __init__(
        self,
        identity: Identity,
        files: Files,
        sealer: KeySealer,
        entra: Entra,
        service: KeyService,
        *,
        match_user: bool,
        clock: Clock = utc_now,
        hurry: Callable[[str], Awaitable[None]] = _nothing_waits,
    ) -> None:
        self._identity = identity
        self._files = files
        self._sealer = sealer
        self._entra = entra
        self._service = service
        self._match_user = match_user
        self._clock = clock
        self._hurry = hurry

    async def keep(self, user_id: str, kind: StoreIdKind, key: UserStoreIdKey, *, pointer: str = "/key") -> Kept:
        """Keep a key for a player. The newer key wins: an older one, arriving late, changes nothing.

        :raises UnprocessableError: it is not a key that we could renew; ``pointer`` names the input it came by.
        :raises UnavailableError: storage or the vault is away.
        """
        claims = self._checked(user_id, kind, key, pointer)
        candidate = await sealed_away(self._sealer, user_id, kind, key, claims)

        def put(record: Record) -> Record | None:
            held = record.keys.get(kind)
            return None if held and not _is_newer(candidate, held) else record.with_key(kind, candidate)

        before, after = await self._update(user_id, put)
        held = before.keys.get(kind) if before else None
        # Though one was kept before: the Store may not take that one, or we died after this one was filed.
        if kind is StoreIdKind.COLLECTIONS:
            try:
                await self._hurry(user_id)
            except UnavailableError as error:
                _log.warning("what waits for a key of a player is tried when its time has come: %s", error)
        return Kept(created=held is None, key=after.keys[kind])

    async def create(self, user_id: str, kind: StoreIdKind, x_token: Secret, publisher_user_id: str | None) -> Kept:
        """Make a key at the Store from a player's delegated X-token, and keep it. The X-token is not kept.

        :raises UnprocessableError: the Store refuses the X-token, or makes a key that we could not renew.
        :raises BadGatewayError: the Store or Entra refuses us.
        :raises UnavailableError: the Store, Entra, storage or the vault is away.
        """
        await self._sealer.check()
        named = publisher_user_id or (user_id if self._match_user else None)
        try:
            key = await self._made_at_store(kind, x_token, named)
        except (StoreRefusedError, StoreCredentialsError) as refusal:
            if refusal.answer.inner_code in OUR_FAULTS:
                raise BadGatewayError(f"The Store does not take our credentials: {refusal}") from refusal
            _log.info("the Store made no key: %s", refusal)
            raise _refused("/xToken", f"The Store made no key: {refusal}") from refusal
        except StoreError as error:
            raise UnavailableError("store", str(error), retry_after=error.retry_after or 5.0) from error
        return await self.keep(user_id, kind, key, pointer="/xToken")

    async def _made_at_store(self, kind: StoreIdKind, x_token: Secret, named: str | None) -> UserStoreIdKey:
        """With the cached access token and, where the Store does not take it, once more with a fresh one."""
        token = await self._entra.get_creation_token(self._identity, kind)
        try:
            return await self._service.create(kind, x_token, token, named)
        except StoreCredentialsError as refusal:
            if refusal.answer.inner_code != AUTHENTICATION_TOKEN_INVALID:
                raise
            fresh = await self._entra.get_creation_token(self._identity, kind, refused=token)
            if fresh == token:
                raise
            return await self._service.create(kind, x_token, fresh, named)

    async def list(self, user_id: str) -> dict[StoreIdKind, StoredKey]:
        """The keys that are kept of a player.

        :raises UnavailableError: storage is away.
        """
        record = await self._files.find(user_id)
        return dict(record.keys) if record else {}

    async def forget(self, user_id: str, kind: StoreIdKind) -> None:
        """Forget one key. Forgetting what is not kept is no error: the caller may not have had our first answer.

        :raises UnavailableError: storage is away.
        """
        await self._update(user_id, lambda record: record.without_key(kind) if kind in record.keys else None)

    async def _update(self, user_id: str, change: Callable[[Record], Record | None]) -> tuple[Record | None, Record]:
        """Read, change and write a record until nobody came between; a change to None leaves it as it is."""
        for _ in range(ATTEMPTS):
            before = await self._files.find(user_id)
            held = before or Record(user_id)
            after = change(held)
            if after is None:
                return before, held
            try:
                await self._files.apply(Change(before, after))
            except ConflictError:
                continue
            return before, after
        raise UnavailableError("storage-tables", "the player's record is being changed by others", retry_after=1.0)

    def _checked(self, user_id: str, kind: StoreIdKind, key: UserStoreIdKey, pointer: str) -> UntrustedClaims:
        try:
            claims = decode(key)
        except MalformedKeyError as error:
            raise _refused(pointer, f"The key is malformed: {error}") from error
        now = self._clock()
        if claims.kind is not kind:
            raise _refused(pointer, f"The key is a {claims.kind} key; a {kind} key is expected")
        if claims.client_id.lower() != self._identity.client_id.lower():
            raise _refused(pointer, "The key was made with the access token of another client id")
        if claims.expires_on <= now:
            raise _refused(pointer, "The key has expired; have the game make a new one")
        if claims.issued_on > now + CLOCK_LEEWAY:
            raise _refused(pointer, "The key says it was issued in the future")
        if not is_known_renewal_address(claims.refresh_uri, kind, self._service.root(kind)):
            raise _refused(pointer, "The key names a renewal address that is not the Store's")
        if self._match_user and claims.user_id != user_id:
            raise _refused(pointer, "The key was made for another publisherUserId")
        return claims


def _is_newer(candidate: StoredKey, held: StoredKey) -> bool:
    """Whether a key replaces the one that is held. ``iat`` is in whole seconds: of two in one second the later wins,

    unless the held one is dead, since then the candidate is most likely that very key, sent again.
    """
    if candidate.issued_on == held.issued_on:
        return held.status is Status.ACTIVE
    return candidate.issued_on > held.issued_on


def _refused(pointer: str, detail: str) -> UnprocessableError:
    return UnprocessableError(detail, faults=(InputFault(pointer, detail),))
