"""After the app is deployed: is it alive, and does everything that it needs answer?

``/health/ready`` wants an operator. Its token is taken from ``OPERATOR_TOKEN``, or asked of the Azure CLI for
``OPERATOR_SCOPE`` (such as ``api://YOUR-OPERATORS-API/.default``). Without either, only ``/health`` is asked.
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping

from az import AzError, az

# A first start, a new role and a new name each take a while.
PATIENCE_SECONDS = float(os.environ.get("STOREKEEPER_PATIENCE_SECONDS", "300"))
_PAUSE_SECONDS = min(5.0, PATIENCE_SECONDS / 10)
_TIMEOUT_SECONDS = 30


def ask(url: str, token: str | None = None) -> tuple[int, str]:
    """Status and body of an answer; status 0 where there is none, with the reason."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError as error:
        return 0, str(error)


def patiently(url: str, token: str | None = None) -> tuple[int, str]:
    """The first answer that is 200, or that waiting would not change, or the last one that time allows."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        status, body = ask(url, token)
        if status == 200 or (token and status in {401, 403}) or time.monotonic() > deadline:
            return status, body
        time.sleep(_PAUSE_SECONDS)


def operator_token(environ: Mapping[str, str]) -> str | None:
    """A token of an operator, or None where nobody told us how to get one.

    :raises AzError: the CLI gives none.
    """
    if token := environ.get("OPERATOR_TOKEN"):
        return token
    scope = environ.get("OPERATOR_SCOPE")
    return str(az("account", "get-access-token", "--scope", scope)["accessToken"]) if scope else None


def report(body: str) -> None:
    """Print what each dependency says."""
    try:
        checks = json.loads(body)["checks"]
    except (ValueError, KeyError, TypeError):
        print(body)
        return
    for check in checks:
        print(f"  {check['status']:12} {check['milliseconds']:8.1f} ms  {check['name']}  {check.get('detail', '')}")


def main() -> int:
    """The exit code: 1 where the app is not alive, or not ready."""
    root = os.environ["APP_URL"].rstrip("/") + "/api"
    status, body = patiently(f"{root}/health")
    if status != 200:
        print(f"error: {root}/health answered {status or 'nothing'}: {body}", file=sys.stderr)
        return 1
    print(f"{root}/health: alive")
    try:
        token = operator_token(os.environ)
    except AzError as error:
        print(f"error: no operator's token could be had: {error}", file=sys.stderr)
        return 1
    if token is None:
        print("note: /health/ready was not asked: set OPERATOR_SCOPE or OPERATOR_TOKEN (README, Deploy)")
        return 0
    status, body = patiently(f"{root}/health/ready", token)
    print(f"{root}/health/ready: {status}")
    report(body)
    return 0 if status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
