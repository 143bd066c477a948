"""Key pairs, certificates and JWTs: the only module that touches cryptographic primitives for signing."""

import base64
import datetime
import time
import uuid
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import jwt
import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from local.emulator.state import KeyAlgorithm, SigningCertificate, SigningKey

Claims = dict[str, Any]
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

RSA_BITS = 2048

STORE_ID_RSA_BITS = 1024
"""Of the keys that sign User Store ID keys. Nobody but this emulator checks those; with 2,048 bits the signature alone
would be a third of the processor time that a renewal costs here, on a machine that it shares with what is measured."""

CERTIFICATE_DAYS = 365


def new_signing_key(algorithm: KeyAlgorithm) -> SigningKey:
    """Return a new key pair for ``algorithm`` with a random ``kid``."""
    private = _new_private_key(algorithm)
    return SigningKey(kid=uuid.uuid4().hex, algorithm=algorithm, private_pem=_private_pem(private))


@lru_cache(maxsize=256)
def private_key(pem: str) -> PrivateKey:
    """Return the loaded key; cached, because parsing and checking one costs more than a signature."""
    loaded = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(loaded, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        raise TypeError("the emulator signs with RSA and EC keys only")
    return loaded


@lru_cache(maxsize=256)
def public_key(pem: str) -> PublicKey:
    """Return the public half of the private key in ``pem``; cached."""
    return private_key(pem).public_key()


def sign(claims: Mapping[str, Any], key: SigningKey, headers: Mapping[str, str] | None = None) -> str:
    """Return ``claims`` as a compact JWT signed by ``key``, which its ``kid`` header names."""
    return jwt.encode(
        dict(claims), private_key(key.private_pem), algorithm=key.algorithm, headers={"kid": key.kid, **(headers or {})}
    )


def sign_store_id(claims: Mapping[str, Any], key: SigningKey, headers: Mapping[str, str]) -> str:
    """Return ``claims`` as a compact JWT by RS256: by hand, since a library rightly refuses keys as short as these."""
    private = private_key(key.private_pem)
    if not isinstance(private, rsa.RSAPrivateKey):
        raise TypeError("User Store ID keys are signed with RSA")
    header = {"typ": "JWT", "alg": "RS256", "kid": key.kid, **headers}
    signed = f"{base64url(msgspec.json.encode(header))}.{base64url(msgspec.json.encode(claims))}"
    return f"{signed}.{base64url(private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


def verify(token: str, key: SigningKey, *, audience: str | None = None, issuer: str | None = None) -> Claims:
    """Return the claims of ``token`` after checking signature, ``exp``, ``nbf`` and, where given, ``aud`` and ``iss``.

    Read by hand, since this is the emulator's hot path and the library takes longer to split a token than to check it.
    Only RS256 is accepted, whatever the header says. There is no leeway: tests are told lifetimes in seconds.

    :raises jwt.InvalidTokenError: whatever is wrong with it.
    """
    public = public_key(key.private_pem)
    if not isinstance(public, rsa.RSAPublicKey):
        raise TypeError("only keys of RS256 verify here")
    try:
        signed, _, signature = token.rpartition(".")
        public.verify(_segment(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        claims: Claims = msgspec.json.decode(_segment(signed.partition(".")[2]), type=dict[str, Any])
    except InvalidSignature as error:
        raise jwt.InvalidSignatureError("Signature verification failed") from error
    except ValueError as error:
        raise jwt.DecodeError("Invalid token") from error
    now = time.time()
    if not isinstance(claims.get("exp"), int):
        raise jwt.MissingRequiredClaimError("exp")
    if claims["exp"] <= now:
        raise jwt.ExpiredSignatureError("Signature has expired")
    if claims.get("nbf", 0) > now:
        raise jwt.ImmatureSignatureError("The token is not yet valid (nbf)")
    if audience is not None and claims.get("aud") != audience:
        raise jwt.InvalidAudienceError("Audience doesn't match")
    if issuer is not None and claims.get("iss") != issuer:
        raise jwt.InvalidIssuerError("Invalid issuer")
    return claims


def key_id(token: str) -> str:
    """Return the ``kid`` that a token's header names.

    :raises jwt.InvalidTokenError: it names none.
    """
    return _key_id(token.partition(".")[0])


@lru_cache(maxsize=256)
def _key_id(header: str) -> str:
    try:
        return str(msgspec.json.decode(_segment(header), type=dict[str, Any])["kid"])
    except (ValueError, KeyError) as error:
        raise jwt.DecodeError("Invalid header") from error


def _segment(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def json_web_key_set(keys: Sequence[SigningKey]) -> dict[str, list[dict[str, Any]]]:
    """Return the public halves as a JWKS (RFC 7517): ``{"keys": [{"kty", "use", "kid", "alg", ...}]}``."""
    return {"keys": [_json_web_key(key) for key in keys]}


def _json_web_key(key: SigningKey) -> dict[str, Any]:
    public = public_key(key.private_pem)
    # Built from a public key object, so no private member can slip in.
    if isinstance(public, rsa.RSAPublicKey):
        material = RSAAlgorithm.to_jwk(public, as_dict=True)
    else:
        material = ECAlgorithm.to_jwk(public, as_dict=True)
    return {
        **{name: value for name, value in material.items() if name != "key_ops"},
        "use": "sig",
        "kid": key.kid,
        "alg": key.algorithm,
    }


def new_certificate_pems(common_name: str, bits: int = RSA_BITS) -> tuple[str, str]:
    """Return ``(certificate PEM, private key PEM)`` of a new self-signed RSA certificate."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=CERTIFICATE_DAYS))
        .sign(private, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), _private_pem(private)


def new_signing_certificate() -> SigningCertificate:
    """Return a certificate that signs User Store ID keys from now on.

    Its ``kid`` is the SHA-1 thumbprint in hexadecimal and ``x5t`` the same bytes in base64url, as in the header of a
    real key (fixture ``user-store-id-header``).
    """
    certificate_pem, private_pem = new_certificate_pems("Store key signing", STORE_ID_RSA_BITS)
    kid = thumbprint(certificate_pem, hashes.SHA1()).hex().upper()
    key = SigningKey(kid=kid, algorithm="RS256", private_pem=private_pem)
    return SigningCertificate(certificate_pem=certificate_pem, key=key, active_from=time.time())


def thumbprint(certificate_pem: str, algorithm: hashes.HashAlgorithm) -> bytes:
    """Return the certificate's fingerprint."""
    return x509.load_pem_x509_certificate(certificate_pem.encode()).fingerprint(algorithm)


def base64url(value: bytes) -> str:
    """Return unpadded base64url, the encoding of everything in a JWT."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def _new_private_key(algorithm: KeyAlgorithm) -> PrivateKey:
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)


def _private_pem(key: PrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
