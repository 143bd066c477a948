"""Query parameters: declared once, checked at every call, described in the OpenAPI document."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl, urlsplit

from azure.functions import HttpRequest

from shared.errors import BadRequestError, InputFault

_KINDS: dict[str, dict[str, Any]] = {
    "text": {"type": "string", "maxLength": 1024},
    "count": {"type": "integer", "minimum": 1},
}
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Query:
    """One query parameter. ``choices`` are the words that it may be; ``most`` is the greatest count."""

    meaning: str
    kind: Literal["text", "count"] = "text"
    required: bool = False
    choices: tuple[str, ...] = ()
    most: int | None = None

    def schema(self) -> dict[str, Any]:
        """The parameter's schema."""
        schema = dict(_KINDS[self.kind])
        if self.choices:
            schema = {"type": "string", "enum": list(self.choices)}
        if self.most is not None:
            schema["maximum"] = self.most
        return schema


@dataclass(frozen=True, slots=True)
class Queries:
    """The parameters of one call, checked."""

    values: Mapping[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str | None:
        """A parameter; None where it was not given."""
        return self.values.get(name)

    def needed(self, name: str) -> str:
        """A required parameter."""
        return self.values[name]

    def count(self, name: str, default: int) -> int:
        """A parameter that counts something."""
        return int(self.values[name]) if name in self.values else default


def read_queries(request: HttpRequest, declared: Mapping[str, Query]) -> Queries:
    """What the address says after its ``?``.

    A name that nobody knows is refused, since a filter that is misspelled would silently filter nothing.

    :raises BadRequestError: a name unknown, given twice or missing, or a value that is not of its kind.
    """
    # The host gives repeated parameters by the address alone.
    pairs = parse_qsl(urlsplit(request.url).query, keep_blank_values=True)
    faults = [fault for name, value in pairs if (fault := _fault(name, value, declared, pairs))]
    given = dict(pairs)
    faults += [
        InputFault(f"?{name}", "is required")
        for name, query in declared.items()
        if query.required and not given.get(name)
    ]
    if faults:
        raise BadRequestError("The query cannot be read", faults=tuple(dict.fromkeys(faults)))
    return Queries({name: value for name, value in given.items() if value})


def _fault(name: str, value: str, declared: Mapping[str, Query], pairs: list[tuple[str, str]]) -> InputFault | None:
    query = declared.get(name)
    where = f"?{name[:64]}"
    if query is None:
        known = ", ".join(declared) or "none"
        return InputFault(where, f"no such parameter; known here: {known}")
    if sum(other == name for other, _ in pairs) > 1:
        return InputFault(where, "is given twice")
    if query.choices and value and value not in query.choices:
        return InputFault(where, f"expected one of {', '.join(query.choices)}")
    if query.kind == "count" and value and not _is_count(value, query.most):
        return InputFault(where, f"expected a whole number from 1{'' if query.most is None else f' to {query.most}'}")
    if len(value) > _LONGEST:
        return InputFault(where, f"has more than {_LONGEST} characters")
    return None


def _is_count(value: str, most: int | None) -> bool:
    return value.isascii() and value.isdecimal() and len(value) <= 9 and 1 <= int(value) <= (most or 10**9)
