"""Reads queue messages: plain JSON or base64 of it, from any sender."""

import base64
import binascii

import msgspec

VERSION = 1

MAX_DEQUEUE_COUNT = 5
"""As in host.json: after this many failures the host gives a message up."""


class MessageError(ValueError):
    """A message that can never be handled; says why. It ends among the poison."""


class GivenUpError(Exception):
    """A message that can be read and never succeed; says why. It ends among the poison."""


class _Versioned(msgspec.Struct):
    version: int


def decode_message[T](body: bytes, shape: type[T]) -> T:
    """The message as ``shape``.

    :raises MessageError: not JSON, of an unknown version, or not of that shape.
    """
    text = body if body.lstrip()[:1] in {b"{", b""} else _from_base64(body)
    try:
        version = msgspec.json.decode(text, type=_Versioned).version
        if version != VERSION:
            raise MessageError(f"version {version} is not known; expected {VERSION}")
        return msgspec.json.decode(text, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MessageError(f"the message cannot be read: {error}") from error


def _from_base64(body: bytes) -> bytes:
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error as error:
        raise MessageError("the message is neither JSON nor base64") from error
