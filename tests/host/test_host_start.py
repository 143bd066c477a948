"""Apps and settings that the host does not start with: exit code 1 and what was wrong."""

import json
import sys
from pathlib import Path

import pytest

from local import processes
from tests.host.hosts import APPS, Hosts


@pytest.mark.parametrize(
    ("app", "message"),
    [
        ("duplicate", "Function twin does not have a unique function name"),
        ("broken", "there_is_no_such_module"),
        ("unresolved", "function tick, schedule: the setting %NO_SUCH_SCHEDULE% does not exist"),
        ("empty", "has no functions"),
        ("unknown_parameter", "the following parameters are declared in Python but not in the function definition"),
        ("unsupported", "function changed: binding 'blob' of type 'blobTrigger' is not supported by the local host"),
        ("nothing", "host.json does not exist"),
    ],
)
async def test_an_app_that_cannot_be_run(hosts: Hosts, app: str, message: str) -> None:
    said = await hosts.refused(app)
    assert "error: " in said
    assert message in said


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "does not exist"),
        ("{", "cannot be read"),
        ("[]", "is not a JSON object"),
        ("{}", '"Values"'),
        (json.dumps({"IsEncrypted": True, "Values": {}}), "IsEncrypted is true"),
        (json.dumps({"Values": {"A": {"b": 1}}}), "the value of A is not a string"),
    ],
)
async def test_a_bad_settings_file(tmp_path: Path, content: str | None, message: str) -> None:
    file = tmp_path / "settings.json"
    if content is not None:
        file.write_text(content, "utf-8")
    command = [sys.executable, "-m", "local.host", "--settings", str(file), "--app", str(APPS / "http")]
    log = tmp_path / "log"
    assert await processes.finish(command, log=log) == 1
    assert message in processes.read_log(log)


async def test_a_missing_connection(hosts: Hosts) -> None:
    said = await hosts.refused("queue", IN_QUEUE="in", AzureWebJobsStorage="")
    assert "the setting AzureWebJobsStorage (a storage connection string) does not exist" in said
    identity = {"AzureWebJobsStorage": "", "AzureWebJobsStorage__accountName": "account"}
    assert "identity-based" in await hosts.refused("queue", IN_QUEUE="in", **identity)


async def test_a_setting_overrides_host_json(hosts: Hosts) -> None:
    override = {"AzureFunctionsJobHost__extensions__queues__batchSize": "33"}
    assert "batchSize is '33'; expected 1 to 32" in await hosts.refused("queue", IN_QUEUE="in", **override)


async def test_a_taken_port(hosts: Hosts) -> None:
    async with hosts.running("http") as server:
        port = server.url.rsplit(":", 1)[1]
        assert f"cannot serve on port {port}" in await hosts.refused("http", "--port", port)
