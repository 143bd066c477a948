"""Three ways to prove who we are, with the real ``azure.identity``."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable

import httpx
import jwt
import pytest
from azure.core.exceptions import ClientAuthenticationError
from azure.identity import ClientSecretCredential as BlockingClientSecretCredential
from azure.identity.aio import (
    CertificateCredential,
    ClientAssertionCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
)
from azure.keyvault.secrets.aio import SecretClient
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from jwt.utils import base64url_encode

from tests.emulator.world import CREATE, SERVICE, World, claims

EXCHANGE = "api://AzureADTokenExchange/.default"
SCOPE = f"{SERVICE}/.default"


@pytest.fixture
async def identity(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ManagedIdentityCredential]:
    """The managed identity as App Service would offer it."""
    offered = (await world.http.get("/_emulator/managed-identity")).json()
    for name, value in offered["environment"].items():
        monkeypatch.setenv(name, value)
    async with ManagedIdentityCredential(connection_verify=world.ca) as credential:
        yield credential


async def certificate(world: World) -> bytes:
    """Register a certificate on the publisher's app and read its PEM from the vault, as the app would."""
    await world.control(f"apps/{world.client_id}/certificates", storeInVault="publisher-certificate")
    admin = (await world.http.get("/_emulator/admin")).json()
    async with (
        ClientSecretCredential(
            admin["tenantId"],
            admin["clientId"],
            admin["clientSecret"],
            authority=world.url,
            disable_instance_discovery=True,
            connection_verify=world.ca,
        ) as credential,
        SecretClient(world.url, credential, verify_challenge_resource=False, connection_verify=world.ca) as secrets,
    ):
        secret = await secrets.get_secret("publisher-certificate")
    assert secret.properties.content_type == "application/x-pem-file"
    assert secret.value is not None
    return secret.value.encode()


async def test_client_secret(world: World) -> None:
    async with ClientSecretCredential(
        world.tenant_id,
        world.client_id,
        await world.secret(),
        authority=world.url,
        disable_instance_discovery=True,
        connection_verify=world.ca,
    ) as credential:
        token = await credential.get_token(SCOPE)

    assert claims(token.token)["appid"] == world.client_id
    assert token.expires_on == pytest.approx(time.time() + 3600, abs=5)


async def test_client_secret_through_msal(world: World) -> None:
    with BlockingClientSecretCredential(
        world.tenant_id,
        world.client_id,
        await world.secret(),
        authority=world.url,
        disable_instance_discovery=True,
        connection_verify=world.ca,
    ) as credential:
        # MSAL blocks, and the emulator is on this very loop.
        token = await asyncio.to_thread(credential.get_token, SCOPE)

    assert claims(token.token)["appid"] == world.client_id


async def test_a_wrong_secret_is_an_authentication_error(world: World) -> None:
    async with ClientSecretCredential(
        world.tenant_id,
        world.client_id,
        "wrong",
        authority=world.url,
        disable_instance_discovery=True,
        connection_verify=world.ca,
    ) as credential:
        with pytest.raises(ClientAuthenticationError, match="AADSTS7000215"):
            await credential.get_token(SCOPE)


async def test_certificate(world: World) -> None:
    async with CertificateCredential(
        world.tenant_id,
        world.client_id,
        certificate_data=await certificate(world),
        authority=world.url,
        disable_instance_discovery=True,
        connection_verify=world.ca,
    ) as credential:
        token = await credential.get_token(SCOPE)

    assert claims(token.token)["appidacr"] == "2"


async def test_a_certificate_of_another_app_is_refused(world: World) -> None:
    pem = await certificate(world)
    async with CertificateCredential(
        world.tenant_id,
        world.settings["AZURE_CLIENT_ID"],
        certificate_data=pem,
        authority=world.url,
        disable_instance_discovery=True,
        connection_verify=world.ca,
    ) as credential:
        with pytest.raises(ClientAuthenticationError, match="AADSTS700027"):
            await credential.get_token(SCOPE)


async def test_managed_identity(world: World, identity: ManagedIdentityCredential) -> None:
    token = await identity.get_token("https://vault.azure.net/.default")

    assert claims(token.token)["aud"] == "https://vault.azure.net"
    assert token.expires_on == pytest.approx(time.time() + 3600, abs=5)


async def test_managed_identity_reads_the_vault(world: World, identity: ManagedIdentityCredential) -> None:
    async with SecretClient(
        world.url, identity, verify_challenge_resource=False, connection_verify=world.ca
    ) as secrets:
        assert (await secrets.get_secret("publisher-client-secret")).value


async def test_federated_credential(world: World, identity: ManagedIdentityCredential) -> None:
    assertion = (await identity.get_token(EXCHANGE)).token

    def credential() -> ClientAssertionCredential:
        return ClientAssertionCredential(
            world.tenant_id,
            world.client_id,
            lambda: assertion,
            authority=world.url,
            disable_instance_discovery=True,
            connection_verify=world.ca,
        )

    async with credential() as stranger:
        with pytest.raises(ClientAuthenticationError, match="AADSTS70021"):
            await stranger.get_token(SCOPE)

    trusted = await world.control(f"apps/{world.client_id}/federated-credentials")
    assert trusted["audience"] == "api://AzureADTokenExchange"

    async with credential() as known:
        token = await known.get_token(f"{CREATE['collections']}/.default")
    assert claims(token.token)["aud"] == CREATE["collections"]
    assert claims(token.token)["appid"] == world.client_id


async def test_a_token_for_another_audience_is_no_assertion(world: World, identity: ManagedIdentityCredential) -> None:
    await world.control(f"apps/{world.client_id}/federated-credentials")
    vault_token = (await identity.get_token("https://vault.azure.net/.default")).token

    assert await assertion_refusal(world, vault_token) == 700027


@pytest.mark.parametrize(
    "forge",
    [
        lambda good: {**good, "aud": "https://elsewhere.example/"},
        lambda good: {**good, "exp": int(time.time()) - 1},
        lambda good: {name: value for name, value in good.items() if name != "exp"},
    ],
)
async def test_bad_certificate_assertions(
    world: World, forge: Callable[[dict[str, object]], dict[str, object]]
) -> None:
    pem = await certificate(world)
    key = serialization.load_pem_private_key(pem, None)
    thumbprint = base64url_encode(x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA1())).decode()
    good: dict[str, object] = {
        "iss": world.client_id,
        "sub": world.client_id,
        "aud": f"{world.url}/{world.tenant_id}/oauth2/v2.0/token",
        "jti": str(uuid.uuid4()),
        "exp": int(time.time()) + 300,
    }

    def signed(content: dict[str, object]) -> str:
        return jwt.encode(content, key, "RS256", headers={"x5t": thumbprint})  # type: ignore[arg-type]

    assert await assertion_refusal(world, signed(good)) is None
    assert await assertion_refusal(world, signed(forge(good))) == 700027


async def test_garbage_is_no_assertion(world: World) -> None:
    assert await assertion_refusal(world, "garbage") == 700027


async def assertion_refusal(world: World, assertion: str) -> int | None:
    """The AADSTS code with which Entra refuses the assertion; ``None`` when it does not."""
    answer = await world.http.post(
        f"/{world.tenant_id}/oauth2/v2.0/token",
        data={
            "grant_type": "client_credentials",
            "client_id": world.client_id,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
            "scope": SCOPE,
        },
    )
    return None if answer.is_success else int(answer.json()["error_codes"][0])


@pytest.mark.parametrize(
    ("query", "header", "status"),
    [
        ({"resource": "https://vault.azure.net", "api-version": "2019-08-01"}, "wrong", 401),
        ({"resource": "https://vault.azure.net", "api-version": "2017-09-01"}, None, 400),
        ({"api-version": "2019-08-01"}, None, 400),
        ({"resource": "https://unknown.example", "api-version": "2019-08-01"}, None, 400),
        ({"resource": "https://vault.azure.net", "api-version": "2019-08-01", "client_id": "other"}, None, 400),
    ],
)
async def test_managed_identity_refusals(world: World, query: dict[str, str], header: str | None, status: int) -> None:
    offered = (await world.http.get("/_emulator/managed-identity")).json()["environment"]
    sent = header or offered["IDENTITY_HEADER"]

    answer: httpx.Response = await world.http.get("/msi/token", params=query, headers={"X-IDENTITY-HEADER": sent})

    assert answer.status_code == status
    assert answer.json()["statusCode"] == status
