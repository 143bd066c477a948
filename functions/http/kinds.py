"""The path parameter ``kind``."""

from functions.http.calls import Call
from shared.auth.tokens import StoreIdKind
from shared.errors import NotFoundError


def kind_of(call: Call) -> StoreIdKind:
    """The kind that the path names.

    :raises NotFoundError: any other word, ``service`` too.
    """
    try:
        return StoreIdKind(call.path("kind"))
    except ValueError:
        raise NotFoundError("No such kind; there are collections and purchase") from None
