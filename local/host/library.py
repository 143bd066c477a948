"""Microsoft's worker library with types: the only module that imports it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol

import azure_functions_runtime as _runtime
from azure_functions_runtime import native_invocation as _native
from azure_functions_runtime.bindings import datumdef as _datumdef

from local.host import protos

Datum = _datumdef.Datum
"""A value with the name of its type."""


@dataclass(slots=True)
class Init:
    function_app_directory: str
    capabilities: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Load:
    function_id: str


@dataclass(slots=True)
class Message:
    worker_init_request: Init | None = None
    function_load_request: Load | None = None


@dataclass(slots=True)
class Request:
    request: Message
    properties: Mapping[str, str | ModuleType] = field(
        default_factory=lambda: {"protos": protos, "host": "127.0.0.1"},
    )


class _Invoke(Protocol):
    async def __call__(
        self,
        invocation_id: str,
        function_id: str,
        inputs: Sequence[tuple[str, Datum]],
        trigger_metadata: Mapping[str, Datum],
        trace_parent: str,
        trace_state: str,
    ) -> tuple[bool, Datum | None, Sequence[tuple[str, Datum]], str | None, str | None]: ...


start_threadpool: Callable[[], None] = _runtime.start_threadpool_executor
threadpool: Callable[[], Executor | None] = _runtime.get_threadpool_executor
"""Where sync functions run."""
initialize: Callable[[Request], Awaitable[protos.WorkerInitResponse]] = _runtime.worker_init_request
metadata: Callable[[Request], Awaitable[protos.FunctionMetadataResponse]] = _runtime.functions_metadata_request
load: Callable[[Request], Awaitable[protos.FunctionLoadResponse]] = _runtime.function_load_request
invoke: _Invoke = _native.invocation_request_native
"""Answers (succeeded, value of ``$return``, other outputs, error, traceback)."""
invocation_id: ContextVar[Any] = _runtime.invocation_id_cv
"""Id (a str, or None) of the invocation that the current task or thread runs."""


def datum(value: object, kind: str) -> Datum:
    """A value on its way to or from a function; ``kind`` as gRPC names it (``string``, ``json``…)."""
    make: Callable[[object, str], Datum] = Datum
    return make(value, kind)
