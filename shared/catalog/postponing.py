"""Why something could not be had now, and what that means for the next try."""

from typing import NamedTuple

from shared.correlation import get_logger
from shared.errors import BadGatewayError, StorekeeperError, UnavailableError
from shared.store.errors import StoreCredentialsError, StoreError

_log = get_logger(__name__)


class Reason(NamedTuple):
    """``hopeless`` where waiting seldom mends it; ``retry_after`` in seconds, where somebody named a time."""

    text: str
    hopeless: bool
    retry_after: float | None


DEADLY = Reason("every worker that was at it died or failed", hopeless=False, retry_after=None)


def reason_of(error: Exception) -> Reason:
    """What an error says, one that nobody foresaw too: a single thing must not hold up the others.

    :raises UnavailableError: the error itself, where storage is away: then nothing could be written either.
    """
    match error:
        case UnavailableError(dependency=dependency) if dependency.startswith("storage"):
            raise error
        case TimeoutError():
            text = "no answer in time"
        case StoreError() | StorekeeperError():
            text = str(error)
        case _:
            _log.error("something could not be had, for a reason that nobody foresaw", exc_info=error)
            text = f"unforeseen: {type(error).__name__}"
    hopeless = isinstance(error, StoreCredentialsError | BadGatewayError)
    return Reason(text, hopeless, getattr(error, "retry_after", None))
