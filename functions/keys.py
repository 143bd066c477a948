"""Players' User Store ID keys: handed in, made, listed, forgotten, and kept alive."""

from datetime import datetime
from typing import Annotated

import msgspec
from azure.functions import TimerRequest

from functions.http.answers import Answer
from functions.http.calls import Call
from functions.http.endpoints import endpoint
from functions.http.kinds import kind_of
from functions.parts import parts, settings
from functions.queues import queue_function
from functions.timers import timer_function
from shared.auth.tokens import StoreIdKind
from shared.clock import utc_now
from shared.correlation import get_logger
from shared.keys.messages import QUEUE, RenewalMessage
from shared.keys.record import StoredKey
from shared.keys.status import Status
from shared.secret import Secret, masked
from shared.store.user_store_id import UserStoreIdKey

_log = get_logger(__name__)

# It becomes a header: nothing that could break one, nor a line's end, which $ lets pass.
_XBL_AUTHORIZATION = r"^XBL3\.0 x=[!-:<-~]{1,128};[A-Za-z0-9._~+/=-]+$(?!\n)"


class KeyUpload(msgspec.Struct, forbid_unknown_fields=True):
    """A User Store ID key as the game got it from the Store."""

    key: str

    __repr__ = masked


class XTokenUpload(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A delegated X-token of the player for the relying party of the kind, and the id to put into the key."""

    x_token: Annotated[str, msgspec.Meta(max_length=16_384, pattern=_XBL_AUTHORIZATION)]
    publisher_user_id: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | None = None

    __repr__ = masked


class StoreId(msgspec.Struct, rename="camel"):
    """What is known of a key; never the key."""

    user_id: str
    kind: StoreIdKind
    status: Status
    issued_on: datetime
    expires_on: datetime
    renew_after: datetime


class StoreIdList(msgspec.Struct, rename="camel"):
    """All that is known of a player's keys."""

    store_ids: list[StoreId]


@endpoint(
    body=KeyUpload,
    answers={201: StoreId, 200: StoreId},
)
async def put_store_id(call: Call) -> Answer:
    """Keeps a User Store ID key alive: 201 for the first of its kind, 200 afterwards. The newest key wins."""
    user_id, kind = call.user_id(), kind_of(call)

    upload = call.body(KeyUpload)
    kept = await parts().keys.intake.keep(user_id, kind, UserStoreIdKey(upload.key))
    return Answer(201 if kept.created else 200, _shown(user_id, kind, kept.key))


@endpoint(
    body=XTokenUpload,
    answers={201: StoreId, 200: StoreId},
)
async def create_store_id(call: Call) -> Answer:
    """Makes a User Store ID key at the Store from a delegated X-token, and keeps it as if it had been handed in."""
    user_id, kind = call.user_id(), kind_of(call)
    upload = call.body(XTokenUpload)
    kept = await parts().keys.intake.create(user_id, kind, Secret(upload.x_token), upload.publisher_user_id)
    return Answer(201 if kept.created else 200, _shown(user_id, kind, kept.key))


@endpoint(answers={200: StoreIdList})
async def list_store_ids(call: Call) -> Answer:
    """What is known of a player's keys."""
    user_id = call.user_id()
    keys = await parts().keys.intake.list(user_id)
    return Answer(200, StoreIdList([_shown(user_id, kind, key) for kind, key in keys.items()]))


@endpoint(answers={204: None})
async def delete_store_id(call: Call) -> Answer:
    """Forgets a key."""
    await parts().keys.intake.forget(call.user_id(), kind_of(call))
    return Answer(204)


@timer_function
async def plan_renewals(timer: TimerRequest) -> None:
    """Looks for shards with something due and has each worked on."""
    if settings().publisher is None:
        return
    planned = await parts().keys.renewal.plan()
    _log.info("%d shards have something due%s", planned, " (late)" if timer.past_due else "")


@queue_function(QUEUE, RenewalMessage)
async def renew_store_ids(message: RenewalMessage) -> None:
    """Carries out what is due in one shard."""
    done = await parts().keys.renewal.renew_shard(message.shard)
    _log.info("shard %s: %d records worked on", message.shard, done)


def _shown(user_id: str, kind: StoreIdKind, key: StoredKey) -> StoreId:
    return StoreId(user_id, kind, key.status_at(utc_now()), key.issued_on, key.expires_on, key.renew_after)
