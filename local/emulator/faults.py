"""Misbehavior on request: latency, refusals before or after the effect, dropped connections.

A fault selects requests by service, method and path and carries one effect. Faults live in memory only.
"""

import asyncio
import random
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web

from local.emulator.service import Service, json_response

When = Literal["before", "after"]
ServiceName = Literal["entra", "vault", "collections", "purchase", "business", "cdn", "issuers", "msi", "*"]


class Effect(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """What happens to a request.

    ``latency_ms`` alone delays it. ``status`` answers in its place with ``body`` (any JSON, or a string sent as it is;
    by default the service's own error shape) and ``retry_after`` (seconds, or an HTTP date). ``when`` is ``after`` for
    an answer that replaces the real one once the effect has taken place. ``drop`` closes the connection instead.
    """

    latency_ms: Annotated[float, msgspec.Meta(ge=0)] = 0
    status: Annotated[int, msgspec.Meta(ge=200, le=599)] | None = None
    body: Any = msgspec.UNSET
    retry_after: int | str | None = None
    when: When = "before"
    drop: When | None = None

    def __post_init__(self) -> None:
        """Refuse effects that contradict themselves or do nothing; msgspec reports a ``ValueError`` with its path."""
        if self.status is None and (self.body is not msgspec.UNSET or self.retry_after is not None):
            raise ValueError("body and retryAfter need a status")
        if self.status is not None and self.drop is not None:
            raise ValueError("status and drop exclude each other")
        if self.status is None and self.drop is None and not self.latency_ms:
            raise ValueError("needs at least one of latencyMs, status and drop")


class FaultRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """The body of ``POST /_emulator/faults``.

    ``path`` is a regular expression searched for in the request's path. The first ``after`` matches are let through,
    then ``times`` (forever by default) are hit, each with ``probability``.
    """

    service: ServiceName
    effect: Effect
    method: str | None = None
    path: str | None = None
    times: Annotated[int, msgspec.Meta(ge=1)] | None = None
    after: Annotated[int, msgspec.Meta(ge=0)] = 0
    probability: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1

    def __post_init__(self) -> None:
        """Refuse a ``path`` that is no regular expression."""
        if self.path is not None:
            try:
                re.compile(self.path)
            except re.error as error:
                raise ValueError(f"path is not a regular expression: {error}") from error


class Fault:
    """A fault at work: its request, and how often it matched and struck."""

    def __init__(self, fault_id: str, request: FaultRequest) -> None:
        self.id = fault_id
        self.request = request
        self.matched = 0
        self.applied = 0
        self._path = re.compile(request.path or "")

    def strikes(self, service: str, request: web.Request) -> bool:
        """Count the request if it matches, and say whether this fault acts on it."""
        wanted = self.request
        if wanted.service not in {service, "*"} or (wanted.method or request.method).upper() != request.method:
            return False
        if not self._path.search(request.path):
            return False
        self.matched += 1
        if self.matched <= wanted.after or (wanted.times is not None and self.applied >= wanted.times):
            return False
        if random.random() >= wanted.probability:
            return False
        self.applied += 1
        return True

    def as_json(self) -> dict[str, object]:
        """Return the fault as the control API shows it."""
        shown: dict[str, object] = msgspec.to_builtins(self.request)
        return {"id": self.id, **shown, "matched": self.matched, "applied": self.applied}


class Faults:
    """All faults in force, in the order of their making."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}
        self._made = 0

    def add(self, request: FaultRequest) -> str:
        """Put a fault in force and return its id."""
        self._made += 1
        fault_id = f"fault-{self._made}"
        self._faults[fault_id] = Fault(fault_id, request)
        return fault_id

    def listing(self) -> list[dict[str, object]]:
        """Return all faults with their counts."""
        return [fault.as_json() for fault in self._faults.values()]

    def remove(self, fault_id: str) -> bool:
        """Lift one fault; false when there is none of that id."""
        return self._faults.pop(fault_id, None) is not None

    def clear(self) -> None:
        """Lift all faults."""
        self._faults.clear()

    async def apply(
        self, service: Service, request: web.Request, answer: Callable[[], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse | None:
        """Return the answer as the faults leave it, or ``None`` when the connection must be closed without one.

        Latencies add up; the first fault with a status or a drop decides and later faults do not see the request.
        """
        latency = 0.0
        verdict: Effect | None = None
        for fault in list(self._faults.values()):
            if fault.strikes(service.name, request):
                effect = fault.request.effect
                latency += effect.latency_ms
                if effect.status is not None or effect.drop is not None:
                    verdict = effect
                    break
        if latency:
            await asyncio.sleep(latency / 1000)
        if verdict is None:
            return await answer()
        if (verdict.drop or verdict.when) == "after":
            await answer()
        if verdict.drop is not None:
            return None
        return _replacement(verdict, service)


def _replacement(effect: Effect, service: Service) -> web.Response:
    status = effect.status or 500
    headers = {} if effect.retry_after is None else {"Retry-After": str(effect.retry_after)}
    if effect.body is msgspec.UNSET:
        return json_response(service.error_body(status), status, headers)
    if isinstance(effect.body, str):
        return web.Response(text=effect.body, status=status, headers=headers)
    return json_response(effect.body, status, headers)
