"""Key Vault with the real ``azure.keyvault.secrets`` client."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity.aio import ClientSecretCredential
from azure.keyvault.secrets.aio import SecretClient

from tests.emulator.world import VAULT, World


@asynccontextmanager
async def client(world: World, client_id: str, client_secret: str) -> AsyncIterator[SecretClient]:
    async with (
        ClientSecretCredential(
            world.tenant_id,
            client_id,
            client_secret,
            authority=world.url,
            disable_instance_discovery=True,
            connection_verify=world.ca,
        ) as credential,
        SecretClient(world.url, credential, verify_challenge_resource=False, connection_verify=world.ca) as secrets,
    ):
        yield secrets


@pytest.fixture(scope="module")
async def admin(world: World) -> AsyncIterator[SecretClient]:
    """May read and write."""
    known = (await world.http.get("/_emulator/admin")).json()
    async with client(world, known["clientId"], known["clientSecret"]) as secrets:
        yield secrets


@pytest.fixture(scope="module")
async def app(world: World) -> AsyncIterator[SecretClient]:
    """The app's own identity: may read."""
    values = world.settings
    async with client(world, values["AZURE_CLIENT_ID"], values["AZURE_CLIENT_SECRET"]) as secrets:
        yield secrets


async def test_the_app_reads_the_seeds(world: World, app: SecretClient) -> None:
    secret = await app.get_secret("publisher-client-secret")
    data_key = await app.get_secret(world.settings["STORE_ID_DATA_KEY"])

    assert secret.value
    assert await world.token(secret=secret.value)
    assert len(base64.b64decode(data_key.value or "")) == 32
    assert secret.id == f"{world.url}/secrets/publisher-client-secret/{secret.properties.version}"
    assert secret.properties.created_on


async def test_no_token_is_answered_with_the_challenge(world: World) -> None:
    answer = await world.http.get("/secrets/publisher-client-secret", params={"api-version": "7.6"})

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == (
        f'Bearer authorization="{world.url}/{world.tenant_id}", resource="{VAULT}"'
    )
    assert answer.json()["error"]["code"] == "Unauthorized"


async def test_a_token_for_another_audience_is_challenged(world: World) -> None:
    headers = {"Authorization": f"Bearer {await world.token()}"}

    answer = await world.http.get("/secrets/x", params={"api-version": "7.6"}, headers=headers)

    assert answer.status_code == 401


async def test_api_version_is_required(world: World) -> None:
    assert (await world.http.get("/secrets/x")).status_code == 400


async def test_an_app_without_a_role_is_forbidden(world: World) -> None:
    async with client(world, world.client_id, await world.secret()) as publisher:
        with pytest.raises(HttpResponseError) as caught:
            await publisher.get_secret("publisher-client-secret")

    assert caught.value.status_code == 403
    assert caught.value.error is not None
    assert caught.value.error.code == "Forbidden"


async def test_the_app_may_not_write(app: SecretClient) -> None:
    with pytest.raises(HttpResponseError, match="not authorized") as caught:
        await app.set_secret("anything", "value")

    assert caught.value.status_code == 403


async def test_versions(admin: SecretClient, app: SecretClient) -> None:
    old = await admin.set_secret("versioned", "old", content_type="text/plain", tags={"a": "b"})
    new = await admin.set_secret("versioned", "new")

    assert (await app.get_secret("versioned")).value == "new"
    kept = await app.get_secret("versioned", old.properties.version)
    assert (kept.value, kept.properties.content_type, kept.properties.tags) == ("old", "text/plain", {"a": "b"})
    listed = [each.version async for each in app.list_properties_of_secret_versions("versioned")]
    assert listed == [old.properties.version, new.properties.version]


async def test_a_rotation_is_read_as_the_newest_version(world: World, app: SecretClient) -> None:
    before = (await app.get_secret("publisher-client-secret")).value

    rotated = await world.control(
        f"apps/{world.client_id}/secrets", revokeOthers=True, storeInVault="publisher-client-secret"
    )

    after = (await app.get_secret("publisher-client-secret")).value
    assert after == rotated["secret"] != before


async def test_a_disabled_version_is_forbidden(admin: SecretClient) -> None:
    made = await admin.set_secret("disabled", "value")
    await admin.update_secret_properties("disabled", made.properties.version, enabled=False)

    with pytest.raises(HttpResponseError, match="disabled") as caught:
        await admin.get_secret("disabled")
    assert caught.value.status_code == 403

    await admin.update_secret_properties("disabled", made.properties.version, enabled=True)
    assert (await admin.get_secret("disabled")).value == "value"


async def test_what_is_not_there_is_not_found(app: SecretClient) -> None:
    with pytest.raises(ResourceNotFoundError, match="SecretNotFound"):
        await app.get_secret("no-such-secret")
    with pytest.raises(ResourceNotFoundError, match="SecretNotFound"):
        await app.get_secret("publisher-client-secret", "0" * 32)


async def test_a_deleted_secret_is_gone(admin: SecretClient) -> None:
    await admin.set_secret("short-lived", "value")

    await admin.delete_secret("short-lived")

    with pytest.raises(ResourceNotFoundError):
        await admin.get_secret("short-lived")


async def test_lists_go_over_pages(admin: SecretClient) -> None:
    for number in range(30):
        await admin.set_secret(f"page-{number:02}", "value")

    names = [each.name async for each in admin.list_properties_of_secrets()]

    assert [name for name in names if name and name.startswith("page-")] == [
        f"page-{number:02}" for number in range(30)
    ]


async def test_a_bad_name_is_refused(admin: SecretClient) -> None:
    with pytest.raises(HttpResponseError, match="BadParameter"):
        await admin.set_secret("not_allowed", "value")
