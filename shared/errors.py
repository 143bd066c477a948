"""The errors that a caller can meet.

Each knows its HTTP status, says what was wrong in words for the caller, and whether another try is worth it::

    StorekeeperError
    ├── BadRequestError            400  the request cannot be read
    ├── UnauthenticatedError       401  no valid token
    ├── ForbiddenError             403  a valid token of the wrong kind
    ├── NotFoundError              404  does not exist, or is not yours to see
    ├── StateConflictError         409  not as things stand
    ├── PayloadTooLargeError       413
    ├── UnsupportedMediaTypeError  415
    ├── UnprocessableError         422  can be read, cannot be accepted
    ├── BadGatewayError            502  another service answered what makes no sense; an operator must look
    └── UnavailableError           503  a service behind us is away; Retry-After says when to come again
"""

import logging
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class InputFault:
    """One fault of an input.

    ``pointer`` is an RFC 6901 JSON pointer (empty: the whole body), a header's name, or ``?`` and a query parameter's.
    """

    pointer: str
    detail: str


class StorekeeperError(Exception):
    """What every error here shares. ``detail`` is shown to the caller and must hold no secret."""

    status: ClassVar[int]
    title: ClassVar[str]
    log_level: ClassVar[int] = logging.INFO

    def __init__(self, detail: str, *, faults: tuple[InputFault, ...] = ()) -> None:
        super().__init__(detail)
        self.detail = detail
        self.faults = faults


class BadRequestError(StorekeeperError):
    status = 400
    title = "The request cannot be read"


class UnauthenticatedError(StorekeeperError):
    status = 401
    title = "A valid bearer token is needed"


class ForbiddenError(StorekeeperError):
    status = 403
    title = "This token does not allow that"


class NotFoundError(StorekeeperError):
    status = 404
    title = "Not found"


class StateConflictError(StorekeeperError):
    """``retry_after`` is in seconds, where time alone will change how things stand."""

    status = 409
    title = "That conflicts with how things stand"

    def __init__(self, detail: str, *, faults: tuple[InputFault, ...] = (), retry_after: float | None = None) -> None:
        super().__init__(detail, faults=faults)
        self.retry_after = retry_after


class PayloadTooLargeError(StorekeeperError):
    status = 413
    title = "The body is too large"


class UnsupportedMediaTypeError(StorekeeperError):
    status = 415
    title = "The body's content type is not supported"


class UnprocessableError(StorekeeperError):
    status = 422
    title = "The input cannot be accepted"


class BadGatewayError(StorekeeperError):
    status = 502
    title = "A service behind Storekeeper refused us"
    log_level = logging.ERROR


class UnavailableError(StorekeeperError):
    """A service behind us is away. ``dependency`` names it; ``retry_after`` is in seconds."""

    status = 503
    log_level = logging.WARNING
    title = "A service behind Storekeeper is unavailable"

    def __init__(self, dependency: str, detail: str, *, retry_after: float = 5.0) -> None:
        super().__init__(f"{dependency}: {detail}")
        self.dependency = dependency
        self.retry_after = retry_after
