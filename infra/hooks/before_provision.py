"""Before anything is made in Azure: is all there that only you know, and is it well-formed?

Reads the environment of azd (``azd env set NAME VALUE``). Tells every problem at once, and what is expected.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from az import AzError, az, is_there

from shared.settings import Settings, SettingsError, described

# What the template itself will set; any well-formed value does here.
_OF_THE_TEMPLATE = {"AzureWebJobsStorage__accountName": "placeholder", "KEY_VAULT_URL": "https://placeholder.invalid"}


def problems(environ: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with the values, one line each."""
    values = {name: environ.get(name, "") for name, _, _ in described()}
    try:
        Settings.load(values | _OF_THE_TEMPLATE)
    except SettingsError as error:
        yield from error.problems
    if environ.get("STOREKEEPER_PROFILE", "dev") not in {"dev", "prod"}:
        yield "STOREKEEPER_PROFILE is neither dev nor prod"
    if environ.get("STOREKEEPER_PRIVATE_NETWORK", "false") not in {"true", "false"}:
        yield "STOREKEEPER_PRIVATE_NETWORK is neither true nor false"
    try:
        tags = json.loads(environ.get("STOREKEEPER_TAGS", "{}"))
    except ValueError:
        tags = None
    if not isinstance(tags, dict) or not all(isinstance(value, str) for value in tags.values()):
        yield 'STOREKEEPER_TAGS is malformed; expected a JSON object of texts such as {"owner": "store-team"}'


def troubles_of_cli(environ: Mapping[str, str]) -> Iterator[str]:
    """Why the Azure CLI, which the later hooks need, could not do its part."""
    if not is_there():
        yield "the Azure CLI (az) is not installed; it writes the data key into the vault: https://aka.ms/azure-cli"
        return
    try:
        account = az("account", "show")
    except AzError:
        yield "the Azure CLI is not signed in; run: az login"
        return
    wanted = environ.get("AZURE_SUBSCRIPTION_ID", account["id"])
    if account["id"] != wanted:
        yield f"the Azure CLI uses another subscription than azd; run: az account set --subscription {wanted}"


def hints(environ: Mapping[str, str]) -> Iterator[str]:
    """What is allowed, but perhaps not meant."""
    if not environ.get("PUBLISHER_CLIENT_ID") and environ.get("BUSINESS_TENANTS", "[]") in {"", "[]"}:
        yield "neither PUBLISHER_CLIENT_ID nor BUSINESS_TENANTS is set: both halves of the app will be switched off"
    if environ.get("STOREKEEPER_PRIVATE_NETWORK") == "true" and not environ.get("STOREKEEPER_DEPLOYER_ADDRESS"):
        yield "without STOREKEEPER_DEPLOYER_ADDRESS the data key can be written from inside the private network only"


def main() -> int:
    """The exit code: 1 where something is wrong."""
    found = [*problems(os.environ), *troubles_of_cli(os.environ)]
    for hint in hints(os.environ):
        print(f"note: {hint}")
    for problem in found:
        print(f"error: {problem}", file=sys.stderr)
    if found:
        print(
            'Values are set by: azd env set NAME VALUE. README, "Settings" and "Deploy", has them all.', file=sys.stderr
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
