"""The hooks of azd, run as azd runs them, with a stand-in for the Azure CLI that keeps what it is told."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOOKS = ROOT / "infra" / "hooks"

ISSUERS = json.dumps([{"issuer": "https://issuer.example", "audience": "api", "kind": "operator"}])
PROVISIONED = {
    "KEY_VAULT_NAME": "kv-1",
    "DATA_KEY_NAME": "store-id-data-key",
    "AZURE_TENANT_ID": "tenant-1",
    "IDENTITY_CLIENT_ID": "identity-client",
    "IDENTITY_PRINCIPAL_ID": "identity-principal",
    "STOREKEEPER_PATIENCE_SECONDS": "0.5",
}

# Knows secrets, federated credentials and a subscription; keeps them, and every command, in one file of JSON.
AZ = f"""#!{sys.executable}
import json, os, pathlib, sys

file = pathlib.Path(os.environ["FAKE_AZ"])
state = json.loads(file.read_text())
words = sys.argv[1:]
option = lambda name: words[words.index(name) + 1]
state["commands"].append(words)
answer, error = None, ""
match words[:3]:
    case ["account", "show", *_]:
        answer, error = {{"id": state["subscription"]}}, "" if state["subscription"] else "run az login"
    case ["keyvault", "secret", "show"]:
        if state["forbidden"]:
            state["forbidden"] -= 1
            error = f"(Forbidden) You may not. Inner error: {{state['refusal']}}"
        elif option("--name") not in state["secrets"]:
            error = "(SecretNotFound) A secret with this name was not found in this key vault."
    case ["keyvault", "secret", "set"]:
        state["secrets"][option("--name")] = pathlib.Path(option("--file")).read_text()
    case ["ad", "app", "federated-credential"] if option("--id") == state["strange"]:
        error = "Insufficient privileges to complete the operation."
    case ["ad", "app", "federated-credential"]:
        known = state["trusted"].setdefault(option("--id"), [])
        if words[3] == "create":
            known.append(json.loads(option("--parameters")))
        else:
            answer = known
file.write_text(json.dumps(state))
print(error, file=sys.stderr) if error else print(json.dumps(answer))
sys.exit(1 if error else 0)
"""


@dataclass
class Azd:
    """Runs hooks in an environment of their own."""

    folder: Path

    def __post_init__(self) -> None:
        state: dict[str, Any] = {"commands": [], "subscription": "sub-1", "secrets": {}, "strange": "", "trusted": {}}
        state |= {"forbidden": 0, "refusal": "ForbiddenByRbac"}
        self.state_file = self.folder / "state.json"
        self.state_file.write_text(json.dumps(state), "utf-8")
        (self.folder / "bin").mkdir()
        command = self.folder / "bin" / "az"
        command.write_text(AZ, "utf-8")
        command.chmod(0o755)

    @property
    def state(self) -> dict[str, Any]:
        """What the stand-in knows."""
        content: dict[str, Any] = json.loads(self.state_file.read_text("utf-8"))
        return content

    def given(self, **changes: Any) -> None:
        """Change what it knows."""
        self.state_file.write_text(json.dumps(self.state | changes), "utf-8")

    def run(self, hook: str, values: Mapping[str, str], *, cli: bool = True) -> subprocess.CompletedProcess[str]:
        """A hook with the environment that azd gives it."""
        path = f"{self.folder / 'bin'}{os.pathsep}/usr/bin" if cli else str(self.folder)
        environment = {"PATH": path, "FAKE_AZ": str(self.state_file), "PYTHONDONTWRITEBYTECODE": "1", **values}
        command = [sys.executable, str(HOOKS / hook)]
        return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def azd(tmp_path: Path) -> Azd:
    """azd with a stand-in for az."""
    return Azd(tmp_path)


class TestBeforeProvision:
    """Nothing is made before everything was looked at."""

    def test_what_is_well_formed_passes(self, azd: Azd) -> None:
        publisher = {"PUBLISHER_CLIENT_ID": "app", "PUBLISHER_TENANT_ID": "tenant"}

        done = azd.run("before_provision.py", {"CALLER_ISSUERS": ISSUERS, **publisher})

        assert (done.returncode, done.stderr, done.stdout) == (0, "", "")

    def test_every_problem_is_told_at_once_and_no_value(self, azd: Azd) -> None:
        values = {
            "CALLER_ISSUERS": "hush",
            "PUBLISHER_CLIENT_ID": "only-this",
            "STOREKEEPER_PROFILE": "staging",
            "STOREKEEPER_PRIVATE_NETWORK": "yes",
            "STOREKEEPER_TAGS": "[]",
        }
        azd.given(subscription="")

        done = azd.run("before_provision.py", values)

        assert done.returncode == 1
        wanted = ("CALLER_ISSUERS", *list(values)[2:], "az login")
        assert [name for name in wanted if name not in done.stderr] == []
        assert "hush" not in done.stderr

    def test_a_missing_issuer_is_named(self, azd: Azd) -> None:
        done = azd.run("before_provision.py", {})

        assert done.returncode == 1
        assert "CALLER_ISSUERS is missing" in done.stderr

    def test_without_the_cli_it_says_what_to_install(self, azd: Azd) -> None:
        done = azd.run("before_provision.py", {"CALLER_ISSUERS": ISSUERS}, cli=False)

        assert done.returncode == 1
        assert "aka.ms/azure-cli" in done.stderr

    def test_another_subscription_is_noticed(self, azd: Azd) -> None:
        done = azd.run("before_provision.py", {"CALLER_ISSUERS": ISSUERS, "AZURE_SUBSCRIPTION_ID": "sub-2"})

        assert done.returncode == 1
        assert "az account set --subscription sub-2" in done.stderr

    def test_what_may_not_be_meant_is_a_note(self, azd: Azd) -> None:
        done = azd.run("before_provision.py", {"CALLER_ISSUERS": ISSUERS, "STOREKEEPER_PRIVATE_NETWORK": "true"})

        assert done.returncode == 0
        assert done.stdout.count("note: ") == 2


class TestAfterProvision:
    """The data key and the trust."""

    def test_a_data_key_is_made_of_random_bytes_and_never_stands_in_a_command(self, azd: Azd) -> None:
        done = azd.run("after_provision.py", PROVISIONED)

        key = azd.state["secrets"]["store-id-data-key"]
        assert done.returncode == 0, done.stderr
        assert len(base64.b64decode(key, validate=True)) == 32
        assert key not in json.dumps(azd.state["commands"]) + done.stdout + done.stderr

    def test_a_data_key_that_is_there_stays(self, azd: Azd) -> None:
        azd.given(secrets={"store-id-data-key": "old"})

        done = azd.run("after_provision.py", PROVISIONED)

        assert done.returncode == 0
        assert azd.state["secrets"] == {"store-id-data-key": "old"}

    def test_a_role_that_is_not_known_yet_is_waited_for(self, azd: Azd) -> None:
        azd.given(forbidden=1)

        done = azd.run("after_provision.py", PROVISIONED | {"STOREKEEPER_PATIENCE_SECONDS": "10"})

        assert done.returncode == 0, done.stderr
        assert "store-id-data-key" in azd.state["secrets"]

    def test_a_role_that_never_comes_is_an_error(self, azd: Azd) -> None:
        azd.given(forbidden=1_000_000)

        done = azd.run("after_provision.py", PROVISIONED)

        assert done.returncode == 1
        assert "ForbiddenByRbac" in done.stderr

    def test_a_vault_that_is_closed_to_the_public_is_not_waited_for(self, azd: Azd) -> None:
        azd.given(forbidden=1, refusal="ForbiddenByConnection")

        done = azd.run("after_provision.py", PROVISIONED | {"STOREKEEPER_PATIENCE_SECONDS": "10"})

        assert done.returncode == 1
        assert azd.state["secrets"] == {}
        assert "ForbiddenByConnection" in done.stderr

    def test_the_publishers_app_trusts_the_identity_once(self, azd: Azd) -> None:
        values = PROVISIONED | {"PUBLISHER_CLIENT_ID": "publisher-app"}

        first, second = (azd.run("after_provision.py", values) for _ in range(2))

        assert (first.returncode, second.returncode) == (0, 0)
        assert azd.state["trusted"] == {
            "publisher-app": [
                {
                    "name": "storekeeper-identity",
                    "issuer": "https://login.microsoftonline.com/tenant-1/v2.0",
                    "subject": "identity-principal",
                    "audiences": ["api://AzureADTokenExchange"],
                }
            ]
        }

    def test_apps_with_a_secret_or_another_identity_are_left_alone(self, azd: Azd) -> None:
        tenants = [
            {"tenantId": "a", "clientId": "ours", "credential": "managed-identity"},
            {"tenantId": "b", "clientId": "ours", "credential": "managed-identity:identity-client"},
            {"tenantId": "c", "clientId": "theirs", "credential": "managed-identity:another"},
            {"tenantId": "d", "clientId": "secretive", "credential": "secret:name"},
        ]
        publisher = {"PUBLISHER_CLIENT_ID": "p", "PUBLISHER_CREDENTIAL": "certificate:c"}

        azd.run("after_provision.py", PROVISIONED | publisher | {"BUSINESS_TENANTS": json.dumps(tenants)})

        assert set(azd.state["trusted"]) == {"ours"}

    def test_an_app_of_somebody_else_is_told_of_and_stops_nothing(self, azd: Azd) -> None:
        azd.given(strange="publisher-app")

        done = azd.run("after_provision.py", PROVISIONED | {"PUBLISHER_CLIENT_ID": "publisher-app"})

        assert done.returncode == 0
        assert "subject identity-principal" in done.stdout


class TestAfterDeploy:
    """With a running app: tests/integration/test_package.py."""

    def test_an_app_that_is_away_is_an_error(self, azd: Azd) -> None:
        done = azd.run("after_deploy.py", {"APP_URL": "http://127.0.0.1:9", "STOREKEEPER_PATIENCE_SECONDS": "0.2"})

        assert done.returncode == 1
        assert "answered nothing" in done.stderr
