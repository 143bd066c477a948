"""Indexing: the app is imported and checked by Microsoft's worker library, which then tells its functions."""

import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from local.host import functions, library, protos
from local.host.errors import StartError
from local.host.functions import Function
from local.host.library import Init, Load, Message, Request

SCRIPT = "function_app.py"

_runtime_log = logging.getLogger("azure.functions")


async def index(directory: Path) -> Sequence[Function]:
    """Loads the app in ``directory`` into this process (one app a process) and returns its functions.

    :raises StartError: the library rejects the app, it has no function, or one that this host cannot serve.
    """
    script = os.environ.get("PYTHON_SCRIPT_FILE_NAME", SCRIPT)
    if not (directory / script).is_file():
        raise StartError(f"there is no {script} in {directory}")
    sys.path.insert(0, str(directory))
    os.chdir(directory)
    library.start_threadpool()
    await _initialize(directory)
    metadata = (await library.metadata(Request(Message()))).function_metadata_results
    if not metadata:
        raise StartError(f"{directory / script} has no functions")
    found = []
    for each in metadata:
        loaded = await library.load(Request(Message(function_load_request=Load(each.function_id))))
        _raise_failure(loaded.result, f"function {each.name}")
        retries = each.retry_options is not None
        found.append(functions.parse(each.name, each.function_id, each.raw_bindings, retries=retries))
    return found


async def _initialize(directory: Path) -> None:
    # The library logs a rejected app once more, with the whole of sys.path; we tell the developer ourselves.
    level = _runtime_log.level
    if _runtime_log.getEffectiveLevel() > logging.DEBUG:
        _runtime_log.setLevel(logging.CRITICAL)
    try:
        started = await library.initialize(Request(Message(worker_init_request=Init(str(directory)))))
    finally:
        _runtime_log.setLevel(level)
    _raise_failure(started.result, "the app")


def _raise_failure(result: protos.StatusResult, what: str) -> None:
    if result.status != protos.StatusResult.Success:
        exception = result.exception or protos.RpcException()
        raise StartError(f"the worker library rejects {what}: {exception.message}\n{exception.stack_trace}".rstrip())
