"""The app's own identity, as which it reads the vault and, without a connection string, the storage account."""

import os
from typing import TYPE_CHECKING

from shared.auth.retries import brief_retries
from shared.settings import Settings

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential


class AppIdentity:
    """Managed identity in Azure; elsewhere what ``DefaultAzureCredential`` finds by its ``AZURE_…`` variables."""

    def __init__(self, settings: Settings, *, client_id: str | None = None) -> None:
        """``client_id`` names a user-assigned identity; without it ``AZURE_CLIENT_ID`` does."""
        self._settings = settings
        self._client_id = client_id
        self._credential: AsyncTokenCredential | None = None

    def credential(self) -> "AsyncTokenCredential":
        """The credential, built when first needed: importing azure.identity takes as long as a cold start may."""
        if self._credential is None:
            self._credential = self._build()
        return self._credential

    def _build(self) -> "AsyncTokenCredential":
        from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential  # noqa: PLC0415 - heavy

        if "IDENTITY_ENDPOINT" in os.environ and "AZURE_CLIENT_SECRET" not in os.environ:
            return ManagedIdentityCredential(client_id=self._client_id or os.environ.get("AZURE_CLIENT_ID"))
        return DefaultAzureCredential(
            retry_policy_class=brief_retries(),
            disable_instance_discovery=self._settings.disable_instance_discovery,
            exclude_interactive_browser_credential=True,
        )

    async def close(self) -> None:
        """Give back the connections."""
        if self._credential is not None:
            await self._credential.close()
