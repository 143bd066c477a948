"""What the documents say of settings, routes, commands and files is so."""

import json
import re
from pathlib import Path

import pytest

from functions.triggers import SUBJECTS
from shared.settings import Settings, described

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")


def document(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def table(marker: str) -> list[list[str]]:
    """The rows of the README's table between the comments ``marker`` and ``/marker``, without its two head lines."""
    found = re.search(rf"<!-- {marker} -->\n(.*?)<!-- /{marker} -->", document("README.md"), re.DOTALL)
    assert found is not None, f"the README has no table marked {marker}"
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in found[1].strip().splitlines()[2:]]


def values_of_the_sample() -> dict[str, str]:
    values: dict[str, str] = json.loads(document("local.settings.sample.json"))["Values"]
    return values


def shown(default: str | None) -> str:
    match default:
        case None:
            return "required"
        case "":
            return "(empty)"
    return f"`{default}`"


def test_the_readme_names_every_setting_with_its_default() -> None:
    rows = {re.findall(r"`([^`]+)`", name)[0]: default.strip() for name, _, default in table("settings")}

    expected = {name: shown(default) for name, default, _ in described()}
    assert rows == {"AzureWebJobsStorage": "required", **expected}


def test_the_readme_says_what_every_setting_means() -> None:
    assert [name for name, meaning, _ in table("settings") if len(meaning) < 10] == []


def test_the_sample_has_every_setting_and_every_default() -> None:
    values = values_of_the_sample()

    assert set(values) == {"FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"} | {name for name, _, _ in described()}
    placeholders = {"PUBLISHER_TENANT_ID", "PUBLISHER_CLIENT_ID"}
    changed = {name for name, default, _ in described() if default is not None and values[name] != default}
    assert changed == placeholders


def test_the_sample_is_accepted_as_it_stands() -> None:
    settings = Settings.load(values_of_the_sample())

    assert {issuer.kind for issuer in settings.caller_issuers} == {"player", "operator"}


def test_the_readme_lists_the_routes_that_there_are() -> None:
    listed = {(route.strip("`"), who) for route, who, _ in table("routes")}

    assert listed == {
        (f"{each.method} /{each.path}", each.access.value) for subject in SUBJECTS for each in subject.routes
    }


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_that_a_document_names_exist(name: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", document("Makefile"), re.MULTILINE))
    code = re.findall(r"```sh\n(.*?)```|`([^`\n]+)`", document(name), re.DOTALL)

    named = {target for block in code for target in re.findall(r"\bmake ([a-z-]+)", "".join(block))}
    assert named <= targets


@pytest.mark.parametrize("name", DOCUMENTS)
def test_files_that_a_document_names_exist(name: str) -> None:
    text = document(name)
    links = set(re.findall(r"\]\((?!https?://|#)([^)#]+)", text))
    paths = set(re.findall(r"`((?:shared|functions|local|scripts|tests)/[\w/.-]+)`", text))

    assert [path for path in sorted(links | paths) if not (ROOT / path).exists()] == []


def test_the_makefile_lists_each_of_its_commands() -> None:
    makefile = document("Makefile")

    phony = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[0].split()
    assert [target for target in phony if not re.search(rf"^{target}:.*## \w", makefile, re.MULTILINE)] == []
