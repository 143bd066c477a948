"""Entra's token endpoints: what they answer, in which shape, and every refusal."""

from typing import Any

import httpx
import jwt
import pytest

from tests.emulator.world import CREATE, SERVICE, World, claims, fixture, shape


async def ask(world: World, version: str = "v2", tenant: str | None = None, **form: str | None) -> httpx.Response:
    """A token request that is right but for what the test changes; ``None`` leaves a parameter out."""
    right = {"grant_type": "client_credentials", "client_id": world.client_id, "client_secret": await world.secret()}
    right |= {"scope": f"{SERVICE}/.default"} if version == "v2" else {"resource": SERVICE}
    path = "oauth2/v2.0/token" if version == "v2" else "oauth2/token"
    sent = {name: value for name, value in (right | form).items() if value is not None}
    return await world.http.post(f"/{tenant or world.tenant_id}/{path}", data=sent)


def refusal(answer: httpx.Response) -> tuple[int, str, int]:
    body: dict[str, Any] = answer.json()
    [code] = body["error_codes"]
    assert body["error_description"].startswith(f"AADSTS{code}: ")
    return answer.status_code, body["error"], code


async def test_v2_answers_numbers_and_v1_answers_strings(world: World) -> None:
    v2 = await ask(world)
    v1 = await ask(world, "v1")

    assert shape(v2.json()) == shape(fixture("entra-token-v2-response"))
    assert 3590 < v2.json()["expires_in"] < 3600
    assert shape(v1.json()) == shape(fixture("entra-token-v1-response"))
    assert 3590 < int(v1.json()["expires_in"]) < 3600
    assert v1.json()["resource"] == SERVICE
    assert v2.headers["Cache-Control"] == "no-store, no-cache"


@pytest.mark.parametrize("audience", [SERVICE, *CREATE.values()])
async def test_a_token_carries_what_the_services_check(world: World, audience: str) -> None:
    token = claims((await ask(world, scope=f"{audience}/.default")).json()["access_token"])

    assert token["aud"] == audience
    assert token["appid"] == world.client_id
    assert token["tid"] == world.tenant_id
    assert token["iss"] == f"{world.url}/{world.tenant_id}/v2.0"
    assert token["exp"] - token["iat"] == 3600
    assert token["nbf"] == token["iat"] - 300
    assert "roles" in token
    assert "oid" in token


async def test_v1_tokens_come_from_the_old_issuer(world: World) -> None:
    token = claims((await ask(world, "v1")).json()["access_token"])

    assert token["iss"] == f"https://sts.windows.net/{world.tenant_id}/"
    assert token["appid"] == world.client_id


async def test_discovery_leads_to_the_key_that_verifies_a_token(world: World) -> None:
    for path in ("v2.0/.well-known/openid-configuration", ".well-known/openid-configuration"):
        described = (await world.http.get(f"/{world.tenant_id}/{path}")).json()
        [key] = (await world.http.get(described["jwks_uri"])).json()["keys"]
        form = {"grant_type": "client_credentials", "client_id": world.client_id, "client_secret": await world.secret()}
        asked = {"scope": f"{SERVICE}/.default"} if "v2.0" in path else {"resource": SERVICE}
        token = (await world.http.post(described["token_endpoint"], data=form | asked)).json()["access_token"]

        verified = jwt.decode(token, jwt.PyJWK(key), audience=SERVICE, issuer=described["issuer"])

        assert verified["appid"] == world.client_id
        assert not {"d", "p", "q"} & key.keys()


async def test_instance_discovery_names_this_host(world: World) -> None:
    answer = (await world.http.get("/common/discovery/instance")).json()

    assert answer["metadata"][0]["aliases"] == [world.url.removeprefix("https://")]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"client_secret": "wrong"}, (401, "invalid_client", 7000215)),
        ({"client_id": "00000000-0000-4000-8000-000000000000"}, (400, "unauthorized_client", 700016)),
        ({"tenant": "00000000-0000-4000-8000-000000000000"}, (400, "invalid_request", 90002)),
        ({"scope": "https://unknown.example/.default"}, (400, "invalid_resource", 500011)),
        ({"scope": SERVICE}, (400, "invalid_scope", 70011)),
        ({"scope": f"{SERVICE}/.default/.default"}, (400, "invalid_scope", 70011)),
        ({"scope": f"{SERVICE}//.default"}, (400, "invalid_scope", 70011)),
        ({"scope": f"{SERVICE}/.default openid"}, (400, "invalid_scope", 70011)),
        ({"grant_type": "password"}, (400, "unsupported_grant_type", 70003)),
        ({"grant_type": None}, (400, "invalid_request", 900144)),
        ({"client_id": None}, (400, "invalid_request", 900144)),
        ({"scope": None}, (400, "invalid_request", 900144)),
        # The pitfall of the 2026 documentation: the v2 address with v1's parameter.
        ({"scope": None, "resource": f"{SERVICE}/.default"}, (400, "invalid_request", 900144)),
        ({"client_secret": None}, (401, "invalid_client", 7000218)),
        ({"version": "v1", "resource": None}, (400, "invalid_request", 900144)),
        ({"version": "v1", "resource": f"{SERVICE}/.default"}, (400, "invalid_resource", 500011)),
        ({"version": "v1", "resource": f"{SERVICE}/"}, (400, "invalid_resource", 500011)),
    ],
)
async def test_refusals(world: World, form: dict[str, str | None], expected: tuple[int, str, int]) -> None:
    version, tenant = form.pop("version", None) or "v2", form.pop("tenant", None)

    assert refusal(await ask(world, version, tenant, **form)) == expected


@pytest.mark.parametrize("scope", ["https://vault.azure.net/.default", "https://vault.azure.net//.default"])
async def test_platform_resources_may_end_in_a_slash(world: World, scope: str) -> None:
    token = claims((await ask(world, scope=scope)).json()["access_token"])

    assert token["aud"] == "https://vault.azure.net"


async def test_errors_have_the_published_shape(world: World) -> None:
    invalid_client = (await ask(world, client_secret="wrong")).json()
    invalid_resource = (await ask(world, scope="https://unknown.example/.default")).json()

    assert shape(invalid_client) == shape(fixture("entra-token-error-invalid-client"))
    assert shape(invalid_resource) == shape(fixture("entra-token-error-invalid-resource"))


async def test_several_secrets_are_valid_until_revoked(world: World) -> None:
    first, second = await world.secret(), await world.secret()
    assert (await ask(world, client_secret=first)).status_code == 200
    assert (await ask(world, client_secret=second)).status_code == 200

    only = (await world.control(f"apps/{world.client_id}/secrets", revokeOthers=True))["secret"]

    assert refusal(await ask(world, client_secret=first))[2] == 7000215
    assert (await ask(world, client_secret=only)).status_code == 200


async def test_secrets_must_be_url_encoded(world: World) -> None:
    secret = await world.secret()
    assert all(character in secret for character in "%+~&")
    form = f"grant_type=client_credentials&client_id={world.client_id}&scope={SERVICE}/.default&client_secret={secret}"

    answer = await world.http.post(
        f"/{world.tenant_id}/oauth2/v2.0/token",
        content=form,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )

    assert refusal(answer)[2] == 7000215


async def test_an_expired_secret_says_so(world: World) -> None:
    expired = await world.control(f"apps/{world.client_id}/secrets", expiresInSeconds=-1)

    assert refusal(await ask(world, client_secret=expired["secret"])) == (401, "invalid_client", 7000222)


async def test_lifetime_and_audiences_are_the_tenants(world: World) -> None:
    before = (await world.http.patch(f"/_emulator/tenants/{world.tenant_id}", json={})).json()
    without_purchase = [audience for audience in before["audiences"] if audience != CREATE["purchase"]]
    changes = {"tokenLifetimeSeconds": 60, "audiences": without_purchase}
    await world.http.patch(f"/_emulator/tenants/{world.tenant_id}", json=changes)

    assert (await ask(world)).json()["expires_in"] == 59
    assert refusal(await ask(world, scope=f"{CREATE['purchase']}/.default"))[2] == 500011

    await world.http.patch(f"/_emulator/tenants/{world.tenant_id}", json=before)
    assert 3590 < (await ask(world)).json()["expires_in"] < 3600
