"""The templates parse, and fit together as far as reading them shows. No compiler has seen them here."""

import re
from pathlib import Path
from typing import Any

import pytest
from pycep import BicepParser

from tests.support import bicep

MODULES = {symbol: each for symbol, each in bicep.parsed("main.bicep")["modules"].items() if each["type"] == "local"}
NAMES = [str(file.relative_to(bicep.INFRA)) for file in bicep.FILES]
REFERENCE = re.compile(r"\b(\w+)!?\.outputs\.(\w+)")


def parameters(name: str) -> dict[str, Any]:
    declared: dict[str, Any] = bicep.parsed(name).get("parameters", {})
    return declared


def file_of(module: dict[str, Any]) -> str:
    return str(Path(module["detail"]["path"]))


def test_there_is_something_to_look_at() -> None:
    assert len(NAMES) > 5
    assert len(MODULES) == len(NAMES) - 1


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_parsed(name: str) -> None:
    assert bicep.parsed(name).keys() & {"resources", "modules"}


def test_the_parameter_file_is_parsed_but_for_its_first_statement() -> None:
    lines = bicep.text("main.bicepparam").split("using './main.bicep'\n")

    # The parser knows neither `using` nor that values of `param`, there, may be calls.
    given = BicepParser().parse(text=re.sub(r"^param (\w+) =", r"var \1 =", lines[-1], flags=re.MULTILINE))
    assert len(lines) == 2
    assert set(given["variables"]) == set(parameters("main.bicep"))


@pytest.mark.parametrize("symbol", MODULES)
def test_a_module_is_given_what_it_wants(symbol: str) -> None:
    given = set(bicep.config(MODULES[symbol])["params"])
    wanted = parameters(file_of(MODULES[symbol]))
    required = {name for name, each in wanted.items() if each["default"] is None}

    assert required <= given <= set(wanted)


@pytest.mark.parametrize("name", NAMES)
def test_outputs_that_are_read_exist(name: str) -> None:
    of_files = {symbol: set(bicep.parsed(file_of(each)).get("outputs", {})) for symbol, each in MODULES.items()}
    # Of the verified modules, those that Microsoft's own quickstart reads, too.
    of_files |= {"identity": {"resourceId", "clientId", "principalId"}}
    of_files |= {"workspace": {"resourceId"}, "insights": {"name"}}

    read = {(symbol, output) for symbol, output in REFERENCE.findall(bicep.text(name))}
    assert {pair for pair in read if pair[1] not in of_files[pair[0]]} == set()


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_and_variable_is_used(name: str) -> None:
    content = bicep.text(name)
    declared = [*parameters(name), *bicep.parsed(name).get("variables", {})]

    assert [each for each in declared if len(re.findall(rf"\b{each}\b", content)) < 2] == []


@pytest.mark.parametrize("name", NAMES)
def test_modules_of_others_have_an_exact_version_and_send_no_telemetry(name: str) -> None:
    others = {symbol: each for symbol, each in bicep.parsed(name).get("modules", {}).items() if each["type"] != "local"}

    for each in others.values():
        assert each["detail"]["path"].startswith("avm/res/")
        assert re.fullmatch(r"\d+\.\d+\.\d+", each["detail"]["tag"])
        assert bicep.config(each)["params"]["enableTelemetry"] is False


@pytest.mark.parametrize("name", NAMES)
def test_no_key_is_read_and_nothing_secret_is_put_out(name: str) -> None:
    content = bicep.text(name)

    assert not re.search(r"list(Account)?Keys|listSecrets|getSecret|AccountKey|connectionString\(", content)
    outputs = bicep.parsed(name).get("outputs", {})
    assert [each for each in outputs if re.search("secret|password", each, re.IGNORECASE)] == []
    assert "Microsoft.KeyVault/vaults/secrets" not in content, "the data key is made by a hook, not by a template"


def test_the_account_takes_no_shared_key() -> None:
    properties = bicep.config(bicep.resources("modules/storage.bicep")["account"])["properties"]

    assert properties["allowSharedKeyAccess"] is False
    assert properties["allowBlobPublicAccess"] is False
    assert properties["minimumTlsVersion"] == "TLS1_2"


def test_the_vault_asks_for_roles_and_cannot_be_purged() -> None:
    vault = bicep.resources("modules/vault.bicep")
    properties = bicep.config(vault["vault"])["properties"]

    assert properties["enableRbacAuthorization"] is True
    assert properties["enablePurgeProtection"] is True
    assert bicep.config(vault["logs"])["scope"] == "vault"


def test_telemetry_needs_an_identity() -> None:
    insights = bicep.config(bicep.parsed("modules/monitoring.bicep")["modules"]["insights"])

    assert insights["params"]["disableLocalAuth"] is True
    assert "Authorization=AAD" in bicep.text("modules/app.bicep")


def test_the_two_profiles_differ_in_the_same_things() -> None:
    profiles = bicep.variable("profiles", of="main.bicep")

    assert profiles["dev"].keys() == profiles["prod"].keys()
    assert (profiles["dev"]["lock"], profiles["prod"]["lock"]) == (False, True)


def test_alerts_reach_somebody() -> None:
    alerts = bicep.resources("modules/alerts.bicep")
    rules = {symbol: each for symbol, each in alerts.items() if each["type"].endswith(("Rules", "metricAlerts"))}

    assert set(rules) == {"failures", "poison", "storageThrottling", "vaultThrottling"}
    assert [symbol for symbol, each in rules.items() if not bicep.config(each)["properties"]["actions"]] == []


def test_no_poisoned_message_slips_between_two_looks() -> None:
    properties = bicep.config(bicep.resources("modules/alerts.bicep")["poison"])["properties"]
    every, window = (int(properties[name][2:-1]) for name in ("evaluationFrequency", "windowSize"))

    assert window - every >= 15, "minutes that a log entry may be late"


def test_flex_consumption_is_told_nothing_that_it_does_not_know() -> None:
    site = bicep.config(bicep.resources("modules/app.bicep")["app"])["properties"]["siteConfig"]

    assert not {"alwaysOn", "ftpsState", "linuxFxVersion", "functionAppScaleLimit", "appSettings"} & set(site)
