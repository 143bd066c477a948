"""Carries out one tenant's calls to Store for Business: the token, the pauses it asks for, what is worth another try.

The rules (reference "store-for-business", "Authentication" and "Operations"):

- 401: once more with a fresh token, then it stands.
- 429, and 503 with ``Retry-After``: the tenant is left alone in this process until then. A call that has to wait for
  no more than :data:`MAX_WAIT` waits, holding no connection; any other fails at once.
- A GET whose outcome is not known is made again; what changes something is its caller's to repeat.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Protocol

from shared.auth.entra import Entra
from shared.auth.tokens import ServiceToken
from shared.clock import Clock, utc_now
from shared.settings import Identity
from shared.store.business_answers import Call, failure, read
from shared.store.errors import (
    StoreAnswer,
    StoreCredentialsError,
    StoreThrottledError,
    StoreUnknownError,
)
from shared.store.paths import query
from shared.store.pauses import Pause
from shared.store.transport import Transport

MAX_WAIT = 20.0
"""Seconds that a call waits until the Store may be called again."""

RESENDS = 3
"""How often a call is sent again that the Store was too busy for."""

REPEATS = 2
"""How often a GET is made again whose outcome is not known."""

REPEAT_PAUSE = 0.4
"""Seconds before the first repeat, at most; twice as many before the second."""

PATIENCE = MAX_WAIT * (1 + RESENDS)
"""Seconds after which a call waits for nothing any more."""


class _Page(Protocol):
    @property
    def continuation_token(self) -> str | None: ...


class _PausedError(Exception):
    """The pause began while the call waited for its turn."""


class BusinessCalls:
    """One tenant's calls. Its token, pauses and connections are its own: no other tenant feels them."""

    def __init__(
        self,
        identity: Identity,
        transport: Transport,
        entra: Entra,
        *,
        clock: Clock = utc_now,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._identity = identity
        self._transport = transport
        self._entra = entra
        self._clock = clock
        self._monotonic = monotonic
        self._pause = Pause(monotonic=monotonic)

    async def send[T](self, call: Call, shape: type[T]) -> tuple[T, Mapping[str, str]]:
        """Make the call; its answer and the headers that it came with.

        :raises StoreError: see :mod:`shared.store.errors`.
        :raises EntraRefusedError: Entra refuses the tenant's app for good.
        :raises UnavailableError: Entra or the vault is away.
        """
        give_up = self._monotonic() + PATIENCE
        throttled = unknown = 0
        while True:
            await self._wait(call, give_up)
            try:
                return await self._authenticated(call, shape)
            except _PausedError:
                continue
            except StoreThrottledError as error:
                throttled += 1
                self._pause.extend(error.retry_after or 0.0)
                if throttled > RESENDS or self._pause.remaining > MAX_WAIT:
                    raise
            except StoreUnknownError:
                unknown += 1
                if call.method != "GET" or unknown > REPEATS:
                    raise
                await asyncio.sleep(random.uniform(0.5, 1) * REPEAT_PAUSE * 2 ** (unknown - 1))  # noqa: S311 - spreads load

    async def pages[P: _Page](
        self, call: Call, continuation_token: str | None, shape: type[P]
    ) -> AsyncIterator[tuple[P, Mapping[str, str]]]:
        """All pages from ``continuation_token`` on, each asked for when the one before is done with.

        :raises StoreUnknownError: the Store leads in a circle. Other errors as :meth:`send`.
        """
        used: set[str] = set()
        while True:
            if continuation_token:
                used.add(continuation_token)
            more = (("continuationToken", continuation_token),) if continuation_token else ()
            page, headers = await self.send(replace(call, query=(*call.query, *more)), shape)
            continuation_token = page.continuation_token
            if continuation_token in used:
                raise StoreUnknownError(_said(call, "the continuation token is one that was already used"))
            yield page, headers
            if not continuation_token:
                return

    async def _wait(self, call: Call, give_up: float) -> None:
        if self._pause.remaining and not await self._pause.wait(min(MAX_WAIT, give_up - self._monotonic())):
            raise StoreThrottledError(_said(call, "the Store asked to be left alone"), self._pause.remaining)

    async def _authenticated[T](self, call: Call, shape: type[T]) -> tuple[T, Mapping[str, str]]:
        token = await self._entra.get_service_token(self._identity)
        try:
            return await self._exchange(call, shape, token)
        except StoreCredentialsError:
            fresh = await self._entra.get_service_token(self._identity, refused=token)
            if fresh == token:
                raise
            return await self._exchange(call, shape, fresh)

    async def _exchange[T](self, call: Call, shape: type[T], token: ServiceToken) -> tuple[T, Mapping[str, str]]:
        headers = {"Authorization": f"Bearer {token.reveal()}"}
        if call.content:
            headers["Content-Type"] = "application/json"
        target = call.path + query(call.query)
        response, body = await self._transport.send(
            call.operation, call.method, target, call.content, headers, admit=self._admit
        )
        if not response.is_success:
            raise failure(call, response.status_code, response.headers, body, token, self._clock)
        return read(call, response.status_code, response.headers, body, shape), response.headers

    def _admit(self) -> None:
        if self._pause.remaining:
            raise _PausedError


def _said(call: Call, message: str) -> StoreAnswer:
    return StoreAnswer(call.operation, None, message=message, method=call.method, path=call.path)
