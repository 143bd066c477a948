"""Finds secrets where none may be: as they are, in base64, and by the part that is secret in every encoding of it."""

import base64
from collections.abc import Iterable, Iterator, Mapping

SHORTEST = 12
"""Characters; a shorter text is no secret but a word that may stand anywhere."""


def disguises(secret: str) -> Iterator[bytes]:
    """The forms in which a secret would give itself away.

    Base64 depends on where in a text the secret begins, so all three alignments are looked for, less the characters
    at the ends that its neighbours share.
    """
    raw = secret.encode()
    yield raw
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + raw).rstrip(b"=")
        inner = encoded[4 if offset else 0 : -1]
        if len(inner) >= SHORTEST:
            yield inner
            yield inner.replace(b"+", b"-").replace(b"/", b"_")
    if secret.count(".") == 2:  # a JWT: its signature makes it what it is
        signature = secret.rpartition(".")[2]
        if len(signature) >= SHORTEST:
            yield signature.encode()


def leaks(secrets: Iterable[tuple[str, str]], places: Mapping[str, bytes]) -> list[str]:
    """``kind in place`` for each secret that a place holds; never the secret itself."""
    found = []
    for kind, value in secrets:
        if len(value) < SHORTEST:
            continue
        forms = set(disguises(value))
        found += [f"{kind} in {place}" for place, content in places.items() if any(form in content for form in forms)]
    return sorted(set(found))
