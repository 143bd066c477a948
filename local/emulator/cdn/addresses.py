"""Addresses on the CDN: they carry a time of expiry and a signature, and answers that hold them are signed late."""

import hashlib
import re
import secrets
import time

import msgspec

from local.emulator.business.records import BusinessState
from local.emulator.context import Context

_MARK = re.compile(rb'"cdn:([^"]+)"')


class Addresses:
    """Signs paths for the lifetime that is set, and checks the signatures of requests."""

    def __init__(self, context: Context, state: BusinessState) -> None:
        self._context = context
        self._state = state

    @property
    def lifetime_seconds(self) -> float:
        """How long an address given out now will do."""
        return self._state.address_lifetime_seconds

    @lifetime_seconds.setter
    def lifetime_seconds(self, seconds: float) -> None:
        self._state.address_lifetime_seconds = seconds

    def expire_all(self) -> None:
        """Make every address that was given out useless at once."""
        self._state.address_key = secrets.token_bytes(32)

    def plain(self, path: str) -> str:
        """Return the address without expiry and signature, which nobody can download from."""
        return f"{self._context.origin}/cdn/{path}"

    def sign(self, path: str) -> str:
        """Return the address of ``path`` that is good from now for the lifetime; ``e`` is in epoch milliseconds."""
        expires = round((time.time() + self.lifetime_seconds) * 1000)
        return f"{self.plain(path)}?e={expires}&s={self._signature(path, str(expires))}"

    def problem(self, path: str, expires: str, signature: str) -> str | None:
        """Say what is wrong with an address; ``None`` when it is good."""
        if not secrets.compare_digest(signature.encode(), self._signature(path, expires).encode()):
            return "the signature does not fit the address"
        # What is signed is a number.
        return "the address has expired" if int(expires) <= time.time() * 1000 else None

    def _signature(self, path: str, expires: str) -> str:
        signed = f"{path} {expires}".encode()
        return hashlib.blake2b(signed, key=self._state.address_key, digest_size=20).hexdigest()


class SignedAnswer:
    """An encoded answer with holes where addresses stand, written ``cdn:PATH`` in what it is made from."""

    def __init__(self, body: object) -> None:
        # Every second part is a path.
        self._parts = _MARK.split(msgspec.json.encode(body))

    def encode(self, addresses: Addresses, *, plain: bool = False) -> bytes:
        """Return the JSON with addresses signed now, or ``plain`` ones."""
        if len(self._parts) == 1:
            return self._parts[0]
        write = addresses.plain if plain else addresses.sign
        return b"".join(
            b'"%b"' % write(part.decode()).encode() if number % 2 else part for number, part in enumerate(self._parts)
        )
