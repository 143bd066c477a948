"""One invocation: run through the worker library, limited in time, its failure logged once."""

import asyncio
import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from local.host import library, logs
from local.host.functions import Function
from local.host.library import Datum

log = logging.getLogger("local.host")

type Inputs = Mapping[str, Datum]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an invocation."""

    invocation_id: str
    succeeded: bool
    returned: Datum | None = None
    outputs: Sequence[tuple[str, Datum]] = field(default_factory=tuple)


class Invoker:
    """Runs functions.

    :param timeout: seconds that one may run (``functionTimeout``); None for ever. An async function is cancelled then;
        a thread cannot be, so a sync function fails but its thread runs on (Azure ends the process).
    """

    def __init__(self, timeout: float | None) -> None:
        self._timeout = timeout

    async def invoke(
        self, function: Function, data: Datum, metadata: Inputs, trace_parent: str = "", trace_state: str = ""
    ) -> Outcome:
        """Runs ``function`` on what its trigger brought. Only a cancellation of the caller raises."""
        invocation_id = str(uuid.uuid4())
        about = {"invocation": invocation_id, "function": function.name}
        logs.running[invocation_id] = function.name
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout):
                succeeded, returned, outputs, error, trace = await library.invoke(
                    invocation_id,
                    function.function_id,
                    [(function.trigger.name, data)],
                    metadata,
                    trace_parent,
                    trace_state,
                )
        except TimeoutError:  # ours: one of the function's own is an answer of the library
            succeeded, error, trace = False, f"ran longer than functionTimeout ({self._timeout:g} s)", None
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                log.warning("stopped by the host before it ended", extra=about)
                raise
            succeeded, error, trace = False, "raised CancelledError", None
        except SystemExit as exit_:
            succeeded, error, trace = False, f"called sys.exit({exit_.code!r})", None
        finally:
            took = (time.perf_counter() - started) * 1000
            del logs.running[invocation_id]
        if not succeeded:
            log.error("failed after %.0f ms: %s", took, error, extra={**about, "detail": (trace or "").rstrip()})
            return Outcome(invocation_id, succeeded=False)
        log.debug("succeeded in %.0f ms", took, extra=about)
        return Outcome(invocation_id, True, returned, outputs)
