"""Delegated X-tokens (XSTS), the proof of a player from which the Store makes a key.

Source: store-services reference, section 4. How real ones come about is under NDA; here they are minted by the control
API and are opaque to everyone but this module.
"""

import hashlib
import re
import time

import jwt

from local.emulator.context import Context
from local.emulator.errors import StoreError
from local.emulator.state import Player
from local.emulator.store.kinds import Kind

DEFAULT_LIFETIME_SECONDS = 4 * 3600
_AUTHORIZATION = re.compile(r"XBL3\.0 x=(?P<user_hash>[^;]+);(?P<token>.+)")


class XTokens:
    """Makes and checks X-tokens."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def mint(self, player: str, kind: Kind, lifetime_seconds: float = DEFAULT_LIFETIME_SECONDS) -> str:
        """Return a whole ``Authorization`` value, ``XBL3.0 x=<userhash>;<token>``, for the Store account ``player``."""
        user_hash = self._player(player).user_hash
        claims = {
            "aud": kind.relying_party,
            "exp": int(time.time() + lifetime_seconds),
            "player": player,
            "uhs": user_hash,
        }
        # Symmetric, because nobody but this server ever reads one.
        token = jwt.encode(claims, self._context.state.x_token_key, algorithm="HS256")
        self._context.secrets.add_x_token(token)
        return f"XBL3.0 x={user_hash};{token}"

    def verify(self, authorization: str, kind: Kind) -> str:
        """Return the player of an ``Authorization`` header.

        :raises StoreError: 401 "Expired Token"; 403 "Invalid Token" for another relying party or a forgery; 401
            ``AuthenticationTokenInvalid`` when it is no X-token at all (reference, section 0).
        """
        match = _AUTHORIZATION.fullmatch(authorization)
        if match is None:
            raise StoreError(401, kind.source, "AuthenticationTokenInvalid", "The Authorization header has no X-token.")
        try:
            claims = jwt.decode(
                match["token"], self._context.state.x_token_key, algorithms=["HS256"], audience=kind.relying_party
            )
        except jwt.ExpiredSignatureError as error:
            raise StoreError(401, kind.source, "ExpiredToken", "Expired Token") from error
        except jwt.InvalidTokenError as error:
            raise StoreError(403, kind.source, "InvalidToken", "Invalid Token") from error
        if claims["uhs"] != match["user_hash"]:
            raise StoreError(403, kind.source, "InvalidToken", "Invalid Token")
        return str(claims["player"])

    def _player(self, name: str) -> Player:
        players = self._context.state.players
        if name not in players:
            # Decimal digits, as Xbox Live's user hashes are; derived, so that one player always has the same.
            number = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
            players[name] = Player(user_hash=str(number))
            self._context.touch()
        return players[name]
