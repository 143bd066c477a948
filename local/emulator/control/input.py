"""Reading the control API's input: typed, strict, and clear about what is wrong."""

import re
from collections.abc import Mapping

import msgspec
from aiohttp import web

from local.emulator.errors import ControlError


class Input(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Base of every body of the control API: camelCase, unknown fields refused."""


async def read_input[T](request: web.Request, kind: type[T]) -> T:
    """Return the JSON body as ``kind``; an empty body means ``{}``.

    :raises ControlError: 400, naming the field and what was expected.
    """
    try:
        return msgspec.json.decode(await request.read() or b"{}", type=kind)
    except msgspec.DecodeError as error:
        raise ControlError(400, f"bad body: {error}") from error


def number(query: Mapping[str, str], name: str, default: int) -> int:
    """Return a query parameter that is a whole number of 0 or more.

    :raises ControlError: 400.
    """
    text = query.get(name)
    if text is None:
        return default
    if not text.isdecimal():
        raise ControlError(400, f"query parameter {name} must be a whole number, not {text!r}")
    return int(text)


def pattern(query: Mapping[str, str], name: str) -> re.Pattern[str] | None:
    """Return a query parameter that is a regular expression.

    :raises ControlError: 400.
    """
    text = query.get(name)
    if text is None:
        return None
    try:
        return re.compile(text)
    except re.error as error:
        raise ControlError(400, f"query parameter {name} is not a regular expression: {error}") from error
