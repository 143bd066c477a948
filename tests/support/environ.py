"""Settings for tests that start nothing."""

import json

from shared.settings import Settings

ENVIRON = {
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "KEY_VAULT_URL": "https://vault.example",
    "PUBLISHER_TENANT_ID": "11111111-2222-4333-8444-555555555555",
    "PUBLISHER_CLIENT_ID": "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee",
    "CALLER_ISSUERS": json.dumps([{"issuer": "https://issuer.example", "audience": "app", "kind": "player"}]),
}
"""The least that the app starts with, and the publisher's half switched on."""


def settings(**changes: str) -> Settings:
    """Settings of :data:`ENVIRON` with changes; an empty change leaves a setting out."""
    return Settings.load(ENVIRON | changes)
