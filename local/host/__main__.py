"""``python -m local.host --settings FILE [--port N] [--app DIR]``: see the package."""

import argparse
import sys
from pathlib import Path

from local.host import settings
from local.host.errors import StartError

LEASE_SECONDS = 600
"""How long a running message is hidden at a time, as in Azure."""

GRACE_SECONDS = 30.0
PROJECT = Path(__file__).resolve().parent.parent.parent


def main() -> int:
    arguments = _arguments()
    try:
        settings.load(arguments.settings.resolve())
    except StartError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    # Not before the settings: aiohttp reads SSL_CERT_FILE as it is imported, and in Azure settings come first too.
    from local.host.run import run  # noqa: PLC0415

    return run(
        app=arguments.app.resolve(),
        port=arguments.port,
        log_level=arguments.log_level,
        queue_lease_seconds=arguments.queue_lease_seconds,
        grace_seconds=arguments.grace_seconds,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.host",
        description="Runs a Functions app on this machine. A developer's tool: never deploy it.",
    )
    parser.add_argument("--settings", type=Path, required=True, metavar="FILE", help="as local.settings.json")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="of the HTTP front (default: any free one)")
    parser.add_argument("--app", type=Path, default=PROJECT, metavar="DIR", help="of function_app.py and host.json")
    parser.add_argument("--log-level", metavar="LEVEL", help="in place of host.json's default, such as Debug")
    parser.add_argument(
        "--queue-lease-seconds",
        type=int,
        default=LEASE_SECONDS,
        metavar="N",
        help=f"how long a running message is hidden at a time (default {LEASE_SECONDS}, as in Azure)",
    )
    parser.add_argument(
        "--grace-seconds",
        type=float,
        default=GRACE_SECONDS,
        metavar="N",
        help=f"how long running functions may go on after SIGTERM (default {GRACE_SECONDS:g})",
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
