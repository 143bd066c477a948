"""User Store ID keys: made, checked and revoked.

Source: seed 002, "Claims in a User Store ID key"; store-services reference, section 2.
"""

import base64
import os
import threading
import time
from dataclasses import dataclass
from typing import Any, Literal

import jwt
import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from local.emulator.context import Context
from local.emulator.signing import Claims, base64url, key_id, new_signing_certificate, sign_store_id, verify
from local.emulator.state import SigningCertificate, StoreKind
from local.emulator.store.kinds import Kind

DAY_SECONDS = 86_400
LIFETIME_DAYS = 30.0
NO_USER_ID = "NoUserIdProvided"
CLAIM_PATH = "://schemas.microsoft.com/marketplace/2015/08/claims/key/"

# The documentation's example is valid from 3,601 s before it was issued.
_NOT_BEFORE_SECONDS = 3601
# Real payloads are some 700 characters of base64; the length matters to whoever stores a million of them. What the
# signature is shorter than a real one, the payload makes up.
_PAYLOAD_BYTES = 480 + 128
_NONCE_BYTES = 12

ClaimPrefix = Literal["http", "https"]


class InvalidStoreIdError(Exception):
    """A key that this Store service does not accept; the text says why."""


class Payload(msgspec.Struct):
    """What the Store keeps for itself inside a key: its number among all keys, and the Store account."""

    serial: int
    player: str | None


@dataclass(frozen=True)
class KeyContent:
    """What goes into a key. ``issued_on`` is in epoch seconds; ``user_id`` is the publisher's id of the user."""

    kind: Kind
    client_id: str
    user_id: str
    player: str | None
    issued_on: float
    lifetime_days: float = LIFETIME_DAYS
    refresh_uri: str | None = None
    prefix: ClaimPrefix = "http"


@dataclass(frozen=True)
class VerifiedKey:
    """What a genuine, unexpired, unrevoked key says."""

    client_id: str
    user_id: str
    player: str | None
    prefix: ClaimPrefix


class StoreIds:
    """The Store's registry of keys. Keys carry their own facts, so that only revocations need remembering."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._cipher = AESGCM(context.state.store_payload_key)
        self._lock = threading.Lock()
        self._last_serial = 0

    def mint(self, content: KeyContent) -> str:
        """Return a signed key. May be called from any thread."""
        issued_on = int(content.issued_on)
        own = f"{content.prefix}{CLAIM_PATH}"
        claims: Claims = {
            f"{own}clientId": content.client_id,
            f"{own}payload": self._seal(Payload(self._next_serial(), content.player)),
            f"{own}userId": content.user_id,
            f"{own}refreshUri": content.refresh_uri or content.kind.refresh_uri,
            "iat": issued_on,
            "iss": content.kind.key_audience,
            "aud": content.kind.key_audience,
            "exp": issued_on + int(content.lifetime_days * DAY_SECONDS),
            "nbf": issued_on - _NOT_BEFORE_SECONDS,
        }
        certificate = self._certificate_at(content.issued_on)
        x5t = base64url(bytes.fromhex(certificate.key.kid))
        key = sign_store_id(claims, certificate.key, {"x5t": x5t})
        self._context.secrets.add_store_id_key(key)
        return key

    def verify(self, key: str, kind: Kind) -> VerifiedKey:
        """Return what the key says.

        :raises InvalidStoreIdError: forged, of the other kind, expired, revoked, or signed by a retired certificate.
        """
        try:
            claims = verify(key, self._certificate_of(key).key, audience=kind.key_audience, issuer=kind.key_audience)
        except jwt.InvalidTokenError as error:
            raise InvalidStoreIdError(str(error)) from error
        prefix: ClaimPrefix = "http" if f"http{CLAIM_PATH}userId" in claims else "https"
        user_id = str(claims[f"{prefix}{CLAIM_PATH}userId"])
        payload = self._open(claims[f"{prefix}{CLAIM_PATH}payload"])
        if self._is_revoked(kind.name, user_id, payload.serial):
            raise InvalidStoreIdError("revoked")
        return VerifiedKey(
            client_id=str(claims[f"{prefix}{CLAIM_PATH}clientId"]),
            user_id=user_id,
            player=payload.player,
            prefix=prefix,
        )

    def revoke(self, key: str) -> None:
        """Revoke this one key; keys renewed from it stay good.

        :raises InvalidStoreIdError: the text is not a key of this Store.
        """
        self._context.state.revocations.serials.add(self._serial_of(key))
        self._context.touch()

    def revoke_user(self, kind: StoreKind, user_id: str) -> None:
        """Revoke every key of ``kind`` made for the publisher's user up to now; later ones are good."""
        self._context.state.revocations.up_to[f"{kind}/{user_id}"] = self._next_serial()
        self._context.touch()

    def rotate_certificate(self, *, retire_old: bool) -> str:
        """Sign with a new certificate from now on and return its ``kid``; retired ones no longer allow renewal."""
        certificates = self._context.state.signing_certificates
        if retire_old:
            for certificate in certificates:
                certificate.retired = True
        certificates.append(new_signing_certificate())
        self._context.touch()
        return certificates[-1].key.kid

    def _certificate_at(self, moment: float) -> SigningCertificate:
        certificates = self._context.state.signing_certificates
        for certificate in reversed(certificates):
            if certificate.active_from <= moment:
                return certificate
        # Issued before this Store existed: only the certificate of today can vouch for such a key.
        return certificates[-1]

    def _certificate_of(self, key: str) -> SigningCertificate:
        try:
            kid = key_id(key)
        except jwt.InvalidTokenError as error:
            raise InvalidStoreIdError(str(error)) from error
        for certificate in self._context.state.signing_certificates:
            if certificate.key.kid == kid:
                if certificate.retired:
                    raise InvalidStoreIdError("signed by a certificate that is too old")
                return certificate
        raise InvalidStoreIdError("signed by an unknown certificate")

    def _serial_of(self, key: str) -> int:
        try:
            claims: dict[str, Any] = jwt.decode(key, options={"verify_signature": False})
        except jwt.InvalidTokenError as error:
            raise InvalidStoreIdError(str(error)) from error
        sealed = next((claims[name] for name in claims if name.endswith(f"{CLAIM_PATH}payload")), "")
        return self._open(sealed).serial

    def _is_revoked(self, kind: StoreKind, user_id: str, serial: int) -> bool:
        revocations = self._context.state.revocations
        return serial in revocations.serials or serial <= revocations.up_to.get(f"{kind}/{user_id}", 0)

    def _next_serial(self) -> int:
        # The clock makes serials rise over restarts without a counter in the state.
        with self._lock:
            self._last_serial = max(self._last_serial + 1, time.time_ns())
            return self._last_serial

    def _seal(self, payload: Payload) -> str:
        nonce = os.urandom(_NONCE_BYTES)
        plain = msgspec.json.encode(payload).ljust(_PAYLOAD_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, plain, None)).decode()

    def _open(self, sealed: object) -> Payload:
        try:
            raw = base64.b64decode(str(sealed), validate=True)
            plain = self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], None)
        except (ValueError, InvalidTag) as error:
            raise InvalidStoreIdError("the payload is not the Store's") from error
        return msgspec.json.decode(plain, type=Payload)
