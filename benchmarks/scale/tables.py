"""The tables of ``docs/scale.md``: made here, put between its marks, and held against it by a test."""

import re
from collections.abc import Iterable, Sequence

from benchmarks.scale.inputs import Inputs, Prices, described
from benchmarks.scale.outcome import Outcome

MINUTES = (0.5, 1, 2, 5, 10, 20)
SCALED = 3
"""Instances beyond which their course is worth a row."""

REACHED = 0.95
"""From this share on a limit counts as reached."""

RUN_HEAD = (
    "scenario",
    "work",
    "time",
    "instances: most, mean",
    "deepest queue",
    "Store calls/s",
    "closest storage limit",
    "cost, $",
)


def run_row(run: Outcome, prices: Prices) -> str:
    """One run. What is steady has no end, and its cost is a month's."""
    limit, share = run.closest
    return _row(
        (
            run.name,
            run.work,
            "goes on" if run.is_steady else shown_time(run.seconds),
            f"{run.instances}, {run.mean_instances:.1f}",
            f"{run.deepest:,}" if run.deepest else "none of ours",
            f"{run.calls:,.0f}",
            f"**{limit}, reached**" if share >= REACHED else f"{limit}, {share:.0%}",
            f"{max(run.cost(prices), 0.01):,.2f}{' a month' if run.is_steady else ''}",
        )
    )


def course_row(run: Outcome) -> str:
    """Instances and messages over time of the function that had most instances."""
    cells = []
    for minute in MINUTES:
        found = next(((count, length) for at, count, length in run.samples if at >= minute * 60), None)
        cells.append(f"{found[0]} / {found[1]:,}" if found else "done")
    return _row((run.name, *cells))


def has_course(run: Outcome) -> bool:
    """Whether there is something to be seen in its course."""
    return not run.is_steady and run.instances > SCALED


def run_table(rows: Iterable[str]) -> str:
    """The table of runs."""
    return _table(RUN_HEAD, rows)


def course_table(rows: Iterable[str]) -> str:
    """The table of instances and messages over time."""
    return _table(("instances / messages after", *(f"{minute:g} min" for minute in MINUTES)), rows)


def input_table(group: type[Inputs | Prices]) -> str:
    """What the simulation takes for granted."""
    rows = [
        _row((f"`{name}`", f"{value:.6g}", unit, basis, source))
        for name, value, unit, basis, source in described(group)
    ]
    return _table(("input", "value", "unit", "basis", "source"), rows)


def shown_time(seconds: float) -> str:
    """Seconds for a reader."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def put_between(text: str, mark: str, table: str) -> str:
    """The text with a table between the comments ``mark`` and ``/mark``."""
    pattern = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    return pattern.sub(lambda found: found[1] + table + "\n" + found[2], text)


def _table(head: Sequence[str], rows: Iterable[str]) -> str:
    return "\n".join([_row(head), _row(["---"] * len(head)), *rows])


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
