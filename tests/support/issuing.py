"""Issuers of bearer tokens with real keys, and a JWKS that is fetched from memory."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from shared.auth.issuer_keys import IssuerKeys

type PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
WEAK_RSA = rsa.generate_private_key(public_exponent=65537, key_size=1024)
EC = ec.generate_private_key(ec.SECP256R1())


def jwk(key: PrivateKey, kid: str | None, **more: Any) -> dict[str, Any]:
    """The public half of a key, as a JWKS shows it."""
    algorithm = jwt.get_algorithm_by_name("RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256")
    public: dict[str, Any] = json.loads(algorithm.to_jwk(key.public_key()))
    return public | ({} if kid is None else {"kid": kid}) | more


def public_pem(key: PrivateKey) -> bytes:
    """The public half as PEM: what an attacker knows, too."""
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


class Web:
    """Documents by address, fetched without a network; counts what is fetched."""

    def __init__(self) -> None:
        self.documents: dict[str, Any] = {}
        self.fetched: list[str] = []
        self.away = False

    def answer(self, request: httpx.Request) -> httpx.Response:
        """The document, raw where it is bytes; 404 where there is none, no connection where the web is away."""
        address = str(request.url)
        self.fetched.append(address)
        if self.away:
            raise httpx.ConnectError("no route", request=request)
        document = self.documents.get(address)
        if document is None:
            return httpx.Response(404)
        if isinstance(document, httpx.Response):
            return document
        return httpx.Response(200, content=document if isinstance(document, bytes) else json.dumps(document).encode())

    def keys(self, monotonic: Callable[[], float]) -> IssuerKeys:
        """Issuer keys that are fetched from here."""
        keys = IssuerKeys(monotonic=monotonic)
        keys._client = httpx.AsyncClient(transport=httpx.MockTransport(self.answer), follow_redirects=False)
        return keys
