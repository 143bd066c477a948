"""Who calls us: JWTs of the configured issuers, verified.

What is decided here, and why:

- Algorithms are pinned to RS256 and ES256: asymmetric ones that OIDC issuers use. What a token's header asks for never
  widens that, so neither ``none`` nor an HMAC over a public key can pass.
- ``iss``, ``aud``, ``exp`` and ``sub`` are required, whatever the issuer leaves out.
- :data:`LEEWAY` is the one allowance for clocks that differ.
- An unknown ``kid`` has the issuer's keys fetched again, since issuers rotate, but at most once in
  :data:`UNKNOWN_KEY_COOL_DOWN`, since anybody can send an unknown ``kid``.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NewType

from shared.auth.issuer_keys import IssuerKeys
from shared.auth.recent import RecentTokens
from shared.errors import ForbiddenError, UnauthenticatedError
from shared.settings import Issuer

if TYPE_CHECKING:
    from jwt import PyJWK

ALGORITHMS = ["RS256", "ES256"]
LEEWAY = 60
"""Seconds by which an issuer's clock may differ from ours."""

OPERATOR_ROLE = "Store.Operator"
MAX_TOKEN_CHARACTERS = 16_384

UserId = NewType("UserId", str)
"""A player's id: the verified ``sub`` of a player's token, or the id that a verified operator names."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A verified caller. Only :class:`Callers` makes one."""

    kind: Literal["player", "operator"]
    subject: str


class Callers:
    """Verifies bearer tokens."""

    def __init__(self, issuers: tuple[Issuer, ...], keys: IssuerKeys, *, now: Callable[[], float] = time.time) -> None:
        self._issuers = issuers
        self._keys = keys
        self._recent = RecentTokens[Caller](now=now)

    async def verify(self, authorization: str | None) -> Caller:
        """The caller whom an ``Authorization`` header proves.

        :raises UnauthenticatedError: no bearer token, or one that does not hold.
        :raises ForbiddenError: an operator issuer's token without the role ``Store.Operator``.
        :raises UnavailableError: the issuer's keys cannot be fetched.
        """
        token = _bearer(authorization)
        known = self._recent.find(token)
        if known:
            return known
        issuer, key_id = self._untrusted_origin(token)
        claims = _verified(token, await self._keys.find(issuer, key_id), issuer)
        subject = claims["sub"]
        if not isinstance(subject, str) or not subject or re.search("[\ud800-\udfff]", subject):
            raise UnauthenticatedError("The token's sub claim is empty, or no text")
        if issuer.kind == "operator":
            roles = claims.get("roles")
            if not isinstance(roles, list) or OPERATOR_ROLE not in roles:
                raise ForbiddenError(f"The token has no role {OPERATOR_ROLE}")
        caller = Caller(issuer.kind, subject)
        self._recent.remember(token, caller, float(claims["exp"]) + LEEWAY)
        return caller

    def _untrusted_origin(self, token: str) -> tuple[Issuer, str | None]:
        """Which configured issuer the token says it is from, and with which key: a hint for the check, no more."""
        import jwt  # noqa: PLC0415 - loaded with the first call that needs it

        try:
            unverified = jwt.decode_complete(token, options={"verify_signature": False})
        except jwt.InvalidTokenError as error:
            raise UnauthenticatedError("The bearer token is not a well-formed JWT") from error
        header, claims = unverified["header"], unverified["payload"]
        if header.get("alg") not in ALGORITHMS:
            raise UnauthenticatedError("The token's algorithm is not accepted; expected RS256 or ES256")
        audiences = claims.get("aud")
        audiences = audiences if isinstance(audiences, list) else [audiences]
        for issuer in self._issuers:
            if issuer.issuer == claims.get("iss") and issuer.audience in audiences:
                return issuer, header.get("kid")
        raise UnauthenticatedError("The token's issuer or audience is not one of those configured")


def _bearer(authorization: str | None) -> str:
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise UnauthenticatedError("Send Authorization: Bearer followed by a token of a configured issuer")
    if not token.isascii():
        raise UnauthenticatedError("The bearer token is not a well-formed JWT")
    if len(token) > MAX_TOKEN_CHARACTERS:
        raise UnauthenticatedError(f"The bearer token is longer than {MAX_TOKEN_CHARACTERS} characters")
    return token


def _verified(token: str, key: "PyJWK", issuer: Issuer) -> dict[str, Any]:
    import jwt  # noqa: PLC0415 - loaded with the first call that needs it

    try:
        return jwt.decode(
            token,
            key,
            algorithms=ALGORITHMS,
            audience=issuer.audience,
            issuer=issuer.issuer,
            leeway=LEEWAY,
            options={"require": ["iss", "aud", "exp", "sub"], "enforce_minimum_key_length": True},
        )
    except jwt.ExpiredSignatureError as error:
        raise UnauthenticatedError("The token has expired") from error
    except jwt.MissingRequiredClaimError as error:
        raise UnauthenticatedError(f"The token has no {error.claim} claim") from error
    except jwt.InvalidSignatureError as error:
        raise UnauthenticatedError("The token's signature does not hold") from error
    except jwt.PyJWTError as error:  # also a published key that is too weak
        raise UnauthenticatedError(f"The token is not valid ({type(error).__name__})") from error
