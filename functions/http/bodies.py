"""Reads JSON bodies strictly, and says where what is wrong."""

import json
import re
from typing import Any

import msgspec
from azure.functions import HttpRequest

from shared.errors import BadRequestError, InputFault, PayloadTooLargeError, UnsupportedMediaTypeError

MAX_BODY_BYTES = 64 * 1024


class _DuplicateKeyError(ValueError):
    pass


def read_body[T](request: HttpRequest, shape: type[T], *, limit: int = MAX_BODY_BYTES) -> T:
    """The request's body as ``shape``.

    :raises PayloadTooLargeError: more than ``limit`` bytes.
    :raises UnsupportedMediaTypeError: not ``application/json``.
    :raises BadRequestError: not UTF-8, not JSON, a name given twice, or not of that shape.
    """
    body = request.get_body()
    if len(body) > limit:
        detail = f"The body has {len(body)} bytes; at most {limit} are accepted"
        raise PayloadTooLargeError(detail, faults=(InputFault("", detail),))
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = re.search(r"charset\s*=\s*\"?([^\s;\"]+)", parameters, re.IGNORECASE)
    if media_type.strip().lower() != "application/json" or (charset and charset[1].lower() != "utf-8"):
        detail = "Send the body as application/json in UTF-8"
        raise UnsupportedMediaTypeError(detail, faults=(InputFault("Content-Type", detail),))
    try:
        return msgspec.convert(_parse(body), shape)
    except msgspec.ValidationError as error:
        pointer, detail = _located(str(error))
        raise BadRequestError("The body is not of the expected shape", faults=(InputFault(pointer, detail),)) from error


def _parse(body: bytes) -> Any:
    """The standard parser, since it alone shows names that are given twice: which of two wins is nobody's to guess."""
    try:
        parsed = json.loads(body.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
        json.dumps(parsed, ensure_ascii=False).encode()  # half a surrogate pair is an escape in JSON, but no text
    except UnicodeDecodeError as error:
        raise _unreadable(f"the body is not UTF-8 (byte {error.start})") from error
    except _DuplicateKeyError as error:
        raise _unreadable(str(error)) from error
    except json.JSONDecodeError as error:
        raise _unreadable(f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from error
    except (ValueError, RecursionError) as error:
        raise _unreadable("not JSON that can be read") from error
    return parsed


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = ""
        for name, _ in pairs:
            if name in seen:
                twice = name
            seen.add(name)
        raise _DuplicateKeyError(f"the name {twice[:64]!r} is given twice")
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _unreadable(detail: str) -> BadRequestError:
    return BadRequestError("The body cannot be read", faults=(InputFault("", detail),))


def _located(message: str) -> tuple[str, str]:
    """msgspec's message, such as ``Expected `str`, got `int` - at `$.key` ``, as a JSON pointer and the rest.

    Its messages name types and places, and fields that nobody knows; never values.
    """
    found = re.fullmatch(r"(?P<detail>.*?)(?: - at `(?P<path>.*)`)?", message, re.DOTALL)
    path = (found["path"] if found else None) or "$"
    detail = found["detail"] if found else message
    steps = re.findall(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]", path)
    missing = re.search(r"missing required field `(.+?)`", detail)
    pointer = "".join("/" + (name or index).replace("~", "~0").replace("/", "~1") for name, index in steps)
    return pointer + (f"/{missing[1]}" if missing else ""), detail
