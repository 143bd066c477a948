"""The Store's refusals in words for our callers."""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import (
    BadGatewayError,
    InputFault,
    NotFoundError,
    StateConflictError,
    StorekeeperError,
    UnavailableError,
    UnprocessableError,
)
from shared.seats.outcomes import reason_of
from shared.store.errors import StoreError, StoreRefusedError, StoreThrottledError, StoreUnknownError

DEPENDENCY = "store-business"


@contextmanager
def told_to_callers(pointer: str) -> Iterator[None]:
    """Turn what the Store says into what a caller can act on; ``pointer`` is the input that a 400 is about.

    :raises NotFoundError: 404, :raises StateConflictError: 409, :raises UnprocessableError: 400
    :raises BadGatewayError: the Store does not take our credentials, or refuses in a way that no caller can mend.
    :raises UnavailableError: throttled, or away.
    """
    try:
        yield
    except StoreError as error:
        raise _told(error, pointer) from error


def _told(error: StoreError, pointer: str) -> StorekeeperError:
    reason = reason_of(error.answer)
    if isinstance(error, StoreThrottledError | StoreUnknownError):
        return UnavailableError(DEPENDENCY, reason, retry_after=error.retry_after or 5.0)
    status = error.answer.status if isinstance(error, StoreRefusedError) else None
    detail = f"The Store says: {reason}"
    match status:
        case 404:
            return NotFoundError(detail)
        case 409:
            return StateConflictError(detail)
        case 400:
            return UnprocessableError(detail, faults=(InputFault(pointer, reason),))
    return BadGatewayError(f"The Store refuses us: {error}")
