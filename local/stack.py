"""All that Storekeeper needs on one machine: Azurite, the emulator, and the app in the local host."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from local import azurite, processes
from local.control import Control

ROOT = Path(__file__).resolve().parent.parent


@dataclass(slots=True)
class Servers:
    """Azurite and the emulator, running; ``folder`` has their logs and the settings of the app."""

    folder: Path
    azurite: azurite.Azurite
    emulator: processes.Server
    control: Control

    async def write_settings(self, changes: Mapping[str, str] | None = None, *, name: str = "app") -> Path:
        """A settings file for an app that uses these servers; an empty change leaves a setting out."""
        values = await self.control.settings()
        values |= {"AzureWebJobsStorage": self.azurite.connection_string, **(changes or {})}
        file = self.folder / f"{name}.settings.json"
        settings = {"IsEncrypted": False, "Values": {key: value for key, value in values.items() if value}}
        file.touch(mode=0o600)
        file.write_text(json.dumps(settings, indent=2), "utf-8")
        return file

    async def start_app(
        self,
        changes: Mapping[str, str] | None = None,
        *,
        name: str = "app",
        port: int = 0,
        options: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
    ) -> processes.Server:
        """The app in a local host of its own."""
        file = await self.write_settings(changes, name=name)
        command = [sys.executable, "-m", "local.host", "--settings", str(file), "--port", str(port), *options]
        return await processes.start(name, command, log=self.folder / f"{name}.log", cwd=ROOT, env=env)


@asynccontextmanager
async def servers(
    folder: Path,
    *,
    keep: bool = False,
    emulator_port: int = 0,
    azurite_ports: tuple[int, int, int] = azurite.ANY_PORTS,
    access_log: bool = False,
) -> AsyncIterator[Servers]:
    """Azurite and the emulator, stopped on the way out; with ``keep`` their state stays in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - once, before anything runs
    state = folder / "emulator" / "state.json"
    command = [sys.executable, "-m", "local.emulator", "--port", str(emulator_port), "--state", str(state)]
    async with AsyncExitStack() as stack:
        storage, emulator = await asyncio.gather(
            stack.enter_async_context(
                azurite.running(
                    log=folder / "azurite.log",
                    location=folder / "azurite" if keep else None,
                    ports=azurite_ports,
                    access_log=access_log,
                )
            ),
            stack.enter_async_context(processes.running("emulator", command, log=folder / "emulator.log", cwd=ROOT)),
        )
        control = Control(emulator.url, str(state.parent / "ca.pem"))
        stack.push_async_callback(control.close)
        await control.store.connect_clawback(storage.connection_string)
        yield Servers(folder, storage, emulator, control)
