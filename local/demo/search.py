"""Looks for secrets where none may be."""

import base64
from collections.abc import Iterable, Mapping
from urllib.parse import quote

type Fragment = tuple[str, bytes]
"""The kind of a secret, and bytes that would give it away."""


def fragments(secrets: Iterable[tuple[str, str]]) -> list[Fragment]:
    """The secrets whole, url-encoded and in base64, and of a JWT its signature alone, which no other text has."""
    found = []
    for kind, value in secrets:
        forms = {value.encode(), quote(value, safe="").encode(), base64.b64encode(value.encode())}
        if value.count(".") == 2:
            forms.add(value.rpartition(".")[2].encode())
        found += [(kind, form) for form in forms]
    return found


def search(wanted: Iterable[Fragment], places: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """Kind and place of every hit."""
    return [(kind, place) for kind, fragment in wanted for place, content in places.items() if fragment in content]
