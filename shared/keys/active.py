"""A good key, as it is kept: sealed, and due when its time has come."""

from shared.auth.tokens import StoreIdKind
from shared.keys.record import StoredKey
from shared.keys.schedule import renewal_time
from shared.keys.sealing import KeySealer
from shared.keys.status import Status
from shared.store.user_store_id import UntrustedClaims, UserStoreIdKey


async def sealed_away(
    sealer: KeySealer, user_id: str, kind: StoreIdKind, key: UserStoreIdKey, claims: UntrustedClaims
) -> StoredKey:
    """What is kept of a key that a player handed in, or that the Store renewed.

    :raises UnavailableError: the data key cannot be had.
    """
    renew_after = renewal_time(claims.issued_on, claims.expires_on, f"{user_id}|{kind}")
    return StoredKey(
        status=Status.ACTIVE,
        issued_on=claims.issued_on,
        expires_on=claims.expires_on,
        renew_after=renew_after,
        sealed=await sealer.seal(user_id, kind, key),
        duty_on=renew_after,
    )
