"""azure.yaml, the workflows, Dependabot and the editor's files: well-formed, pinned, and true of the project."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from azure.functions.decorators.function_app import Function

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
JSON_FILES = sorted([*(ROOT / ".vscode").glob("*.json"), ROOT / ".devcontainer" / "devcontainer.json"])
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


def read(file: Path) -> Any:
    return yaml.safe_load(file.read_text("utf-8"))


def steps(file: Path) -> list[dict[str, Any]]:
    return [step for job in read(file)["jobs"].values() for step in job["steps"]]


def test_there_are_workflows() -> None:
    assert {file.stem for file in WORKFLOWS} == {"ci", "security"}


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_actions_are_pinned_by_commit_and_say_which_release_that_is(file: Path) -> None:
    used = re.findall(r"uses: (.*)$", file.read_text("utf-8"), re.MULTILINE)

    assert used
    assert [each for each in used if not re.fullmatch(r"[\w-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", each)] == []


def test_an_action_is_pinned_to_one_commit_everywhere() -> None:
    used = {each for file in WORKFLOWS for each in re.findall(r"uses: (\S+)@(\S+)", file.read_text("utf-8"))}

    assert len({action for action, _ in used}) == len(used)


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_may_read_and_no_more_unless_it_says_so(file: Path) -> None:
    content = read(file)
    more = {name: job["permissions"] for name, job in content["jobs"].items() if "permissions" in job}

    assert content["permissions"] == {"contents": "read"}
    assert set(more) <= {"package"}
    assert all(job["timeout-minutes"] for job in content["jobs"].values())
    checkouts = [step for step in steps(file) if "checkout" in step.get("uses", "")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_ci_runs_what_a_developer_runs() -> None:
    commands = [step["run"] for file in WORKFLOWS for step in steps(file) if "run" in step]
    named = {target for command in commands for target in re.findall(r"make ([a-z-]+)", command)}

    assert {"check", "run", "test", "package"} <= named <= TARGETS
    assert any(command.startswith("az bicep lint") for command in commands)
    assert any(command.startswith("az bicep build ") for command in commands)


def test_dependabot_looks_at_everything_that_is_pinned() -> None:
    ecosystems = {each["package-ecosystem"] for each in read(ROOT / ".github" / "dependabot.yml")["updates"]}

    assert ecosystems == {"pip", "npm", "github-actions", "devcontainers"}


def test_azd_deploys_what_make_builds() -> None:
    content = read(ROOT / "azure.yaml")
    service = content["services"]["api"]
    hooks = content["hooks"].keys()

    assert (service["host"], service["language"], service["dist"]) == ("function", "python", "dist/app")
    assert service["remoteBuild"] is False
    assert content["requiredVersions"]["azd"] == ">= 1.23.10", "older ones do not know remoteBuild"
    assert service["hooks"]["prepackage"]["run"] == "make package", "a hook of the project is not run by azd deploy"
    assert {"preprovision", "postprovision", "postdeploy"} <= hooks
    assert "'azd-service-name': 'api'" in (ROOT / "infra" / "modules" / "app.bicep").read_text("utf-8")


@pytest.mark.parametrize("file", JSON_FILES, ids=lambda file: file.name)
def test_a_file_of_the_editor_is_json(file: Path) -> None:
    assert json.loads(file.read_text("utf-8"))


def test_tasks_of_the_editor_are_targets_and_tasks() -> None:
    tasks = json.loads((ROOT / ".vscode" / "tasks.json").read_text("utf-8"))["tasks"]
    launches = json.loads((ROOT / ".vscode" / "launch.json").read_text("utf-8"))["configurations"]
    labels = {task["label"] for task in tasks}

    assert {task["command"].removeprefix("make ") for task in tasks if task["type"] == "shell"} <= TARGETS
    assert {task["dependsOn"] for task in tasks if "dependsOn" in task} <= labels
    assert {each["preLaunchTask"] for each in launches if "preLaunchTask" in each} <= labels


def test_every_request_of_the_file_of_requests_has_a_route(indexed: list[Function]) -> None:
    triggers = [trigger.get_dict_repr() for each in indexed if (trigger := each.get_trigger()) is not None]
    routes = [
        (str(trigger["methods"][0]), re.sub(r"\{\w+\}", "[^/?]+", trigger["route"]))
        for trigger in triggers
        if trigger["type"] == "httpTrigger"
    ]
    requests = re.findall(r"^([A-Z]+) \{\{app\}\}/([^?\s]+)", (ROOT / "requests.http").read_text("utf-8"), re.MULTILINE)

    assert len(requests) > 10
    unknown = [
        (method, path)
        for method, path in requests
        if not any(known == method and re.fullmatch(route, path) for known, route in routes)
    ]
    assert unknown == []


class TestLayout:
    """What Core Tools and the Functions host want of a project in Python."""

    def test_the_app_lies_where_the_host_looks(self) -> None:
        assert {"function_app.py", "host.json", "requirements.txt"} <= {path.name for path in ROOT.iterdir()}
        assert [*ROOT.glob("functions/**/function.json")] == [], "the two programming models do not mix"

    def test_the_host_is_of_version_4_with_its_extensions(self) -> None:
        host = json.loads((ROOT / "host.json").read_text("utf-8"))

        assert host["version"] == "2.0"
        assert host["extensionBundle"] == {
            "id": "Microsoft.Azure.Functions.ExtensionBundle",
            "version": "[4.*, 5.0.0)",
        }
        assert host["telemetryMode"] == "OpenTelemetry"

    def test_local_settings_are_kept_out_of_repository_and_package(self) -> None:
        assert "local.settings.json" in (ROOT / ".gitignore").read_text("utf-8").splitlines()
        assert "local.settings*.json" in (ROOT / ".funcignore").read_text("utf-8").splitlines()

    def test_names_of_functions_are_such_as_the_host_takes(self, indexed: list[Function]) -> None:
        names = [str(each.get_function_name()) for each in indexed]

        assert [name for name in names if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,126}", name)] == []
        assert len({name.lower() for name in names}) == len(names)

    def test_queues_are_read_as_host_json_and_the_readme_say(self) -> None:
        queues = json.loads((ROOT / "host.json").read_text("utf-8"))["extensions"]["queues"]

        assert queues["messageEncoding"] == "none", "messages are plain JSON, and base64 is taken too"
        assert 1 <= queues["batchSize"] <= 32
