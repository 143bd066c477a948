"""The project's documents, and what they tell their readers to run."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

_MARK = r"(?:<!-- (?P<mark>[^\n]+) -->\n)?"
_FENCE = re.compile(_MARK + r"^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block; ``mark`` is the comment on the line before it."""

    document: str
    line: int
    language: str
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"


def documents() -> list[str]:
    """All documents for readers, by their paths in the project."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return sorted(str(path.relative_to(ROOT)) for path in found)


def text_of(document: str) -> str:
    """A document as it stands."""
    return (ROOT / document).read_text("utf-8")


def prose_of(document: str) -> str:
    """A document without its fenced blocks."""
    return _FENCE.sub("", text_of(document))


def blocks(document: str) -> Iterator[Block]:
    """The fenced blocks of a document, in their order."""
    text = text_of(document)
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start("text"))
        yield Block(document, line, found["language"], found["mark"] or "", found["text"])
