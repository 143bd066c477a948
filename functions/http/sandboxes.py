"""The query parameter that names a sandbox, and ids of the Store in queries."""

from functions.http.calls import Call
from functions.http.queries import Query
from shared.errors import BadRequestError, InputFault

SANDBOX = Query("the sandbox; RETAIL where none is named")

_MAX_ID = 64


def sandbox_of(call: Call) -> str | None:
    """The sandbox that a call declaring :data:`SANDBOX` names, if any.

    :raises BadRequestError: it is no id.
    """
    sandbox = call.query.text("sandbox")
    if sandbox is not None:
        check_ids("?sandbox", sandbox)
    return sandbox


def check_ids(pointer: str, *texts: str) -> None:
    """Make sure that texts are ids as the Store has them.

    :raises BadRequestError: one is none.
    """
    if not all(len(text) <= _MAX_ID and all("!" <= each <= "~" for each in text) for text in texts):
        fault = InputFault(pointer, f"expected at most {_MAX_ID} visible ASCII characters")
        raise BadRequestError("The query cannot be read", faults=(fault,))
