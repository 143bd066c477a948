"""Control: faults, the request log, and the secrets a leak test looks for."""

from dataclasses import dataclass

from aiohttp import web

from local.emulator.context import Context
from local.emulator.control.input import number, pattern, read_input
from local.emulator.errors import ControlError
from local.emulator.faults import FaultRequest, Faults
from local.emulator.request_log import Filter, RequestLog
from local.emulator.service import Route, json_response

REQUESTS_SHOWN = 1000


def observation_routes(context: Context, faults: Faults, log: RequestLog) -> tuple[Route, ...]:
    """Return the routes under ``/faults`` and ``/requests``, and ``/secrets-in-use``."""
    observation = _Observation(context, faults, log)
    return (
        Route("POST", "/_emulator/faults", observation.add_fault),
        Route("GET", "/_emulator/faults", observation.list_faults),
        Route("DELETE", "/_emulator/faults", observation.clear_faults),
        Route("DELETE", "/_emulator/faults/{fault_id}", observation.remove_fault),
        Route("GET", "/_emulator/requests", observation.list_requests),
        Route("GET", "/_emulator/requests/summary", observation.summarize_requests),
        Route("DELETE", "/_emulator/requests", observation.clear_requests),
        Route("GET", "/_emulator/secrets-in-use", observation.list_secrets),
    )


@dataclass(frozen=True)
class _Observation:
    context: Context
    faults: Faults
    log: RequestLog

    async def add_fault(self, request: web.Request) -> web.Response:
        return json_response({"id": self.faults.add(await read_input(request, FaultRequest))}, 201)

    async def list_faults(self, _: web.Request) -> web.Response:
        return json_response({"faults": self.faults.listing()})

    async def remove_fault(self, request: web.Request) -> web.Response:
        if not self.faults.remove(request.match_info["fault_id"]):
            raise ControlError(404, f"there is no fault {request.match_info['fault_id']}")
        return web.Response(status=204)

    async def clear_faults(self, _: web.Request) -> web.Response:
        self.faults.clear()
        return web.Response(status=204)

    async def list_requests(self, request: web.Request) -> web.Response:
        """``count`` is of all matches; the oldest ``limit`` of them follow. ``since`` pages: the last ``seq`` seen."""
        query = request.query
        method = query.get("method")
        wanted = Filter(
            service=query.get("service"),
            path=pattern(query, "path"),
            method=None if method is None else method.upper(),
            since=number(query, "since", 0),
        )
        matches = list(self.log.select(wanted))
        shown = matches[: number(query, "limit", REQUESTS_SHOWN)]
        return json_response(
            {"count": len(matches), "lastSeq": self.log.last_seq, "requests": [entry.as_json() for entry in shown]}
        )

    async def summarize_requests(self, _: web.Request) -> web.Response:
        return json_response({"summary": self.log.summary()})

    async def clear_requests(self, _: web.Request) -> web.Response:
        self.log.clear()
        return web.Response(status=204)

    async def list_secrets(self, _: web.Request) -> web.Response:
        """Everything secret, in the clear, for the leak test alone: ``{"secrets": [{"kind", "value"}]}``.

        Client secrets and vault values held or withdrawn, the identity header, and the newest service tokens, X-tokens
        and User Store ID keys issued since the start. No private key of an emulated service is among them.
        """
        known = [{"kind": kind, "value": value} for kind, value in self.context.secrets.all(self.context.state)]
        return json_response({"secrets": known})
