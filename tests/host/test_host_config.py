"""host.json, settings and what is read out of them."""

import logging
from pathlib import Path
from typing import Any

import pytest

from local.host import config, settings
from local.host.errors import StartError


def test_azures_defaults() -> None:
    found = config.parse({"version": "2.0"})
    assert found.route_prefix == "api"
    assert found.function_timeout == 1800
    assert found.log_levels == {"default": logging.INFO}
    assert found.queues == config.QueueSettings(
        batch_size=16,
        new_batch_threshold=8,
        max_dequeue_count=5,
        visibility_timeout=0,
        max_polling_interval=60,
        message_encoding="base64",
    )


def test_what_host_json_says() -> None:
    found = config.parse(
        {
            "functionTimeout": "-1",
            "logging": {"logLevel": {"default": "Debug", "azure": "None"}},
            "extensions": {
                "http": {"routePrefix": "/"},
                "queues": {"batchSize": 5, "visibilityTimeout": "00:00:30", "messageEncoding": "None"},
            },
        }
    )
    assert found.route_prefix == ""
    assert found.function_timeout is None
    assert found.log_levels["default"] == logging.DEBUG
    assert found.log_levels["azure"] > logging.CRITICAL
    assert found.queues.new_batch_threshold == 2
    assert found.queues.visibility_timeout == 30
    assert found.queues.message_encoding == "none"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"extensions": {"queues": {"batchSize": 33}}}, "batchSize"),
        ({"extensions": {"queues": {"batchSize": "x"}}}, "batchSize"),
        ({"extensions": {"queues": {"newBatchThreshold": -1}}}, "newBatchThreshold"),
        ({"extensions": {"queues": {"maxDequeueCount": 0}}}, "maxDequeueCount"),
        ({"extensions": {"queues": {"messageEncoding": "hex"}}}, "messageEncoding"),
        ({"extensions": {"queues": {"maxPollingInterval": "00:00:00"}}}, "maxPollingInterval"),
        ({"extensions": {"queues": {"visibilityTimeout": 30}}}, "visibilityTimeout"),
        ({"extensions": []}, "extensions"),
        ({"functionTimeout": "5 minutes"}, "functionTimeout"),
        ({"logging": {"logLevel": {"default": "Loud"}}}, "Loud"),
    ],
)
def test_a_bad_value_is_named(content: dict[str, Any], named: str) -> None:
    with pytest.raises(StartError, match=named):
        config.parse(content)


def test_settings_override_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "host.json"
    file.write_text('{"version": "2.0", "extensions": {"queues": {"batchSize": 4}}}', "utf-8")
    monkeypatch.setenv("AzureFunctionsJobHost__extensions__queues__batchSize", "6")
    monkeypatch.setenv("AzureFunctionsJobHost__extensions__http__routePrefix", "v1")
    found = config.load(file)
    assert (found.queues.batch_size, found.route_prefix) == (6, "v1")
    file.write_text('{"version": "1.0"}', "utf-8")
    with pytest.raises(StartError, match="version"):
        config.load(file)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("00:00:30", 30), ("01:02:03.5", 3723.5), ("1.00:00:00", 86400), ("00:05", 300), ("00:00:00.200", 0.2)],
)
def test_time_spans(text: str, seconds: float) -> None:
    assert config.time_span(text, "here") == pytest.approx(seconds)


def test_values_become_text(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text('\ufeff{"IsEncrypted": false, "Values": {"A": "a", "B": true, "C": 3}}', "utf-8")
    environment = {"A": "old", "D": "d"}
    settings.load(file, environment)
    assert environment == {"A": "a", "B": "true", "C": "3", "D": "d"}


def test_references(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", "value")
    assert settings.resolve("a-%NAME%-%NAME%", "here") == "a-value-value"
    assert settings.resolve("100% sure", "here") == "100% sure"
    with pytest.raises(StartError, match="here: the setting %OTHER% does not exist"):
        settings.resolve("%OTHER%", "here")


def test_connection_strings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AzureWebJobsStorage", "UseDevelopmentStorage=true")
    assert "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1" in settings.connection_string("", "here")
    monkeypatch.setenv("OTHER", "one")
    assert settings.connection_string("OTHER", "here") == "one"
    monkeypatch.setenv("AzureWebJobsOTHER", "two")
    assert settings.connection_string("OTHER", "here") == "two"
    with pytest.raises(StartError, match="here: the setting MISSING"):
        settings.connection_string("MISSING", "here")
