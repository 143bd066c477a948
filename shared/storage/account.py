"""The storage account: its clients, and its errors in our words."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from shared.auth.app_identity import AppIdentity
from shared.errors import UnavailableError
from shared.settings import StorageAccount

if TYPE_CHECKING:
    from azure.data.tables.aio import TableServiceClient
    from azure.storage.blob import UserDelegationKey
    from azure.storage.blob.aio import BlobServiceClient
    from azure.storage.queue.aio import QueueServiceClient

_OPTIONS: dict[str, Any] = {
    "retry_total": 3,
    "retry_backoff_factor": 0.2,
    "connection_timeout": 5,
    "read_timeout": 20,
    # Else every request looks for a .netrc file and for proxies first: a tenth of its processor time, and no such
    # thing stands between an app and its account.
    "use_env_settings": False,
}

# Storage's own policy knows no backoff factor, and waits for 15 seconds and more unless told otherwise.
_QUEUE_OPTIONS = _OPTIONS | {"initial_backoff": 0, "increment_base": 1, "random_jitter_range": 0}
_BLOB_OPTIONS = _QUEUE_OPTIONS

_DELEGATION = timedelta(hours=6)
"""How long a key is asked for that signs addresses; the service gives none for more than seven days."""


class Account:
    """Builds the clients of one storage account when they are first needed, one of each."""

    def __init__(self, account: StorageAccount, identity: AppIdentity) -> None:
        self._account = account
        self._identity = identity
        self._tables: TableServiceClient | None = None
        self._queues: QueueServiceClient | None = None
        self._blobs: BlobServiceClient | None = None
        self._delegation: tuple[UserDelegationKey, datetime] | None = None

    def tables(self) -> "TableServiceClient":
        """The table service."""
        if self._tables is None:
            from azure.data.tables.aio import TableServiceClient  # noqa: PLC0415 - loaded when first used

            if self._account.connection_string:
                self._tables = TableServiceClient.from_connection_string(
                    self._account.connection_string.reveal(), **_OPTIONS
                )
            else:
                credential = self._identity.credential()
                self._tables = TableServiceClient(self._account.endpoint("table"), credential=credential, **_OPTIONS)
        return self._tables

    def queues(self) -> "QueueServiceClient":
        """The queue service."""
        if self._queues is None:
            from azure.storage.queue.aio import QueueServiceClient  # noqa: PLC0415 - loaded when first used

            if self._account.connection_string:
                self._queues = QueueServiceClient.from_connection_string(
                    self._account.connection_string.reveal(), **_QUEUE_OPTIONS
                )
            else:
                credential = self._identity.credential()
                self._queues = QueueServiceClient(
                    self._account.endpoint("queue"), credential=credential, **_QUEUE_OPTIONS
                )
        return self._queues

    def blobs(self) -> "BlobServiceClient":
        """The blob service."""
        if self._blobs is None:
            from azure.storage.blob.aio import BlobServiceClient  # noqa: PLC0415 - loaded when first used

            if self._account.connection_string:
                self._blobs = BlobServiceClient.from_connection_string(
                    self._account.connection_string.reveal(), **_BLOB_OPTIONS
                )
            else:
                credential = self._identity.credential()
                self._blobs = BlobServiceClient(self._account.endpoint("blob"), credential=credential, **_BLOB_OPTIONS)
        return self._blobs

    async def signing_key(self, until: datetime) -> dict[str, Any]:
        """What addresses of blobs are signed with: the account's key, or one that our identity was given for a while.

        :raises UnavailableError: the account is away.
        """
        client = self.blobs()
        if self._account.connection_string:
            return {"account_key": client.credential.account_key}
        if self._delegation is None or self._delegation[1] < until:
            end = until + _DELEGATION
            with storage_errors("storage-blobs"):
                self._delegation = (await client.get_user_delegation_key(until - _DELEGATION, end), end)
        return {"user_delegation_key": self._delegation[0]}

    async def close(self) -> None:
        """Give back the connections."""
        for client in (self._tables, self._queues, self._blobs):
            if client is not None:
                await client.close()


@contextmanager
def storage_errors(dependency: str) -> Iterator[None]:
    """Turn "the account is away" into :class:`UnavailableError`; what the service says of the call itself passes."""
    from azure.core.exceptions import AzureError, HttpResponseError  # noqa: PLC0415 - loaded with the clients

    try:
        yield
    except HttpResponseError as error:
        if error.status_code is None or error.status_code in {401, 403, 408, 429} or error.status_code >= 500:
            raise UnavailableError(dependency, f"answered {error.status_code}") from error
        raise
    except AzureError as error:
        raise UnavailableError(dependency, type(error).__name__) from error
