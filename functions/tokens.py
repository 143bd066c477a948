"""Access tokens for the game (seed 002, step 3)."""

from datetime import datetime

import msgspec

from functions.http.answers import Answer
from functions.http.calls import Call
from functions.http.endpoints import endpoint
from functions.http.kinds import kind_of
from functions.parts import parts
from shared.auth.tokens import CreationToken


class Token(msgspec.Struct, rename="camel"):
    """What a game makes a User Store ID key with. The service token has no place here: it is of another type."""

    kind: str
    audience: str
    access_token: CreationToken
    expires_on: datetime


@endpoint(answers={200: Token})
async def create_token(call: Call) -> Answer:
    """An access token with which a game makes a User Store ID key of one kind."""
    kind = kind_of(call)
    token = await parts().core.entra.get_creation_token(parts().core.publisher, kind)
    return Answer(200, Token(kind, kind.audience, token, token.expires_on), {"Cache-Control": "no-store"})
