"""What was measured, as a table and as JSON."""

import json
import os
import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure beside what it is held against. ``limit`` bounds ``value``; ``at_least`` says from which side."""

    name: str
    value: float
    limit: float
    unit: str
    detail: str
    at_least: bool = False

    @property
    def holds(self) -> bool:
        """Whether the figure keeps to its limit."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def machine() -> dict[str, object]:
    """Where the figures are from."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.process_cpu_count(),
    }


def write(findings: list[Finding], file: Path) -> None:
    """The findings as JSON."""
    content = {"machine": machine(), "findings": [{**asdict(finding), "holds": finding.holds} for finding in findings]}
    file.write_text(json.dumps(content, indent=2) + "\n", "utf-8")


def table(findings: list[Finding]) -> str:
    """The findings for a reader."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        bound = f"{'>=' if finding.at_least else '<='} {finding.limit:g}"
        verdict = "ok" if finding.holds else "MISSED"
        figure = f"{finding.value:>8.3f} {finding.unit:<6} {bound:<8} {verdict:<6}"
        lines.append(f"{finding.name:<{width}}  {figure}  {finding.detail}")
    return "\n".join(lines)
