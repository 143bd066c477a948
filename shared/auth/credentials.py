"""The three ways to prove to Entra which app we are (store-services reference, section 1)."""

import base64
import binascii
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from shared.auth.retries import brief_retries
from shared.auth.vault import Vault, VaultSecret
from shared.settings import Identity, Settings

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

FEDERATION_SCOPE = "api://AzureADTokenExchange/.default"
"""What a managed identity asks for when its token is to stand in for the app's secret (reference, section 1)."""

_PKCS12 = "application/x-pkcs12"


@asynccontextmanager
async def open_credential(
    identity: Identity, settings: Settings, vault: Vault, *, fresh_secret: bool
) -> AsyncIterator["AsyncTokenCredential"]:
    """A credential for one fetch, made of what the vault holds now; ``fresh_secret`` has the vault read again.

    A credential is used once and given back, so that no rotated secret, and no token, lives on inside the SDK.

    :raises SecretUnusableError: the vault does not give the secret or certificate.
    :raises UnavailableError: the vault is away.
    """
    from azure.identity.aio import (  # noqa: PLC0415 - over half a second, paid when a token is first needed
        CertificateCredential,
        ClientAssertionCredential,
        ClientSecretCredential,
        ManagedIdentityCredential,
    )

    source = identity.credential
    options: dict[str, Any] = {
        "authority": settings.entra_authority,
        "disable_instance_discovery": settings.disable_instance_discovery,
        "retry_policy_class": brief_retries(),
        "retry_total": 2,
        "retry_backoff_factor": 0.3,
        "connection_timeout": 5,
        "read_timeout": 15,
    }
    async with AsyncExitStack() as stack:
        credential: AsyncTokenCredential
        match source.kind:
            case "secret":
                secret = await vault.get_secret(source.name or "", fresh=fresh_secret)
                credential = ClientSecretCredential(
                    identity.tenant_id, identity.client_id, secret.value.reveal(), **options
                )
            case "certificate":
                certificate = await vault.get_secret(source.name or "", fresh=fresh_secret)
                credential = CertificateCredential(
                    identity.tenant_id, identity.client_id, certificate_data=_certificate_bytes(certificate), **options
                )
            case "managed-identity":
                managed = await stack.enter_async_context(ManagedIdentityCredential(client_id=source.name))
                assertion = (await managed.get_token(FEDERATION_SCOPE)).token
                credential = ClientAssertionCredential(
                    identity.tenant_id, identity.client_id, lambda: assertion, **options
                )
        yield await stack.enter_async_context(credential)


def _certificate_bytes(certificate: VaultSecret) -> bytes:
    """PEM as it stands; the vault gives PKCS #12 as base64."""
    text = certificate.value.reveal()
    if certificate.content_type != _PKCS12:
        return text.encode()
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return text.encode()
