"""Reading the body of a Store call: names in any case, values of exactly the type that the contract gives them.

The service does not mind the case of names: its own examples spell ``key`` and ``Key`` (reference, section 3).
"""

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from aiohttp import web

from local.emulator.errors import StoreError

_MOST = 2**31 - 1


@dataclass(frozen=True)
class Fields:
    """One JSON object of a request. ``source`` is what errors call the service; ``null`` is as good as left out.

    Every method raises :class:`StoreError` 400 ``InvalidParameter``, naming the field, when the value is not right.
    """

    values: Mapping[str, object]
    source: str

    def get(self, name: str) -> object:
        """Return a value as it came, or ``None``."""
        return self.values.get(name.lower())

    def wrong(self, name: str, why: str) -> StoreError:
        """Return the error for a field."""
        return StoreError(400, self.source, "InvalidParameter", f"{name} {why}.", field=name)

    def text(self, name: str) -> str:
        """Return a string that must be there and not empty."""
        value = self.get(name)
        if not isinstance(value, str) or not value:
            raise self.wrong(name, "must be a string")
        return value

    def optional_text(self, name: str) -> str | None:
        """Return a string, or ``None`` when it is left out."""
        value = self.get(name)
        if value is not None and not isinstance(value, str):
            raise self.wrong(name, "must be a string")
        return value

    def guid(self, name: str) -> str:
        """Return a GUID in its usual form."""
        try:
            return str(uuid.UUID(self.text(name)))
        except ValueError:
            raise self.wrong(name, "must be a GUID") from None

    def flag(self, name: str, *, default: bool) -> bool:
        """Return a Boolean."""
        value = self.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(name, "must be true or false")
        return value

    def whole(self, name: str, *, least: int = 1, most: int = _MOST, default: int | None = None) -> int:
        """Return a whole number from ``least`` to ``most``; with no ``default`` it must be there."""
        value = self.get(name)
        if value is None and default is not None:
            return default
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self.wrong(name, f"must be a whole number from {least} to {most}")
        return value

    def one_of[T: str](self, name: str, known: Sequence[T], default: T | None = None) -> T:
        """Return one of the words that are known, in the spelling of the contract; their case does not matter."""
        value = self.get(name)
        if value is None and default is not None:
            return default
        for word in known:
            if isinstance(value, str) and value.lower() == word.lower():
                return word
        raise self.wrong(name, f"must be one of {', '.join(known)}")

    def texts(self, name: str) -> list[str] | None:
        """Return a list of strings, or ``None`` when it is left out."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.wrong(name, "must be a list of strings")
        return value

    def objects(self, name: str) -> "list[Fields] | None":
        """Return a list of objects, or ``None`` when it is left out."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
            raise self.wrong(name, "must be a list of objects")
        return [_fields(each, self.source) for each in value]

    def object(self, name: str) -> "Fields":
        """Return an object that must be there."""
        value = self.get(name)
        if not isinstance(value, dict):
            raise self.wrong(name, "must be an object")
        return _fields(value, self.source)


async def read_fields(request: web.Request, source: str) -> Fields:
    """Return the body of a Store call.

    :raises StoreError: 415 for another content type, 400 for what is no JSON object.
    """
    if request.content_type != "application/json":
        raise StoreError(415, source, "UnsupportedMediaType", "Only application/json is supported.")
    try:
        body = msgspec.json.decode(await request.read(), type=dict[str, object])
    except msgspec.DecodeError as error:
        raise StoreError(400, source, "InvalidParameter", f"The body is not valid: {error}") from error
    return _fields(body, source)


def _fields(values: Mapping[str, object], source: str) -> Fields:
    return Fields({name.lower(): value for name, value in values.items()}, source)
