"""One call, as a handler sees it."""

from dataclasses import dataclass, field

from azure.functions import HttpRequest

from functions.http.answers import JSON
from functions.http.bodies import MAX_BODY_BYTES, read_body
from functions.http.queries import Queries
from shared.auth.callers import Caller, UserId
from shared.errors import InputFault, NotFoundError, UnprocessableError

MAX_USER_ID_BYTES = 256


@dataclass(frozen=True, slots=True)
class Call:
    """One call, its caller verified (None where anyone may call)."""

    request: HttpRequest
    caller: Caller | None
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

    def user_id(self) -> UserId:
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
        return UserId(named)
