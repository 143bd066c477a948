"""The emulator as a process, its state file, and what survives a restart."""

import asyncio
import json
import os
import signal
import ssl
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from local.emulator.persistence import SAVE_DELAY_SECONDS, StateError
from tests.emulator.world import World, claims, running


@asynccontextmanager
async def process(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    started = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "local.emulator",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
            await started.communicate()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
async def test_it_says_ready_serves_and_stops(tmp_path: Path, stop: signal.Signals) -> None:
    state = tmp_path / "made" / "state.json"
    async with process("--port", "0", "--state", str(state)) as emulator:
        assert emulator.stdout is not None
        line = (await emulator.stdout.readline()).decode()
        word, url = line.split()
        assert word == "ready"
        assert url.startswith("https://localhost:")

        trust = ssl.create_default_context(cafile=state.with_name("ca.pem"))
        answer = await asyncio.to_thread(
            lambda: urllib.request.urlopen(f"{url}/_emulator/health", context=trust).read()
        )
        assert json.loads(answer)["status"] == "ok"

        emulator.send_signal(stop)
        output, errors = await emulator.communicate()
    assert (emulator.returncode, output, errors) == (0, b"", b"")
    assert state.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in state.parent.iterdir()) == ["business.json", "ca.pem", "state.json"]


# What an app does at its start, in a process of its own because trust is read from the environment once, at import.
APP = """
import asyncio, os
from azure.identity import ClientSecretCredential
from azure.identity.aio import DefaultAzureCredential
from azure.keyvault.secrets.aio import SecretClient

async def read_secret():
    async with (
        DefaultAzureCredential(disable_instance_discovery=True) as credential,
        SecretClient(os.environ["KEY_VAULT_URL"], credential, verify_challenge_resource=False) as vault,
    ):
        return (await vault.get_secret("publisher-client-secret")).value

with ClientSecretCredential(
    os.environ["PUBLISHER_TENANT_ID"], os.environ["PUBLISHER_CLIENT_ID"], asyncio.run(read_secret()),
    authority=os.environ["ENTRA_AUTHORITY"], disable_instance_discovery=True,
) as credential:
    print(credential.get_token("https://onestore.microsoft.com/.default").token)
"""


async def test_the_settings_are_all_that_a_process_needs(tmp_path: Path) -> None:
    async with running(tmp_path / "state.json") as world:
        app = await asyncio.create_subprocess_exec(
            sys.executable, "-c", APP, env={**os.environ, **world.settings}, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await app.communicate()

        assert app.returncode == 0
        assert claims(output.decode().strip())["appid"] == world.client_id


async def test_a_broken_state_file_is_named(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    state.write_text("{}")

    async with process("--port", "0", "--state", str(state)) as emulator:
        output, errors = await emulator.communicate()

    assert (emulator.returncode, output) == (2, b"")
    assert str(state) in errors.decode()
    assert b"Traceback" not in errors
    assert state.read_text() == "{}"


async def test_the_world_survives_a_restart(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    async with running(state) as before:
        ca, settings = text(before.ca), before.settings
        secret = await before.secret()
        key, revoked = await before.key(publisherUserId="a"), await before.key(publisherUserId="b")
        await before.control("signing-certificates/rotations")
        await before.control("store-ids/revocations", key=revoked)
        x_token = (await before.control("x-tokens", player="Ann", kind="purchase"))["xToken"]
        ticket = await before.token(secret=secret)
        await before.control(f"apps/{before.client_id}/federated-credentials")

    async with running(state) as after:
        assert text(after.ca) == ca
        assert after.settings["AZURE_CLIENT_SECRET"] == settings["AZURE_CLIENT_SECRET"]
        assert await after.token(secret=secret)
        assert (await after.renew(key, ticket)).status_code == 200
        assert (await after.renew(revoked, ticket)).status_code == 401
        assert (await after.control("x-tokens", player="Ann", kind="purchase"))["xToken"].split(";")[0] == (
            x_token.split(";")[0]
        )
        trusted = await after.control(f"apps/{after.client_id}/federated-credentials")
        assert trusted["issuer"].startswith(after.url)


async def test_changes_are_on_disk_without_a_stop(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    async with running(state) as world:
        secret = await world.secret()

        await asyncio.sleep(SAVE_DELAY_SECONDS + 0.3)

        assert secret in stored_secrets(world, state)


def text(path: str) -> str:
    return Path(path).read_text()


def stored_secrets(world: World, state: Path) -> list[str]:
    tenant = json.loads(state.read_text())["tenants"][world.tenant_id]
    return [secret["value"] for secret in tenant["apps"][world.client_id]["secrets"]]


async def test_another_versions_state_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    async with running(state):
        pass
    content = json.loads(state.read_text()) | {"version": 99}
    state.write_text(json.dumps(content))

    with pytest.raises(StateError, match="version 99"):
        async with running(state):
            pass


async def test_a_taken_port_is_an_error(tmp_path: Path) -> None:
    async with running(tmp_path / "one" / "state.json") as world:
        port = int(world.url.rsplit(":", 1)[1])
        with pytest.raises(OSError, match="address already in use"):
            async with running(tmp_path / "two" / "state.json", port):
                pass


async def test_the_settings_are_those_of_the_app(tmp_path: Path) -> None:
    async with running(tmp_path / "state.json") as world:
        whole = (await world.http.get("/_emulator/settings")).json()
        values = whole["Values"]

        assert whole["IsEncrypted"] is False
        assert all(isinstance(value, str) for value in values.values())
        assert values["STORE_COLLECTIONS_URL"] == f"{world.url}/collections"
        assert json.loads(values["CALLER_ISSUERS"])[0] == {
            "issuer": f"{world.url}/players",
            "audience": "storekeeper",
            "kind": "player",
        }
        assert text(values["SSL_CERT_FILE"]) == (await world.http.get("/_emulator/ca.pem")).text
