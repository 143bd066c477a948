"""``python -m local.up``: everything that Storekeeper needs and the app itself, left running until Ctrl-C.

The state (the storage account, the emulator's tenant, vault and keys) stays in ``.local/up`` and is there again at the
next start.
"""

import argparse
import asyncio
import contextlib
import fcntl
import os
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from azure.core.exceptions import ResourceNotFoundError
from azure.data.tables.aio import TableServiceClient

from local import azurite, processes, stack
from local.control import Control

FOLDER = stack.ROOT / ".local" / "up"
TOKEN_HOURS = 12


class UsageError(RuntimeError):
    """Cannot be started like this; says what to do."""


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everything listens."""

    app: int
    emulator: int
    azurite: tuple[int, int, int]


async def run(folder: Path, ports: Ports) -> int:
    """Start everything, tell where it is, wait; the exit code.

    :raises UsageError: a port is taken, or the folder is in use.
    :raises processes.ServerError: a server did not start.
    """
    with _alone(folder):
        _check_ports(ports)
        print("Starting Azurite and the emulator ...", flush=True)
        async with stack.servers(
            folder, keep=True, emulator_port=ports.emulator, azurite_ports=ports.azurite
        ) as servers:
            print("Starting the app ...", flush=True)
            app = await servers.start_app(port=ports.app)
            try:
                tokens = await _write_tokens(servers.control, folder)
                players = await _players(servers.azurite)
                kept = "keys of 1 player" if players == 1 else f"keys of {players} players"
                print(_welcome(servers, app, tokens, kept), flush=True)
                return await _watch([app, servers.emulator, servers.azurite.server])
            finally:
                print("\nStopping the app, the emulator and Azurite ...", flush=True)
                await app.terminate()


async def _watch(servers: list[processes.Server]) -> int:
    """Waits for the first server to end, which none should."""
    waits = {asyncio.create_task(server.process.wait()): server for server in servers}
    try:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    for wait in done:
        server = waits[wait]
        text = f"\n{server.name} ended by itself (exit code {wait.result()}); the end of {_shown(server.log)}:"
        print(f"{text}\n{server.tail(20)}", file=sys.stderr)
    return 1


async def _write_tokens(control: Control, folder: Path) -> dict[str, Path]:
    """Bearer tokens of an operator and a player, each in a file of its own."""
    files: dict[str, Path] = {}
    callers: dict[Literal["operator", "player"], str] = {"operator": "operator-0001", "player": "player-0001"}
    for kind, subject in callers.items():
        header = await control.bearer(kind, subject, expiresInSeconds=TOKEN_HOURS * 3600)
        files[kind] = folder / f"{kind}.token"
        files[kind].touch(mode=0o600)
        files[kind].write_text(header["Authorization"].removeprefix("Bearer "), "utf-8")
    return files


async def _players(storage: azurite.Azurite) -> int:
    """Of how many players keys are kept from before."""
    async with TableServiceClient.from_connection_string(storage.connection_string) as account:
        rows = account.get_table_client("storeids").query_entities("RowKey ge 'user|' and RowKey lt 'user}'")
        try:
            return len([row async for row in rows])
        except ResourceNotFoundError:
            return 0


def _welcome(servers: stack.Servers, app: processes.Server, tokens: dict[str, Path], kept: str) -> str:
    folder, azurite_ = servers.folder, servers.azurite
    ca, operator, player = (_shown(path) for path in (folder / "emulator" / "ca.pem", *tokens.values()))
    emulator = servers.control.origin
    return f"""
Storekeeper is up. Ctrl-C stops everything.

  app         {app.url}/api      (its OpenAPI document: {app.url}/api/openapi.json)
  emulator    {emulator}    (Entra, Key Vault, the Store; its CA: {ca})
  Azurite     {azurite_.blob}  {azurite_.queue}  {azurite_.table}
  state       {_shown(folder)}/  ({kept} kept from before; `make reset` forgets everything)
  logs        {_shown(app.log)}  {_shown(servers.emulator.log)}  {_shown(azurite_.server.log)}
  settings    {_shown(folder / "app.settings.json")}

Bearer tokens, valid for {TOKEN_HOURS} hours (also in {operator} and {player}):

  operator    {tokens["operator"].read_text("utf-8")}

  player      {tokens["player"].read_text("utf-8")}

First calls, in another terminal, in this directory:

  # an access token with which player-0001's game makes a key at the Store
  curl -s -w '\\n' -X POST -H "Authorization: Bearer $(cat {player})" {app.url}/api/tokens/collections

  # such a key (the emulator makes one without a game), handed in
  curl -s --cacert {ca} -d '{{"kind": "collections", "publisherUserId": "player-0001"}}' \\
      {emulator}/_emulator/store-ids |
    curl -s -w '\\n' -X PUT -H "Authorization: Bearer $(cat {player})" \\
      -H "Content-Type: application/json" -d @- {app.url}/api/users/me/store-ids/collections

  # what is known of it
  curl -s -w '\\n' -H "Authorization: Bearer $(cat {player})" {app.url}/api/users/me/store-ids
"""


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds the folder: two Azurites on one state would destroy it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise UsageError(f"another `make up` is using {_shown(folder)}; stop it first") from error
        yield


def _check_ports(ports: Ports) -> None:
    named = [("the app", ports.app, "APP_PORT"), ("the emulator", ports.emulator, "EMULATOR_PORT")]
    named += [(f"Azurite ({name})", port, "AZURITE_PORTS") for name, port in zip(_AZURITE, ports.azurite, strict=True)]
    for what, port, variable in named:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                other = f"{port + 10},{port + 11},{port + 12}" if variable == "AZURITE_PORTS" else str(port + 1)
                raise UsageError(
                    f"port {port}, for {what}, cannot be used ({error.strerror}).\n"
                    f"Stop what listens there, or take another: make up {variable}={other}"
                ) from error


_AZURITE = ("blobs", "queues", "tables")


def _shown(path: Path) -> str:
    return str(path.relative_to(stack.ROOT))


def _ports() -> Ports:
    parser = argparse.ArgumentParser(prog="python -m local.up", description="Start everything; Ctrl-C stops it.")
    environ = os.environ
    parser.add_argument("--port", type=int, default=environ.get("APP_PORT", "7071"), help="of the app")
    parser.add_argument("--emulator-port", type=int, default=environ.get("EMULATOR_PORT", "8443"))
    parser.add_argument(
        "--azurite-ports",
        type=_three,
        default=environ.get("AZURITE_PORTS", "10000,10001,10002"),
        metavar="BLOB,QUEUE,TABLE",
    )
    arguments = parser.parse_args()
    return Ports(arguments.port, arguments.emulator_port, arguments.azurite_ports)


def _three(text: str) -> tuple[int, int, int]:
    blob, queue, table = (int(part) for part in text.split(","))
    return blob, queue, table


async def _main(ports: Ports) -> int:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    if task is not None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, task.cancel)
    try:
        return await run(FOLDER, ports)
    except asyncio.CancelledError:
        print("Stopped; the state is kept.", flush=True)
        return 0
    except (UsageError, azurite.AzuriteMissing, processes.ServerError) as error:
        print(f"make up: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(asyncio.run(_main(_ports())))
