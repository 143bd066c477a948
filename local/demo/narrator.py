"""What the guided run prints: plain lines, in colour only on a terminal."""

import os
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

_WIDTH = 100
_COLORS = {"bold": "1", "green": "32", "red": "31", "dim": "2"}


@dataclass(slots=True)
class Outcome:
    """One line of the summary."""

    title: str
    expected: str
    seen: str = "not run"
    verdict: Literal["ok", "WRONG", "-"] = "-"
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


class Narrator:
    """Tells what happens, as it happens."""

    def __init__(self) -> None:
        self._colored = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._faults: list[str] = []

    def title(self, text: str) -> None:
        print(f"\n{self._paint(text, 'bold')}", flush=True)

    def say(self, text: str) -> None:
        for line in textwrap.wrap(text, _WIDTH - 5):
            print(f"     {line}", flush=True)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Names what is under way before it begins, and how long it took."""
        print(f"     {what} ...", end="", flush=True)
        started = time.monotonic()
        try:
            yield
        except BaseException:
            print(" failed", flush=True)
            raise
        print(f" {time.monotonic() - started:.1f} s", flush=True)

    def expect(self, what: str, expected: object, seen: object) -> None:
        """Tells what was seen, and notes it where it is not what was expected."""
        self.require(what, seen == expected, seen, expected)

    def require(self, what: str, holds: bool, seen: object, expected: object) -> None:
        """As :meth:`expect`, for what is no plain comparison; ``expected`` is then in words."""
        if holds:
            print(f"  {self._paint('ok', 'green')} {what}: {seen}", flush=True)
            return
        self._faults.append(f"{what}: expected {expected}, seen {seen}")
        print(f"  {self._paint('WRONG', 'red')} {what}: expected {expected}, seen {seen}", flush=True)

    def take_faults(self) -> list[str]:
        """What was not as expected since this was last asked."""
        faults, self._faults = self._faults, []
        return faults

    def summary(self, outcomes: Sequence[Outcome]) -> None:
        """Step, what was expected, what was seen, ok."""
        self.title("Summary")
        rows = [("", "step", "expected", "seen", "")]
        rows += [(str(number), o.title, o.expected, o.seen, o.verdict) for number, o in enumerate(outcomes, 1)]
        widths = (2, 27, 30, 30)
        for row in rows:
            cells = [textwrap.wrap(cell, width) or [""] for cell, width in zip(row, widths, strict=False)]
            for number in range(max(map(len, cells))):
                parts = [
                    (cell[number] if number < len(cell) else "").ljust(width)
                    for cell, width in zip(cells, widths, strict=True)
                ]
                verdict = self._verdict(row[4]) if number == 0 else ""
                print(("  " + "  ".join([*parts, verdict])).rstrip(), flush=True)

    def _verdict(self, verdict: str) -> str:
        return self._paint(verdict, "green" if verdict == "ok" else "red") if verdict else ""

    def _paint(self, text: str, color: str) -> str:
        return f"\x1b[{_COLORS[color]}m{text}\x1b[0m" if self._colored else text
