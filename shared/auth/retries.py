"""How often the Azure SDK tries again by itself: soon, or not at all.

Left alone, it sleeps for as long as a service's ``Retry-After`` says, with a caller waiting. A long pause is the
caller's to make: the answer is an error that says when to come again.
"""

from typing import TYPE_CHECKING, Any

from shared.clock import utc_now
from shared.retry_after import parse_retry_after

if TYPE_CHECKING:
    from azure.core.pipeline.policies import AsyncRetryPolicy

PATIENCE = 1.0
"""Seconds that a caller can be made to wait for another try."""


def brief_retries() -> "type[AsyncRetryPolicy[Any, Any]]":
    """The SDK's policy for retries, but for services that want to be left alone for longer than :data:`PATIENCE`."""
    from azure.core.pipeline.policies import AsyncRetryPolicy  # noqa: PLC0415 - loaded with the first client

    class BriefRetries(AsyncRetryPolicy[Any, Any]):
        def is_retry(self, settings: dict[str, Any], response: Any) -> bool:
            return super().is_retry(settings, response) and (self.get_retry_after(response) or 0) <= PATIENCE

    return BriefRetries


def retry_after_of(error: Exception, otherwise: float = 5.0) -> float:
    """Seconds that the answer behind an SDK's error asks for."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    found = parse_retry_after(headers.get("Retry-After"), utc_now)
    return otherwise if found is None else found
