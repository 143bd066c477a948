"""Control: tokens of callers, X-tokens, User Store ID keys, and the rotation of what signs them."""

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, get_args

import msgspec
from aiohttp import web

from local.emulator.context import Context
from local.emulator.control.input import Input, read_input
from local.emulator.errors import ControlError
from local.emulator.identity.issuers import BearerTokenRequest, IssuerName, Issuers
from local.emulator.identity.x_tokens import DEFAULT_LIFETIME_SECONDS, XTokens
from local.emulator.service import Route, json_response
from local.emulator.state import StoreKind
from local.emulator.store.keys import (
    DAY_SECONDS,
    LIFETIME_DAYS,
    NO_USER_ID,
    ClaimPrefix,
    InvalidStoreIdError,
    KeyContent,
    StoreIds,
)
from local.emulator.store.kinds import STORE_KINDS


class NewXToken(Input):
    """An X-token of a Store account; negative lifetimes give an expired one."""

    player: Annotated[str, msgspec.Meta(min_length=1)]
    kind: StoreKind
    expires_in_seconds: float = DEFAULT_LIFETIME_SECONDS


class NewStoreIds(Input):
    """One key, or with ``count`` many: ``publisher_user_id_format`` takes 0, 1, 2, ... in place of ``{}``."""

    kind: StoreKind
    publisher_user_id: str | None = None
    client_id: str | None = None
    issued_days_ago: float = 0
    lifetime_days: float = LIFETIME_DAYS
    refresh_uri: str | None = None
    claim_prefix: ClaimPrefix = "http"
    count: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | None = None
    publisher_user_id_format: str = "player-{}"

    def __post_init__(self) -> None:
        """Refuse a request of which a part would be ignored."""
        if self.count is not None and self.publisher_user_id is not None:
            raise ValueError("publisherUserId is for one key; with count use publisherUserIdFormat")
        if "{}" not in self.publisher_user_id_format:
            raise ValueError("publisherUserIdFormat must contain {}")


class Revocation(Input):
    """Either ``key``, or ``publisher_user_id`` with ``kind``."""

    key: str | None = None
    publisher_user_id: str | None = None
    kind: StoreKind | None = None


class IssuerRotation(Input):
    """Whether keys of before stay in the JWKS."""

    keep_old: bool = True


class CertificateRotation(Input):
    """Whether keys signed by earlier certificates can no longer be renewed."""

    retire_old: bool = False


def token_routes(context: Context, store_ids: StoreIds, x_tokens: XTokens, issuers: Issuers) -> tuple[Route, ...]:
    """Return the routes that mint, revoke and rotate."""
    tokens = _Tokens(context, store_ids, x_tokens, issuers)
    return (
        Route("POST", "/_emulator/bearer-tokens", tokens.mint_bearer_token),
        Route("POST", "/_emulator/issuers/{issuer}/rotations", tokens.rotate_issuer),
        Route("POST", "/_emulator/x-tokens", tokens.mint_x_token),
        Route("POST", "/_emulator/store-ids", tokens.mint_store_ids),
        Route("POST", "/_emulator/store-ids/revocations", tokens.revoke_store_ids),
        Route("POST", "/_emulator/signing-certificates/rotations", tokens.rotate_certificate),
    )


@dataclass(frozen=True)
class _Tokens:
    context: Context
    store_ids: StoreIds
    x_tokens: XTokens
    issuers: Issuers

    async def mint_bearer_token(self, request: web.Request) -> web.Response:
        return json_response({"token": self.issuers.mint(await read_input(request, BearerTokenRequest))})

    async def rotate_issuer(self, request: web.Request) -> web.Response:
        name = request.match_info["issuer"]
        known: Sequence[IssuerName] = get_args(IssuerName)
        for issuer in known:
            if issuer == name:
                wanted = await read_input(request, IssuerRotation)
                return json_response({"kid": self.issuers.rotate(issuer, keep_old=wanted.keep_old)})
        raise ControlError(404, f"there is no issuer {name}; there are {', '.join(known)}")

    async def mint_x_token(self, request: web.Request) -> web.Response:
        wanted = await read_input(request, NewXToken)
        return json_response(
            {"xToken": self.x_tokens.mint(wanted.player, STORE_KINDS[wanted.kind], wanted.expires_in_seconds)}
        )

    async def mint_store_ids(self, request: web.Request) -> web.Response:
        wanted = await read_input(request, NewStoreIds)
        client_id = wanted.client_id or self.context.state.publisher_client_id
        if wanted.count is None:
            return json_response({"key": self.store_ids.mint(_content(wanted, client_id, wanted.publisher_user_id))})
        users = [wanted.publisher_user_id_format.replace("{}", str(index)) for index in range(wanted.count)]
        return json_response({"keys": await _mint_many(self.store_ids, wanted, client_id, users)})

    async def revoke_store_ids(self, request: web.Request) -> web.Response:
        wanted = await read_input(request, Revocation)
        if wanted.key is not None and wanted.publisher_user_id is None and wanted.kind is None:
            try:
                self.store_ids.revoke(wanted.key)
            except InvalidStoreIdError as error:
                raise ControlError(400, f"bad body: key is not a key of this Store: {error}") from error
        elif wanted.key is None and wanted.publisher_user_id is not None and wanted.kind is not None:
            self.store_ids.revoke_user(wanted.kind, wanted.publisher_user_id)
        else:
            raise ControlError(400, "bad body: expected either key, or publisherUserId and kind")
        return web.Response(status=204)

    async def rotate_certificate(self, request: web.Request) -> web.Response:
        wanted = await read_input(request, CertificateRotation)
        return json_response({"kid": self.store_ids.rotate_certificate(retire_old=wanted.retire_old)})


def _content(wanted: NewStoreIds, client_id: str, user_id: str | None) -> KeyContent:
    return KeyContent(
        kind=STORE_KINDS[wanted.kind],
        client_id=client_id,
        user_id=NO_USER_ID if user_id is None else user_id,
        # Keys made here stand for Store accounts that are named like the publisher's users.
        player=user_id,
        issued_on=time.time() - wanted.issued_days_ago * DAY_SECONDS,
        lifetime_days=wanted.lifetime_days,
        refresh_uri=wanted.refresh_uri,
        prefix=wanted.claim_prefix,
    )


async def _mint_many(store_ids: StoreIds, wanted: NewStoreIds, client_id: str, users: Sequence[str]) -> list[str]:
    # In threads, because signing releases the interpreter: all processors work and the server still answers.
    def mint(part: Sequence[str]) -> list[str]:
        return [store_ids.mint(_content(wanted, client_id, user)) for user in part]

    size = -(-len(users) // (os.process_cpu_count() or 1))
    parts = [users[start : start + size] for start in range(0, len(users), size)]
    minted = await asyncio.gather(*(asyncio.to_thread(mint, part) for part in parts))
    return [key for part in minted for key in part]
