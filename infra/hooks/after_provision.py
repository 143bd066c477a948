"""After the resources are made: what no template may do.

The data key is made here, of random bytes, where the vault has none: a template would leave it in the history of
deployments. And the publisher's Entra app is told to trust the app's identity. That is done by ``az ad`` rather than by
the Microsoft Graph extension of Bicep, which can only name an app by a ``uniqueName`` that it was given when it was
made, and yours was made by hand, long ago.
"""

import base64
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from az import AzError, az

KEY_BYTES = 32
CREDENTIAL_NAME = "storekeeper"
AUDIENCE = "api://AzureADTokenExchange"
OURS = "managed-identity"

# A new role assignment is known everywhere only after some minutes.
PATIENCE_SECONDS = float(os.environ.get("STOREKEEPER_PATIENCE_SECONDS", "300"))
_PAUSE_SECONDS = min(10.0, PATIENCE_SECONDS / 10)


def ensure_data_key(vault: str, name: str) -> bool:
    """Make the data key where there is none; whether it was made.

    :raises AzError: the vault refuses, for longer than a new role takes, or for good.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return _make_data_key(vault, name)
        except AzError as error:
            if not _may_pass(error) or time.monotonic() > deadline:
                raise
        print("the vault does not know our role, or our address, yet; waiting")
        time.sleep(_PAUSE_SECONDS)


def _may_pass(error: AzError) -> bool:
    """Whether waiting may help: a role becomes known, and so does an address; a closed public side stays closed."""
    said = str(error).lower()
    return "forbidden" in said and "forbiddenbyconnection" not in said


def _make_data_key(vault: str, name: str) -> bool:
    try:
        # Its id alone: the key itself need not come here.
        az("keyvault", "secret", "show", "--vault-name", vault, "--name", name, "--query", "id")
    except AzError as error:
        if "SecretNotFound" not in str(error):
            raise
    else:
        return False
    with tempfile.TemporaryDirectory() as folder:  # readable by its owner alone
        file = Path(folder) / "key"
        file.write_bytes(base64.b64encode(secrets.token_bytes(KEY_BYTES)))
        command = ("keyvault", "secret", "set", "--vault-name", vault, "--name", name, "--file", str(file))
        az(*command, "--encoding", "utf-8", "--query", "id")
    return True


def federated_apps(environ: Mapping[str, str]) -> list[str]:
    """Client ids of the Entra apps as which our identity is to act, each once."""
    apps = []
    if environ.get("PUBLISHER_CLIENT_ID"):
        apps.append((environ["PUBLISHER_CLIENT_ID"], environ.get("PUBLISHER_CREDENTIAL") or OURS))
    tenants = json.loads(environ.get("BUSINESS_TENANTS") or "[]")
    apps += [(tenant["clientId"], tenant["credential"]) for tenant in tenants]
    accepted = {OURS, f"{OURS}:{environ['IDENTITY_CLIENT_ID']}"}
    return list(dict.fromkeys(client_id for client_id, credential in apps if credential in accepted))


def ensure_trust(client_id: str, tenant: str, principal: str) -> bool:
    """Have an Entra app accept our identity's tokens in place of a secret; whether that was new.

    :raises AzError: we may not change the app, or it is of another tenant than the identity.
    """
    issuer = f"https://login.microsoftonline.com/{tenant}/v2.0"
    for known in az("ad", "app", "federated-credential", "list", "--id", client_id) or []:
        if known["issuer"] == issuer and known["subject"] == principal:
            return False
    content = {
        "name": f"{CREDENTIAL_NAME}-{principal[:8]}",
        "issuer": issuer,
        "subject": principal,
        "audiences": [AUDIENCE],
    }
    az("ad", "app", "federated-credential", "create", "--id", client_id, "--parameters", json.dumps(content))
    return True


def main() -> int:
    """The exit code: 1 where there is no data key."""
    environ = os.environ
    vault, name = environ["KEY_VAULT_NAME"], environ["DATA_KEY_NAME"]
    try:
        made = ensure_data_key(vault, name)
    except AzError as error:
        print(f"error: no data key could be made in the vault {vault}: {error}", file=sys.stderr)
        print(f"Whoever may: openssl rand -base64 32, as the secret {name}.", file=sys.stderr)
        return 1
    print(f"the data key {name} {'was made' if made else 'is there'} in the vault {vault}")
    tenant, principal = environ["AZURE_TENANT_ID"], environ["IDENTITY_PRINCIPAL_ID"]
    for client_id in federated_apps(environ):
        try:
            new = ensure_trust(client_id, tenant, principal)
        except AzError as error:
            # Often another person's app: all else can go on, and /health/ready will say what is missing.
            print(f"note: the Entra app {client_id} does not trust our identity yet: {error}")
            print(
                "Its owner has to add a federated credential (README, Deploy): "
                f"issuer https://login.microsoftonline.com/{tenant}/v2.0, subject {principal}, audience {AUDIENCE}"
            )
        else:
            print(f"the Entra app {client_id} {'now trusts' if new else 'trusts'} our identity")
    return 0


if __name__ == "__main__":
    sys.exit(main())
