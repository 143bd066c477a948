"""How a call to the Store can fail, by what is known of its outcome.

Sources: store-services reference, sections 0, 6, 10; Store for Business reference, "Operations".

::

    StoreError
    ├── StoreRefusedError      definitive: the Store understood the call and says no
    ├── StoreCredentialsError  401: our Entra token, the key or the client id is not accepted
    ├── StoreThrottledError    429, at Store for Business 503 with a time too: not carried out; come again later
    ├── StoreUnknownError      timeout, broken connection, 408, 5xx, unreadable answer: it may or may not have happened
    └── AddressExpiredError    a download's address is no longer good (shared.store.downloads)
"""

from dataclasses import dataclass

AUTHENTICATION_TOKEN_INVALID = "AuthenticationTokenInvalid"  # noqa: S105 - an error code
"""Inner code: the Entra token is invalid, or the key itself is invalid or revoked (reference, section 0)."""


@dataclass(frozen=True, slots=True)
class StoreAnswer:
    """What is known of the Store's answer; its texts are bounded and hold no credential.

    ``path`` is as it was sent, without its query. ``reason``, ``item_type`` and ``raw`` (the body's first 2 KiB) are
    Store for Business's, whose error bodies nobody documented.
    """

    operation: str
    status: int | None
    code: str | None = None
    inner_code: str | None = None
    message: str | None = None
    request_id: str | None = None
    method: str | None = None
    path: str | None = None
    reason: str | None = None
    item_type: str | None = None
    raw: str | None = None

    def __str__(self) -> str:
        status = f"HTTP {self.status}" if self.status else "no answer"
        known = [status, self.inner_code or self.code, self.reason, self.item_type, self.message]
        text = f"{self.operation}: " + ", ".join(part for part in known if part)
        return f"{text} (request {self.request_id})" if self.request_id else text


class StoreError(Exception):
    """A call to the Store failed; ``answer`` says what is known.

    ``retry_after`` is in seconds, where the Store named a time to come again.
    """

    def __init__(self, answer: StoreAnswer, retry_after: float | None = None) -> None:
        super().__init__(str(answer))
        self.answer = answer
        self.retry_after = retry_after


class StoreRefusedError(StoreError):
    """The Store understood the call and refuses it: the same call will be refused again."""


class StoreCredentialsError(StoreError):
    """401: a fresh Entra token may help; if not, the key or the app is at fault (``inner_code``, where known)."""


class StoreThrottledError(StoreError):
    """429, or 503 with a time to come again at Store for Business: nothing was carried out."""


class StoreUnknownError(StoreError):
    """The outcome is not known."""
