"""``python -m benchmarks.scale``: simulates all, prints the tables, and says where ``docs/scale.md`` differs: exit 1.

``--write`` puts them there. ``python -m benchmarks.scale refunds seats`` simulates what has one of the words in its
name, prints that, and compares nothing. Every run of the same inputs gives the same numbers.
"""

import sys
from pathlib import Path

from benchmarks.scale.inputs import Inputs, Prices
from benchmarks.scale.scenarios import MAIN, TURNED
from benchmarks.scale.tables import course_row, course_table, has_course, input_table, put_between, run_row, run_table

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "scale.md"


def tables(words: list[str]) -> dict[str, str]:
    """Each table by its mark, of the scenarios that have one of the words in their names (none: of all)."""
    inputs, prices = Inputs(), Prices()
    wanted = {
        mark: [each for each in scenarios if not words or any(word in each.name for word in words)]
        for mark, scenarios in (("runs", MAIN), ("turned", TURNED))
    }
    runs = {mark: [each.outcome(inputs) for each in scenarios] for mark, scenarios in wanted.items()}
    made = {mark: run_table(run_row(each, prices) for each in outcomes) for mark, outcomes in runs.items()}
    made["course"] = course_table(course_row(each) for each in runs["runs"] if has_course(each))
    return made | {"inputs": input_table(Inputs), "prices": input_table(Prices)}


def main(arguments: list[str]) -> int:
    """The exit code."""
    words = [each for each in arguments if each != "--write"]
    made = tables(words)
    for mark, table in made.items():
        print(f"\n{mark}\n\n{table}")
    if words:
        return 0
    before = DOCUMENT.read_text("utf-8")
    after = before
    for mark, table in made.items():
        after = put_between(after, mark, table)
    if "--write" in arguments:
        DOCUMENT.write_text(after, "utf-8")
    elif after != before:
        print("\ndocs/scale.md says otherwise: python -m benchmarks.scale --write")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
