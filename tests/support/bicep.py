"""Bicep, parsed (not validated: there is no compiler here), and what stands in it."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from pycep import BicepParser

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"
FILES = tuple(sorted(INFRA.rglob("*.bicep")))

_READ = re.compile(r"readEnvironmentVariable\('(\w+)'(?:, '([^']*)')?\)")


def text(name: str) -> str:
    """A file of ``infra``, comments left out."""
    content = (INFRA / name).read_text("utf-8")
    return re.sub(r"(^|\s)//.*$", "", content, flags=re.MULTILINE)


@cache
def parsed(name: str) -> dict[str, Any]:
    """A file of ``infra`` as a tree."""
    tree: Any = BicepParser().parse(text=(INFRA / name).read_text("utf-8"))
    return dict(tree)


def variable(name: str, of: str) -> Any:
    """The value of a variable, where it is a literal."""
    return parsed(of)["variables"][name]["value"]


def resources(of: str) -> dict[str, dict[str, Any]]:
    """The resources that a file makes, by symbol; those that it only refers to left out."""
    return {symbol: each for symbol, each in parsed(of)["resources"].items() if not each["existing"]}


def config(resource: dict[str, Any]) -> dict[str, Any]:
    """What a resource or module is made of, its loop or condition taken off."""
    content: dict[str, Any] = resource["config"]
    inner: dict[str, Any] = content.get("config", content)
    return inner


def leaves(tree: Any) -> Iterator[Any]:
    """Every value in a tree that holds no other."""
    match tree:
        case dict():
            for value in tree.values():
                yield from leaves(value)
        case list():
            for value in tree:
                yield from leaves(value)
        case _:
            yield tree


def read_variables() -> dict[str, str | None]:
    """The environment variables that ``main.bicepparam`` reads, and their defaults (None: required)."""
    return {name: default if given else None for name, default, given in _found(text("main.bicepparam"))}


def _found(content: str) -> Iterator[tuple[str, str, bool]]:
    for match in _READ.finditer(content):
        yield match[1], match[2] or "", match[2] is not None
