"""A key as bytes: a JWT is base64url of three byte strings, and those are a quarter shorter than their text. Pure."""

import base64

_TEXT = b"\0"
_PARTS = b"\1"
_LENGTH = 2


def pack(key: str) -> bytes:
    """The key as few bytes; text that would not come back to the letter stays as it is."""
    text = _TEXT + key.encode()
    try:
        parts = [base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)) for part in key.split(".")]
        packed = _PARTS + b"".join(len(part).to_bytes(_LENGTH) + part for part in parts)
    except (ValueError, OverflowError):
        return text
    return packed if unpack(packed) == key else text


def unpack(packed: bytes) -> str:
    """The inverse of :func:`pack`."""
    if packed[:1] == _TEXT:
        return packed[1:].decode()
    parts = []
    at = len(_PARTS)
    while at < len(packed):
        end = at + _LENGTH + int.from_bytes(packed[at : at + _LENGTH])
        parts.append(base64.urlsafe_b64encode(packed[at + _LENGTH : end]).decode().rstrip("="))
        at = end
    return ".".join(parts)
