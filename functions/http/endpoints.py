"""Makes an HTTP function of a handler: what it takes, what it answers, who is let in, and how errors are told.

The same words check every call and are the source of the OpenAPI document.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import msgspec
from azure.functions import HttpRequest, HttpResponse

from functions.http.answers import Answer, to_response
from functions.http.calls import Call
from functions.http.problems import to_answer, unforeseen
from functions.http.queries import Queries, Query, read_queries
from functions.parts import parts
from functions.subject import Access, Route
from shared.auth.callers import Caller
from shared.correlation import HEADER, correlated, get_logger
from shared.errors import ForbiddenError, StorekeeperError

_log = get_logger(__name__)

type Handler = Callable[[Call], Awaitable[Answer]]

type Shape = type[msgspec.Struct] | str
"""What a body is: JSON of a type, or a media type of its own."""

type Shapes = Shape | tuple[Shape, ...] | None
"""One shape, several to choose from, or no body."""


def shapes_of(shapes: Shapes) -> tuple[Shape, ...]:
    """All the shapes of one body."""
    if shapes is None:
        return ()
    return shapes if isinstance(shapes, tuple) else (shapes,)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A handler of calls, and what it takes and answers."""

    handler: Handler
    body: Shapes
    answers: Mapping[int, Shapes]
    query: Mapping[str, Query]

    @property
    def summary(self) -> str:
        """What it does, in a line."""
        return (self.handler.__doc__ or "").strip().partition("\n")[0]


def endpoint(
    *, answers: Mapping[int, Shapes], body: Shapes = None, query: Mapping[str, Query] | None = None
) -> Callable[[Handler], Endpoint]:
    """The HTTP function of a handler; the first line of the handler's docstring is its summary."""

    def made_of(handler: Handler) -> Endpoint:
        return Endpoint(handler, body, answers, query or {})

    return made_of


async def serve(route: Route, find: Callable[[], Endpoint], request: HttpRequest) -> HttpResponse:
    """One call, from whoever it comes.

    ``find`` gives its endpoint and may have to load it: not for strangers, and where it cannot, that is told as any
    fault of ours.
    """
    with correlated(request.headers.get(HEADER)) as correlation_id:
        started = time.perf_counter()
        try:
            caller = await _admit(route.access, request)
            found = find()
            # Where nothing is declared nothing is looked at: strangers' parameters on a plain address do no harm.
            query = read_queries(request, found.query) if found.query else Queries()
            answer = await found.handler(Call(request, caller, query))
            response = to_response(answer, {HEADER: correlation_id})
        except StorekeeperError as error:
            _log.log(error.log_level, "%s: %s: %s", route.name, type(error).__name__, error)
            response = to_response(to_answer(error, correlation_id), {HEADER: correlation_id})
        except Exception:  # noqa: BLE001 - a caller gets a problem document, whatever failed
            _log.exception("%s failed in a way nobody foresaw", route.name)
            response = to_response(unforeseen(correlation_id), {HEADER: correlation_id})
        _log.info("%s %d in %.1f ms", route.name, response.status_code, (time.perf_counter() - started) * 1000)
        return response


async def _admit(access: Access, request: HttpRequest) -> Caller | None:
    if access is Access.ANYONE:
        return None
    caller = await parts().core.callers.verify(request.headers.get("authorization"))
    if access is Access.OPERATOR and caller.kind != "operator":
        raise ForbiddenError("This is for operators")
    return caller
