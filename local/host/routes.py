"""Routes as Azure matches them (ASP.NET Core's rules): ``{param}``, ``{param?}``, ``{*rest}``, ``{param:constraint}``.

Literals are compared without regard to case and win over parameters; a trailing slash does not matter; a route whose
method does not fit is as if it were not there, so the wrong method on a path is a 404.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from local.host.errors import StartError
from local.host.functions import Function

ALL_METHODS = ("GET", "POST", "DELETE", "HEAD", "PATCH", "PUT", "OPTIONS", "QUERY")

_PARAMETER = re.compile(r"\{([^{}]*)\}")
_SPECIFICATION = re.compile(r"(\*{0,2})(\w+)((?::[^:?]+)*)(\?)?")
_CONSTRAINTS = {
    "int": r"-?\d+",
    "long": r"-?\d+",
    "guid": r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}",
    "alpha": r"[a-zA-Z]+",
    "bool": r"(?i:true|false)",
}
_SLASH = re.compile("%2f", re.IGNORECASE)

# How well a segment tells its path, best first; compared segment by segment.
_LITERAL, _CONSTRAINED, _FREE, _REST = "1", "2", "3", "4"


@dataclass(frozen=True, slots=True)
class _Route:
    function: Function
    pattern: re.Pattern[str]
    precedence: str


class Router:
    """Finds the function of a method and path.

    :raises StartError: a template is malformed, or uses a constraint that is not supported.
    """

    def __init__(self, functions: Iterable[Function], prefix: str) -> None:
        self._routes: dict[str, list[_Route]] = {}
        self._literal: dict[tuple[str, str], Function] = {}
        for function in functions:
            methods = function.trigger.raw.get("methods") or ALL_METHODS
            self._add(function, prefix, [str(method).upper() for method in methods])
        for routes in self._routes.values():
            routes.sort(key=lambda route: route.precedence)

    def match(self, method: str, path: str) -> tuple[Function, Mapping[str, str]] | None:
        """The function and its route parameters.

        :param path: decoded once (``decode``).
        """
        path = path.removesuffix("/") or "/"
        if literal := self._literal.get((method, path.lower())):
            return literal, {}
        for route in self._routes.get(method, ()):
            if found := route.pattern.fullmatch(path):
                return route.function, {name: value for name, value in found.groupdict().items() if value}
        return None

    def _add(self, function: Function, prefix: str, methods: list[str]) -> None:
        template = "/".join(part for part in (prefix, function.trigger.text("route").strip("/")) if part)
        if "{" not in template:
            for method in methods:
                self._literal.setdefault((method, f"/{template}".lower()), function)
            return
        pattern, precedence = _compile(template, f"function {function.name}, route {template!r}")
        for method in methods:
            self._routes.setdefault(method, []).append(_Route(function, pattern, precedence))


def decode(path: str) -> str:
    """A path as Azure hands it on: percent-decoded once, but for ``%2F``, which stays."""
    if "%" not in path:
        return path
    return "".join(part if _SLASH.fullmatch(part) else unquote(part) for part in re.split("(%2[fF])", path))


def _compile(template: str, where: str) -> tuple[re.Pattern[str], str]:
    pattern, precedence = "", ""
    segments = template.split("/")
    for number, segment in enumerate(segments):
        if not segment:
            raise StartError(f"{where}: an empty segment")
        if "{" not in segment:
            pattern += "/" + f"(?i:{re.escape(segment)})"
            precedence += _LITERAL
            continue
        text, rank = _segment(segment, where, last=number == len(segments) - 1)
        pattern += text
        precedence += rank
    try:
        return re.compile(pattern, re.DOTALL), precedence
    except re.error as error:
        raise StartError(f"{where}: {error}") from error


def _segment(segment: str, where: str, *, last: bool) -> tuple[str, str]:
    """The pattern of one segment with its leading slash, and its rank."""
    whole = _PARAMETER.fullmatch(segment)
    if whole is None:
        return _mixed(segment, where)
    rest, name, constraint, optional = _specification(whole[1], where)
    if (rest or optional) and not last:
        raise StartError(f"{where}: {segment} may only stand at the end")
    if rest:
        return f"(?:/(?P<{name}>.*))?", _REST
    text = f"/(?P<{name}>{constraint or '[^/]+'})"
    return (f"(?:{text})?" if optional else text), _CONSTRAINED if constraint else _FREE


def _mixed(segment: str, where: str) -> tuple[str, str]:
    """A segment of text and parameters, such as ``{name}.json``."""
    pattern = ""
    for number, part in enumerate(_PARAMETER.split(segment)):
        if number % 2 == 0:
            if "{" in part or "}" in part:
                raise StartError(f"{where}: a brace without its other")
            pattern += f"(?i:{re.escape(part)})"
            continue
        rest, name, constraint, optional = _specification(part, where)
        if rest or optional:
            raise StartError(f"{where}: {{{part}}} must be a segment of its own")
        pattern += f"(?P<{name}>{constraint or '[^/]+'})"
    return f"/{pattern}", _CONSTRAINED


def _specification(text: str, where: str) -> tuple[bool, str, str | None, bool]:
    """Of what stands between braces: takes the rest of the path, name, pattern of its constraint, optional."""
    found = _SPECIFICATION.fullmatch(text)
    if found is None:
        raise StartError(f"{where}: {{{text}}} is not understood")
    constraints = [constraint for constraint in found[3].split(":") if constraint]
    if len(constraints) > 1 or any(constraint not in _CONSTRAINTS for constraint in constraints):
        raise StartError(f"{where}: {{{text}}}: at most one constraint, of {', '.join(_CONSTRAINTS)}")
    return bool(found[1]), found[2], _CONSTRAINTS[constraints[0]] if constraints else None, found[4] is not None
