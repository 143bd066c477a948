"""What the documents say was measured is what the benchmarks last wrote down, and every limit held."""

import json
import re
from typing import Any

import pytest

from benchmarks.scale.inputs import Basis, Inputs, described
from tests.support.documents import ROOT

FINDINGS: list[dict[str, Any]] = json.loads((ROOT / "benchmarks" / "results.json").read_text("utf-8"))["findings"]


def told() -> list[list[str]]:
    """The rows of the README's table, without its two head lines."""
    readme = (ROOT / "README.md").read_text("utf-8")
    found = re.search(r"<!-- benchmarks -->\n(.*?)\n\n", readme, re.DOTALL)
    assert found is not None
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in found[1].splitlines()[2:]]


def test_the_readme_says_what_was_measured() -> None:
    figures = {each["name"]: (f"{each['value']:.2f} {each['unit']}".strip(), each["detail"]) for each in FINDINGS}

    assert {name: (value, detail) for name, value, _, detail in told()} == figures


def test_every_limit_held() -> None:
    assert [each["name"] for each in FINDINGS if not each["holds"]] == []


@pytest.mark.parametrize(
    ("name", "value", "source"),
    [(name, value, source) for name, value, _, basis, source in described(Inputs) if basis is Basis.MEASURED],
)
def test_the_simulation_takes_what_was_measured(name: str, value: float, source: str) -> None:
    subject = source.split("`")[1]
    (finding,) = [each for each in FINDINGS if each["name"] == subject]
    measured = re.search(r"([\d.]+) ms of a core", finding["detail"])

    assert measured is not None, name
    assert value == pytest.approx(float(measured[1]) / 1000)
