"""The host: an app, its HTTP front, its queue pollers and its timers, started and stopped together."""

import asyncio
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from local.host import queues, worker
from local.host.admin import Admin, Run
from local.host.config import HostConfig
from local.host.functions import HTTP_TRIGGER, QUEUE_TRIGGER, TIMER_TRIGGER, Function
from local.host.http_front import HttpFront
from local.host.invocations import Invoker
from local.host.library import Datum, datum
from local.host.outputs import Outputs
from local.host.queues import Poller
from local.host.routes import Router
from local.host.storage import Queues
from local.host.timers import Timer

log = logging.getLogger("local.host")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    app: Path
    port: int
    queue_lease_seconds: int
    grace_seconds: float
    """How long running functions may go on once the host is told to stop."""


class Host:
    """Serves an app as a context; one in the life of a process, since the app is imported into it."""

    def __init__(self, options: Options, config: HostConfig) -> None:
        self.url = ""
        self.functions: Sequence[Function] = ()
        self._options = options
        self._config = config
        self._storage = Queues(config.queues.message_encoding)
        self._invoker = Invoker(config.function_timeout)
        self._outputs = Outputs(self._storage)
        self._triggers: list[Poller | Timer] = []
        self._admin: Admin | None = None
        self._front: HttpFront | None = None

    async def __aenter__(self) -> Self:
        """Starts everything.

        :raises StartError: the app or its settings cannot be run.
        """
        try:
            await self._start()
        except BaseException:
            await self._storage.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Takes nothing new, lets what runs end for a while, then closes."""
        grace = self._options.grace_seconds
        parts = [trigger.stop(grace) for trigger in self._triggers]
        if self._front is not None and self._admin is not None:
            parts += [self._front.stop(), self._admin.stop(grace)]
        for result in await asyncio.gather(*parts, return_exceptions=True):
            if isinstance(result, BaseException):
                log.error("while stopping: %r", result)
        await self._storage.close()

    async def _start(self) -> None:
        self.functions = _enabled(await worker.index(self._options.app))
        runs: dict[str, Run] = {}
        for function in self.functions:
            for binding in function.queue_outputs:
                self._storage.get(binding, f"function {function.name}")  # a connection that is missing is told now
            if function.trigger.type == QUEUE_TRIGGER:
                self._triggers.append(self._poller(function))
                runs[function.name.lower()] = self._run_on_text(function)
            elif function.trigger.type == TIMER_TRIGGER:
                timer = Timer(function, self._run)
                self._triggers.append(timer)
                runs[function.name.lower()] = _run_timer(timer)
        routed = [function for function in self.functions if function.trigger.type == HTTP_TRIGGER]
        self._admin = Admin(self.functions, runs)
        router = Router(routed, self._config.route_prefix)
        self._front = HttpFront(router, self._invoker, self._outputs, self._admin)
        self.url = await self._front.start(self._options.port, self._options.grace_seconds)
        for trigger in self._triggers:
            trigger.start()

    def _poller(self, function: Function) -> Poller:
        return Poller(function, self._storage, self._config.queues, self._options.queue_lease_seconds, self._run)

    async def _run(self, function: Function, data: Datum, metadata: Mapping[str, Datum] | None = None) -> bool:
        """Runs a queue or timer function and writes its outputs; whether all of it succeeded."""
        outcome = await self._invoker.invoke(function, data, metadata or {})
        return outcome.succeeded and await self._outputs.write(function, outcome)

    def _run_on_text(self, function: Function) -> Run:
        async def run(text: str) -> bool:
            now = datum(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00"), "string")
            metadata = {
                "Id": datum(str(uuid.uuid4()), "string"),
                "DequeueCount": datum("1", "string"),
                "PopReceipt": datum("", "string"),
            } | dict.fromkeys(("InsertionTime", "ExpirationTime", "NextVisibleTime"), now)
            return await self._run(function, queues.content(text, function), metadata)

        return run


def _run_timer(timer: Timer) -> Run:
    async def run(_: str) -> bool:
        return await timer.fire()

    return run


def _enabled(functions: Sequence[Function]) -> Sequence[Function]:
    for function in functions:
        if function.disabled:
            log.info("function %s is disabled by its setting", function.name)
        elif function.retries:
            log.warning("function %s has a retry policy, which the local host does not carry out", function.name)
    return [function for function in functions if not function.disabled]
