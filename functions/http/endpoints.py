"""Makes an HTTP function of a handler: who may call, what it takes, what it answers, and how errors are told.

The same words describe the function to Azure, check every call, and are the source of the OpenAPI document.
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from azure.functions import AuthLevel, Blueprint, HttpRequest, HttpResponse

from functions.http.answers import JSON, Answer, to_response
from functions.http.bodies import MAX_BODY_BYTES, read_body
from functions.http.problems import to_answer, unforeseen
from functions.http.queries import Queries, Query, read_queries
from functions.parts import parts
from shared.correlation import HEADER, correlated, get_logger
from shared.errors import ForbiddenError, InputFault, NotFoundError, StorekeeperError, UnprocessableError

if TYPE_CHECKING:
    from shared.auth.callers import Caller, UserId

MAX_USER_ID_BYTES = 256

_log = get_logger(__name__)


class Access(Enum):
    """Who may call."""

    ANYONE = "anyone"
    PLAYER_OR_OPERATOR = "player or operator"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Call:
    """One call, its caller verified (None where anyone may call)."""

    request: HttpRequest
    caller: "Caller | None"
    query: Queries = field(default_factory=Queries)

    def body[T](self, shape: type[T], *, limit: int = MAX_BODY_BYTES) -> T:
        """The JSON body; raises as :func:`functions.http.bodies.read_body`."""
        return read_body(self.request, shape, limit=limit)

    def path(self, name: str) -> str:
        """A parameter of the route."""
        return str(self.request.route_params[name])

    def prefers(self, media_type: str) -> bool:
        """Whether ``Accept`` names this media type before JSON, in its own words: no ``*``, no weights."""
        accepted = [
            part.partition(";")[0].strip().lower() for part in self.request.headers.get("accept", "").split(",")
        ]
        named = [each for each in accepted if each in {media_type, JSON}]
        return named[:1] == [media_type]

    def user_id(self) -> "UserId":
        """Whom the path's ``userId`` means: a player is ``me`` (or their own id), an operator names anyone.

        :raises NotFoundError: another player's path, which is not this caller's to see.
        """
        # Hosts decode a path but for its slashes, which would part it anew.
        named = self.path("userId").replace("%2F", "/").replace("%2f", "/")
        if self.caller is None or not named:
            raise NotFoundError("No such user")
        if self.caller.kind == "player":
            if named not in {"me", self.caller.subject}:
                raise NotFoundError("A player acts on /users/me alone")
            named = self.caller.subject
        elif named == "me":
            raise NotFoundError("An operator is no player: name the user in place of me")
        if "%2f" in named.lower():
            detail = "A user id with %2F in it could not be told from one with a slash"
            raise UnprocessableError(detail, faults=(InputFault("userId", detail),))
        if len(named.encode()) > MAX_USER_ID_BYTES:
            detail = f"A user id has at most {MAX_USER_ID_BYTES} bytes"
            raise UnprocessableError(detail, faults=(InputFault("userId", detail),))
        from shared.auth.callers import UserId  # noqa: PLC0415 - with the first call, not with the app

        return UserId(named)


type Handler = Callable[[Call], Awaitable[Answer]]

type Shape = type[msgspec.Struct] | str
"""What a body is: JSON of a type, or a media type of its own."""

type Shapes = Shape | tuple[Shape, ...] | None
"""One shape, several to choose from, or no body."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is known of one HTTP function."""

    name: str
    method: Literal["GET", "PUT", "POST", "DELETE"]
    route: str
    access: Access
    summary: str
    body: Shapes
    answers: Mapping[int, Shapes]
    query: Mapping[str, Query]


def shapes_of(shapes: Shapes) -> tuple[Shape, ...]:
    """All the shapes of one body."""
    if shapes is None:
        return ()
    return shapes if isinstance(shapes, tuple) else (shapes,)


_endpoints: dict[str, Endpoint] = {}


def endpoints() -> list[Endpoint]:
    """All that were made, in the order of their registration."""
    return list(_endpoints.values())


def endpoint(
    blueprint: Blueprint,
    method: Literal["GET", "PUT", "POST", "DELETE"],
    route: str,
    *,
    access: Access,
    answers: Mapping[int, Shapes],
    body: Shapes = None,
    query: Mapping[str, Query] | None = None,
) -> Callable[[Handler], Handler]:
    """Register a handler as the HTTP function of its own name; the first line of its docstring is the summary."""

    def register(handler: Handler) -> Handler:
        name = handler.__name__
        summary = (handler.__doc__ or "").strip().partition("\n")[0]
        known = Endpoint(name, method, route, access, summary, body, answers, query or {})
        _endpoints[name] = known

        async def serve(req: HttpRequest) -> HttpResponse:
            return await _serve(handler, known, req)

        serve.__name__ = name
        decorated: Any = blueprint.route(route=route, methods=[method], auth_level=AuthLevel.ANONYMOUS)(serve)
        blueprint.function_name(name)(decorated)
        return handler

    return register


async def _serve(handler: Handler, known: Endpoint, request: HttpRequest) -> HttpResponse:
    with correlated(request.headers.get(HEADER)) as correlation_id:
        started = time.perf_counter()
        try:
            caller = await _admit(known.access, request)
            # Where nothing is declared nothing is looked at: strangers' parameters on a plain address do no harm.
            query = read_queries(request, known.query) if known.query else Queries()
            answer = await handler(Call(request, caller, query))
            response = to_response(answer, {HEADER: correlation_id})
        except StorekeeperError as error:
            _log.log(error.log_level, "%s: %s: %s", known.name, type(error).__name__, error)
            response = to_response(to_answer(error, correlation_id), {HEADER: correlation_id})
        except Exception:  # noqa: BLE001 - a caller gets a problem document, whatever failed
            _log.exception("%s failed in a way nobody foresaw", known.name)
            response = to_response(unforeseen(correlation_id), {HEADER: correlation_id})
        _log.info("%s %d in %.1f ms", known.name, response.status_code, (time.perf_counter() - started) * 1000)
        return response


async def _admit(access: Access, request: HttpRequest) -> "Caller | None":
    if access is Access.ANYONE:
        return None
    caller = await parts().callers.verify(request.headers.get("authorization"))
    if access is Access.OPERATOR and caller.kind != "operator":
        raise ForbiddenError("This is for operators")
    return caller
