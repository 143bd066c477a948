"""The three Entra access tokens of the Store services, each of a type of its own (seed 002, step 3).

A :class:`ServiceToken` speaks for the publisher at every Store endpoint and must never reach a client. A
:class:`CreationToken` is made to be handed to the game. Only the latter can be put into an HTTP answer: the encoder of
``functions/http/answers.py`` knows that type alone.
"""

from datetime import datetime
from enum import StrEnum

from shared.secret import Secret

SERVICE_AUDIENCE = "https://onestore.microsoft.com"


class StoreIdKind(StrEnum):
    """The two kinds of User Store ID, and of the token that a game makes one with (seed 002)."""

    COLLECTIONS = "collections"
    PURCHASE = "purchase"

    @property
    def audience(self) -> str:
        """The audience of the access token that makes keys of this kind (seed 002, step 3)."""
        return f"{SERVICE_AUDIENCE}/b2b/keys/create/{self.value}"


class _AccessToken(Secret):
    __slots__ = ("expires_on",)

    def __init__(self, value: str, expires_on: datetime) -> None:
        super().__init__(value)
        self.expires_on = expires_on


class ServiceToken(_AccessToken):
    """The bearer token of calls to the Store; never leaves the process but to the Store itself."""

    __slots__ = ()


class CreationToken(_AccessToken):
    """The token that a game creates a User Store ID key of one kind with."""

    __slots__ = ()
