"""The settings file: the shape of ``local.settings.json``, its values put into the environment."""

import json
import os
import re
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any

from local.host.errors import StartError

STORAGE = "AzureWebJobsStorage"

_REFERENCE = re.compile(r"%([^%]+)%")
_AZURITE_ACCOUNT = "devstoreaccount1"
_AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
_DEVELOPMENT_STORAGE = (
    f"DefaultEndpointsProtocol=http;AccountName={_AZURITE_ACCOUNT};AccountKey={_AZURITE_KEY};"
    f"BlobEndpoint=http://127.0.0.1:10000/{_AZURITE_ACCOUNT};QueueEndpoint=http://127.0.0.1:10001/{_AZURITE_ACCOUNT};"
    f"TableEndpoint=http://127.0.0.1:10002/{_AZURITE_ACCOUNT};"
)


def load(file: Path, environment: MutableMapping[str, str] = os.environ) -> None:
    """Puts the ``Values`` of ``file`` into the environment.

    Unlike Core Tools the file wins over what the environment held: who names a file means it.

    :raises StartError: the file is missing, malformed or encrypted.
    """
    environment.update(read(file))


def read(file: Path) -> dict[str, str]:
    """The ``Values`` of a settings file.

    :raises StartError: see ``load``.
    """
    content = read_json(file, "settings file")
    if content.get("IsEncrypted"):
        raise StartError(f"settings file {file}: IsEncrypted is true; only plain files can be read")
    values = content.get("Values")
    if not isinstance(values, dict):
        raise StartError(f'settings file {file}: expected {{"IsEncrypted": false, "Values": {{"NAME": "value"}}}}')
    return {name: _text(file, name, value) for name, value in values.items()}


def read_json(file: Path, what: str) -> dict[str, Any]:
    """A JSON object out of a file.

    :raises StartError: missing, unreadable or no JSON object.
    """
    try:
        content = json.loads(file.read_text("utf-8-sig"))
    except FileNotFoundError as error:
        raise StartError(f"{what} {file} does not exist") from error
    except (OSError, ValueError) as error:
        raise StartError(f"{what} {file} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise StartError(f"{what} {file} is not a JSON object")
    return content


def resolve(text: str, where: str) -> str:
    """``text`` with every ``%SETTING%`` replaced by the setting.

    :raises StartError: a setting is not there; names it and ``where`` it was wanted.
    """

    def value(match: re.Match[str]) -> str:
        setting = os.environ.get(match[1])
        if setting is None:
            raise StartError(f"{where}: the setting %{match[1]}% does not exist")
        return setting

    return _REFERENCE.sub(value, text)


def connection_string(name: str, where: str) -> str:
    """The storage connection string of a binding's ``connection``; empty is ``AzureWebJobsStorage``.

    :raises StartError: there is none.
    """
    name = name or STORAGE
    for candidate in (f"AzureWebJobs{name}", name, f"ConnectionStrings:{name}"):
        if value := os.environ.get(candidate):
            return _DEVELOPMENT_STORAGE if "usedevelopmentstorage=true" in value.replace(" ", "").lower() else value
    if any(setting.startswith(f"{name}__") for setting in os.environ):
        raise StartError(f"{where}: {name} is an identity-based connection; the local host needs a connection string")
    raise StartError(f"{where}: the setting {name} (a storage connection string) does not exist")


def _text(file: Path, name: str, value: object) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case _:
            raise StartError(f"settings file {file}: the value of {name} is not a string")
