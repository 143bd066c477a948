"""Continuation tokens of the catalogue's pages: opaque to callers, and good for the question they were given for."""

import base64
import binascii
import hashlib

import msgspec

_CHECK_BYTES = 8


class ContinuationError(ValueError):
    """Not a token that was given out for this question."""


def encode(question: object, after: str) -> str:
    """The token with which the same question goes on after the row ``after``."""
    return base64.urlsafe_b64encode(_check(question, after) + after.encode()).decode().rstrip("=")


def decode(question: object, token: str) -> str:
    """The inverse of :func:`encode`.

    :raises ContinuationError: it was altered, or given out for another question.
    """
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        after = raw[_CHECK_BYTES:].decode()
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise ContinuationError("not a continuation token") from error
    if raw[:_CHECK_BYTES] != _check(question, after) or encode(question, after) != token:
        raise ContinuationError("not a continuation token of this question")
    return after


def _check(question: object, after: str) -> bytes:
    return hashlib.blake2b(msgspec.json.encode((question, after)), digest_size=_CHECK_BYTES).digest()
