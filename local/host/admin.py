"""The admin routes of a local host, like those of Core Tools: what there is, and run it now.

``GET /admin/functions``, ``GET /admin/host/status``, ``POST /admin/functions/{name}`` with ``{"input": "text"}``: 202
at once; with ``?wait=true`` (or a header ``wait: true``) 200 once it succeeded and 500 when it failed.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from local.host.functions import HTTP_TRIGGER, Function

log = logging.getLogger("local.host")

type Run = Callable[[str], Awaitable[bool]]
"""Runs a function now on an input; whether it succeeded."""

_FUNCTIONS = "/admin/functions"
_STATUS = "/admin/host/status"


class Admin:
    def __init__(self, functions: Sequence[Function], runs: dict[str, Run]) -> None:
        """:param runs: by lower-case name, of the functions that can be run from here."""
        self._functions = functions
        self._runs = runs
        self._tasks: set[asyncio.Task[bool]] = set()
        self._started = time.monotonic()

    async def answer(self, request: web.BaseRequest, path: str) -> web.Response | None:
        """The answer to a request for an admin route; None when it is not for one."""
        match request.method, path.removesuffix("/"):
            case "GET", "/admin/functions":
                return _json([_describe(function) for function in self._functions])
            case "GET", "/admin/host/status":
                uptime = int((time.monotonic() - self._started) * 1000)
                return _json({"state": "Running", "processUptime": uptime, "id": "local"})
            case "POST", target if target.startswith(f"{_FUNCTIONS}/"):
                return await self._run(request, target.removeprefix(f"{_FUNCTIONS}/"))
        return None

    async def stop(self, grace: float) -> None:
        """Waits for what was started here, then cancels it."""
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _run(self, request: web.BaseRequest, name: str) -> web.Response:
        run = self._runs.get(name.lower())
        if run is None:
            known = any(function.name.lower() == name.lower() for function in self._functions)
            return _problem(400, "an HTTP function is run by its route") if known else web.Response(status=404)
        try:
            body = json.loads(await request.read() or b"{}")
        except ValueError:
            return _problem(400, "the body is not JSON")
        given = body.get("input", "") if isinstance(body, dict) else None
        if given is None:
            return _problem(400, 'expected {"input": "text"}')
        task = asyncio.ensure_future(run(given if isinstance(given, str) else json.dumps(given)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        waits = request.query.get("wait") or request.headers.get("wait") or ""
        if waits.lower() != "true":
            return web.Response(status=202)
        return web.Response(status=200 if await asyncio.shield(task) else 500)


def _describe(function: Function) -> dict[str, object]:
    described: dict[str, object] = {
        "name": function.name,
        "trigger": function.trigger.type,
        "bindings": [function.trigger.raw, *(binding.raw for binding in function.outputs.values())],
    }
    if function.trigger.type == HTTP_TRIGGER:
        described["route"] = function.trigger.text("route")
    return described


def _json(content: object) -> web.Response:
    return web.Response(text=json.dumps(content), content_type="application/json")


def _problem(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text)
