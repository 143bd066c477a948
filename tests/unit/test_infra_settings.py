"""Every setting is set by the template or has a default, and the template sets none that nobody reads."""

import json
import re
from pathlib import Path
from typing import Any

from azure.functions.decorators.function_app import Function

from shared.settings import Settings, described, schedule_defaults
from tests.support import bicep

APP = "modules/app.bicep"
HOOKS = bicep.INFRA / "hooks"

# Read by the Functions host and by the Azure SDK, not by shared/settings.py.
OF_THE_HOST = {
    "AzureWebJobsStorage__accountName",
    "AzureWebJobsStorage__credential",
    "AzureWebJobsStorage__clientId",
    "AZURE_CLIENT_ID",
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
}


def given() -> set[str]:
    """Settings that whoever deploys may give."""
    found = re.search(r"param settings = \{(.*?)\n\}", bicep.text("main.bicepparam"), re.DOTALL)
    assert found is not None
    pairs = re.findall(r"^\s+(\w+): readEnvironmentVariable\('(\w+)'", found[1], re.MULTILINE)
    assert [pair for pair in pairs if pair[0] != pair[1]] == []
    return {name for name, _ in pairs}


def fixed() -> set[str]:
    """Settings that the template knows."""
    return set(bicep.variable("fixed", of=APP))


def test_every_setting_is_set_or_may_be() -> None:
    names = {name for name, _, _ in described()}

    assert given() | fixed() == names | OF_THE_HOST
    assert {name for name, default, _ in described() if default is None} <= fixed() | {"CALLER_ISSUERS"}


def test_an_empty_value_leaves_the_default() -> None:
    assert [name for name in given() if bicep.read_variables()[name] != ""] == []
    assert "filter(items(settings), each => !empty(each.value))" in bicep.text(APP)


def test_without_more_the_app_is_federated() -> None:
    named = bicep.variable("named", of=APP)

    assert set(named) == {"PUBLISHER_CREDENTIAL", "BUSINESS_TENANTS"}
    assert bicep.variable("federated", of=APP) == "managed-identity:${identityClientId}"


def test_the_account_is_reached_by_identity() -> None:
    assert "AzureWebJobsStorage" not in given() | fixed()
    settings = Settings.load(
        {
            "AzureWebJobsStorage__accountName": "stabc123",
            "AzureWebJobsStorage__clientId": "app-id",
            "KEY_VAULT_URL": "https://kv-abc.vault.azure.net/",
            "CALLER_ISSUERS": json.dumps([{"issuer": "https://i.example", "audience": "a", "kind": "operator"}]),
        }
    )

    assert settings.storage.connection_string is None
    assert settings.storage.client_id == "app-id"


def test_flex_consumption_is_told_its_runtime_where_it_wants_to_be() -> None:
    assert not {"FUNCTIONS_WORKER_RUNTIME", "FUNCTIONS_EXTENSION_VERSION", "WEBSITE_RUN_FROM_PACKAGE"} & fixed()
    runtime = bicep.config(bicep.resources(APP)["app"])["properties"]["functionAppConfig"]["runtime"]
    assert runtime == {"name": "python", "version": "3.13"}


def test_every_place_names_the_same_python() -> None:
    places = {
        "pyproject.toml": r'python_version = "([\d.]+)"',
        "scripts/package.py": r'"--python-version", "([\d.]+)"',
        ".devcontainer/devcontainer.json": r"python:[\d.-]*?(3\.\d+)",
        ".github/workflows/ci.yml": r'python-version: "([\d.]+)"',
    }

    found = {name: set(re.findall(pattern, (bicep.ROOT / name).read_text("utf-8"))) for name, pattern in places.items()}
    assert {name: sorted(versions) for name, versions in found.items()} == {name: ["3.13"] for name in places}


def test_the_readme_says_what_each_function_runs_on(indexed: list[Function]) -> None:
    readme = (bicep.ROOT / "README.md").read_text("utf-8")
    found = re.search(r"<!-- functions -->\n(.*?)<!-- /functions -->", readme, re.DOTALL)
    assert found is not None
    rows = {name: (kind, of) for name, kind, of in re.findall(r"\| `(\w+)` \| (\w+) `([\w-]+)` \|", found[1])}

    triggers = {str(each.get_function_name()): trigger_of(each) for each in indexed}
    queues = {name: ("queue", each["queueName"]) for name, each in triggers.items() if each["type"] == "queueTrigger"}
    timers = {name: each["schedule"] for name, each in triggers.items() if each["type"] == "timerTrigger"}
    assert {name: row for name, row in rows.items() if row[0] == "queue"} == queues
    schedules = {name: of for name, (kind, of) in rows.items() if kind == "timer"}
    assert {name: schedule_defaults()[setting] for name, setting in schedules.items()} == timers
    assert set(schedules.values()) == set(schedule_defaults())


def trigger_of(function: Function) -> dict[str, Any]:
    """A function's trigger as the host is told of it."""
    trigger = function.get_trigger()
    assert trigger is not None
    return dict(trigger.get_dict_repr())


def test_what_the_hooks_read_is_put_out_or_documented() -> None:
    content = "".join(file.read_text("utf-8") for file in HOOKS.glob("*.py"))
    read = set(re.findall(r'environ(?:\.get\(|\[)"(\w+)"', content))
    put_out = set(bicep.parsed("main.bicep")["outputs"])
    readme = (bicep.ROOT / "README.md").read_text("utf-8")

    of_azd = {"AZURE_SUBSCRIPTION_ID"}
    unknown = read - put_out - of_azd - set(bicep.read_variables())
    assert {name for name in unknown if f"`{name}`" not in readme} == set()


def test_the_environment_variables_of_the_template_are_documented() -> None:
    readme = (bicep.ROOT / "README.md").read_text("utf-8")
    ours = {name for name in bicep.read_variables() if name.startswith("STOREKEEPER_")}

    assert ours
    assert {name for name in ours if f"`{name}`" not in readme} == set()


def test_there_is_a_file_for_each_hook() -> None:
    commands = re.findall(r"infra/hooks/\w+\.py", (bicep.ROOT / "azure.yaml").read_text("utf-8"))

    assert {Path(command).name for command in commands} == {file.name for file in HOOKS.glob("*_*.py")}
