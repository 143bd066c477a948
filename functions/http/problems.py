"""Errors as problem documents (RFC 9457)."""

import math

import msgspec

from functions.http.answers import Answer
from shared.errors import InputFault, StateConflictError, StorekeeperError, UnauthenticatedError, UnavailableError

PROBLEM_JSON = "application/problem+json"


class FaultBody(msgspec.Struct):
    """One fault of the input, and where: an RFC 6901 JSON pointer into the body (empty: the whole), or ``?name``."""

    pointer: str
    detail: str


class Problem(msgspec.Struct, rename="camel", omit_defaults=True):
    """What went wrong. ``correlationId`` finds it in the logs; ``errors`` lists the faults of a bad input."""

    type: str
    title: str
    status: int
    detail: str
    correlation_id: str
    errors: list[FaultBody] = []


def to_answer(error: StorekeeperError, correlation_id: str) -> Answer:
    """The answer that tells a caller of an error."""
    headers = {}
    if isinstance(error, UnavailableError | StateConflictError) and error.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after)))
    if isinstance(error, UnauthenticatedError):
        headers["WWW-Authenticate"] = "Bearer"
    return _answer(type(error).__name__, error.title, error.status, error.detail, error.faults, correlation_id, headers)


def unforeseen(correlation_id: str) -> Answer:
    """The answer to a caller whose request met a fault of ours. What it was stands in the log alone."""
    detail = "Storekeeper failed in a way nobody foresaw; the log has more under the correlation id"
    return _answer("InternalError", "Internal error", 500, detail, (), correlation_id, {})


def _answer(
    name: str,
    title: str,
    status: int,
    detail: str,
    faults: tuple[InputFault, ...],
    correlation_id: str,
    headers: dict[str, str],
) -> Answer:
    kind = f"urn:storekeeper:problem:{name.removesuffix('Error')}"
    errors = [FaultBody(fault.pointer, fault.detail) for fault in faults]
    return Answer(status, Problem(kind, title, status, detail, correlation_id, errors), headers, PROBLEM_JSON)
