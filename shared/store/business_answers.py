"""Reads the answers of Store for Business. Pure.

No page documents the body of an error: the tables of its operations speak of a code, a description and a data field
with a reason and an item type. So those words are looked for in whatever came (reference, section "Operations").
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any

import msgspec

from shared.clock import Clock
from shared.retry_after import parse_retry_after
from shared.secret import Secret
from shared.store.answers import MAX_TEXT, error_of, without_tokens
from shared.store.errors import StoreAnswer, StoreError, StoreThrottledError, StoreUnknownError

MAX_RAW_BYTES = 2048
MAX_ERROR_BYTES = 64 * 1024
"""How much of an error's body is looked at."""

UNNAMED_PAUSE = 5.0
"""Seconds to wait after a 429 that names none."""

REQUEST_IDS = ("MS-RequestId", "x-ms-request-id", "request-id", "x-correlation-id")
"""The header with the service's id of a request has no documented name: the first of these."""

_WORDS = {"code": "code", "reason": "reason", "itemtype": "item_type", "description": "message", "message": "message"}
_MAX_NODES = 200


@dataclass(frozen=True, slots=True)
class Call:
    """One call: what an error says of itself, and what goes over the wire."""

    operation: str
    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    content: bytes | None = field(default=None, repr=False)


def read[T](call: Call, status: int, headers: Mapping[str, str], body: bytes, shape: type[T]) -> T:
    """The value that a 2xx answer holds; unknown fields are ignored, and a null where none belongs is no field.

    :raises StoreUnknownError: the body is not of that shape, so that nobody knows what happened.
    """
    try:
        try:
            return msgspec.json.decode(body, type=shape, dec_hook=_secret)
        except msgspec.ValidationError:
            return msgspec.convert(_without_nulls(msgspec.json.decode(body)), shape, dec_hook=_secret)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise StoreUnknownError(_answer(call, status, headers, message="unreadable answer")) from error


def failure(
    call: Call, status: int, headers: Mapping[str, str], body: bytes, token: Secret, clock: Clock
) -> StoreError:
    """The error that an answer other than 2xx is; ``token`` is masked where the body repeats it."""
    text = without_tokens(body[:MAX_ERROR_BYTES].decode("utf-8", "replace").replace(token.reveal(), "***"))
    raw = text.encode()[:MAX_RAW_BYTES].decode("utf-8", "ignore")
    answer = _answer(call, status, headers, raw=raw or None, **_facts(text))
    retry_after = parse_retry_after(headers.get("Retry-After"), clock)
    if status == 429 or (status == 503 and retry_after is not None):
        return StoreThrottledError(answer, UNNAMED_PAUSE if retry_after is None else retry_after)
    return error_of(answer, status, retry_after)


def answered_on(headers: Mapping[str, str]) -> datetime | None:
    """The ``Date`` header, in UTC; None where it is absent or unreadable."""
    try:
        moment = parsedate_to_datetime(headers.get("Date", ""))
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _answer(call: Call, status: int, headers: Mapping[str, str], **facts: str | None) -> StoreAnswer:
    request_id = next((found[:MAX_TEXT] for name in REQUEST_IDS if (found := headers.get(name))), None)
    return StoreAnswer(call.operation, status, request_id=request_id, method=call.method, path=call.path, **facts)


def _facts(text: str) -> dict[str, str]:
    """The words that we know, from whatever JSON this is; the outermost of each."""
    try:
        level: list[Any] = [msgspec.json.decode(text)]
    except (msgspec.DecodeError, RecursionError):
        return {}
    facts: dict[str, str] = {}
    seen = 0
    while level and seen < _MAX_NODES:
        inner: list[Any] = []
        for node in islice(level, _MAX_NODES - seen):
            seen += 1
            if isinstance(node, dict):
                _note(node, facts)
                inner += node.values()
            elif isinstance(node, list):
                inner += node
        level = inner
    return facts


def _note(node: dict[str, Any], facts: dict[str, str]) -> None:
    for name, value in node.items():
        fact = _WORDS.get(name.lower())
        if fact and isinstance(value, str | int) and value != "":
            facts.setdefault(fact, str(value)[:MAX_TEXT])


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nulls(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value if each is not None]
    return value


def _secret(shape: type, value: object) -> object:
    if issubclass(shape, Secret) and isinstance(value, str):
        return shape(value)
    raise TypeError("not a text")
