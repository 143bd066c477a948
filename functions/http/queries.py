"""Query parameters: declared once, checked at every call, described in the OpenAPI document."""

from collections import Counter
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
    """One query parameter. ``choices`` are the words that it may be; ``most`` is the greatest count.

    One that is ``repeated`` may be given several times; ``most`` is then how many values it may have.
    """

    meaning: str
    kind: Literal["text", "count"] = "text"
    required: bool = False
    choices: tuple[str, ...] = ()
    most: int | None = None
    repeated: bool = False

    def schema(self) -> dict[str, Any]:
        """The parameter's schema."""
        schema = dict(_KINDS[self.kind])
        if self.choices:
            schema = {"type": "string", "enum": list(self.choices)}
        if self.repeated:
            schema = {"type": "array", "items": schema}
            if self.most is not None:
                schema["maxItems"] = self.most
        elif self.most is not None:
            schema["maximum"] = self.most
        return schema


@dataclass(frozen=True, slots=True)
class Queries:
    """The parameters of one call, checked."""

    values: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def text(self, name: str) -> str | None:
        """A parameter; None where it was not given."""
        return self.values.get(name)

    def needed(self, name: str) -> str:
        """A required parameter."""
        return self.values[name]

    def all(self, name: str) -> tuple[str, ...]:
        """The values of a repeated parameter, in the order in which they were given, each once."""
        return self.lists.get(name, ())

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
    times = Counter(name for name, _ in pairs)
    faults = [fault for name, value in pairs if (fault := _fault(name, value, declared, times[name]))]
    given = {name: value for name, value in pairs if value}
    faults += [
        InputFault(f"?{name}", "is required")
        for name, query in declared.items()
        if query.required and name not in given
    ]
    if faults:
        raise BadRequestError("The query cannot be read", faults=tuple(dict.fromkeys(faults)))
    repeated = {name for name, query in declared.items() if query.repeated}
    lists: dict[str, dict[str, None]] = {}
    for name, value in pairs:
        if value and name in repeated:
            lists.setdefault(name, {})[value] = None
    single = {name: value for name, value in given.items() if name not in repeated}
    return Queries(single, {name: tuple(values) for name, values in lists.items()})


def _fault(name: str, value: str, declared: Mapping[str, Query], times: int) -> InputFault | None:
    query = declared.get(name)
    where = f"?{name[:64]}"
    if query is None:
        known = ", ".join(declared) or "none"
        return InputFault(where, f"no such parameter; known here: {known}")
    if times > 1 and not query.repeated:
        return InputFault(where, "is given twice")
    if query.repeated and query.most is not None and times > query.most:
        return InputFault(where, f"is given {times} times; at most {query.most} are accepted")
    return _fault_of_value(where, value, query)


def _fault_of_value(where: str, value: str, query: Query) -> InputFault | None:
    if query.choices and value and value not in query.choices:
        return InputFault(where, f"expected one of {', '.join(query.choices)}")
    greatest = None if query.repeated else query.most
    if query.kind == "count" and value and not _is_count(value, greatest):
        return InputFault(where, f"expected a whole number from 1{'' if greatest is None else f' to {greatest}'}")
    if len(value) > _LONGEST:
        return InputFault(where, f"has more than {_LONGEST} characters")
    return None


def _is_count(value: str, most: int | None) -> bool:
    return value.isascii() and value.isdecimal() and len(value) <= 9 and 1 <= int(value) <= (most or 10**9)
