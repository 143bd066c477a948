"""Percent-encoding of what callers and the Store put into a request's target. Pure."""

from collections.abc import Iterable
from urllib.parse import quote


def path(*segments: str) -> str:
    """A path below a service's root: each text is one segment, whatever it holds.

    :raises ValueError: a text that no path can carry as a segment: empty, ``.``, ``..``, or not Unicode.
    """
    # Anyone on the way may resolve these three, and a call would arrive at another operation than it was made for.
    if not {"", ".", ".."}.isdisjoint(segments):
        raise ValueError("an id or a name is empty, or nothing but dots")
    return "".join("/" + quote(segment, safe="") for segment in segments)


def query(parameters: Iterable[tuple[str, str]]) -> str:
    """The query with its question mark, or an empty text; a parameter may repeat."""
    pairs = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in parameters)
    return f"?{pairs}" if pairs else ""
