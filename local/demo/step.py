"""A step of the guided run."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from local.demo.play import Play


@dataclass(frozen=True, slots=True)
class Step:
    """What it is called, what it should come to, and how it is played."""

    title: str
    expected: str
    act: Callable[[Play], Awaitable[str]]
