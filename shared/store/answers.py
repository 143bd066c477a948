"""Reads the Store's answers: the value of a success, or the error that a failure is. Pure."""

import re
from collections.abc import Mapping

import msgspec

from shared.clock import Clock
from shared.retry_after import parse_retry_after
from shared.store.errors import (
    StoreAnswer,
    StoreCredentialsError,
    StoreError,
    StoreRefusedError,
    StoreThrottledError,
    StoreUnknownError,
)

DEFAULT_RETRY_AFTER = 60.0
"""Seconds to wait after a 429 that names none."""

MAX_TEXT = 512

_TOKEN = re.compile(r"eyJ[\w-]{8,}(?:\.[\w-]*){0,2}|(?i:\bbearer\s+)[^\s\"'<,;]{16,}")


class _InnerError(msgspec.Struct):
    code: object = None
    message: object = None


class _ErrorBody(msgspec.Struct):
    """The error body of reference section 0; all optional, since throttling answers have a shape of their own."""

    code: object = None
    message: object = None
    innererror: object = None


def failure(operation: str, status: int, headers: Mapping[str, str], body: bytes, clock: Clock) -> StoreError:
    """The error that an answer other than 2xx is."""
    try:
        parsed = msgspec.json.decode(body, type=_ErrorBody)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        parsed = _ErrorBody()
    inner = _InnerError()
    if isinstance(parsed.innererror, dict):
        inner = _InnerError(parsed.innererror.get("code"), parsed.innererror.get("message"))
    answer = StoreAnswer(
        operation,
        status,
        _bounded(parsed.code),
        _bounded(inner.code),
        _bounded(inner.message) or _bounded(parsed.message),
        headers.get("MS-RequestId"),
    )
    retry_after = parse_retry_after(headers.get("Retry-After"), clock)
    if status == 429:
        return StoreThrottledError(answer, DEFAULT_RETRY_AFTER if retry_after is None else retry_after)
    return error_of(answer, status, retry_after)


def error_of(answer: StoreAnswer, status: int, retry_after: float | None) -> StoreError:
    """The error that ``status`` is, at every service of the Store; what is throttling is the service's own affair."""
    if status == 401:
        return StoreCredentialsError(answer, retry_after)
    if status == 408 or status >= 500 or status < 400:
        return StoreUnknownError(answer, retry_after)
    return StoreRefusedError(answer, retry_after)


def success[T](operation: str, status: int, headers: Mapping[str, str], body: bytes, shape: type[T]) -> T:
    """The value that a 2xx answer holds; unknown fields are ignored.

    :raises StoreUnknownError: the body is not of that shape, so that nobody knows what happened.
    """
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        answer = StoreAnswer(operation, status, message="unreadable answer", request_id=headers.get("MS-RequestId"))
        raise StoreUnknownError(answer) from error


def without_tokens(text: str) -> str:
    """The text of an answer with all that looks like a key or a token masked: a service may repeat what it was sent."""
    return _TOKEN.sub("***", text)


def _bounded(text: object) -> str | None:
    return without_tokens(text)[:MAX_TEXT] if text and isinstance(text, str) else None
