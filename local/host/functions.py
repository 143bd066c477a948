"""What the host knows of a function: its trigger and outputs, read from the worker library's metadata."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from local.host.errors import StartError
from local.host.settings import resolve

HTTP_TRIGGER = "httpTrigger"
QUEUE_TRIGGER = "queueTrigger"
TIMER_TRIGGER = "timerTrigger"
TRIGGERS = (HTTP_TRIGGER, QUEUE_TRIGGER, TIMER_TRIGGER)
HTTP_OUTPUT = "http"
QUEUE_OUTPUT = "queue"
OUTPUTS = (HTTP_OUTPUT, QUEUE_OUTPUT)
RETURN = "$return"

_RESOLVED = ("queueName", "schedule", "route", "connection")


@dataclass(frozen=True, slots=True)
class Binding:
    """One binding, every ``%SETTING%`` resolved."""

    name: str
    type: str
    raw: Mapping[str, Any]

    def text(self, key: str) -> str:
        """A text of the binding; empty when it is not set."""
        return str(self.raw.get(key) or "")


@dataclass(frozen=True, slots=True)
class Function:
    name: str
    function_id: str
    trigger: Binding
    outputs: Mapping[str, Binding] = field(default_factory=dict)
    retries: bool = False
    """It has a retry policy, which the local host does not carry out."""

    @property
    def queue_outputs(self) -> Sequence[Binding]:
        return [binding for binding in self.outputs.values() if binding.type == QUEUE_OUTPUT]

    @property
    def disabled(self) -> bool:
        """Switched off by the setting ``AzureWebJobs.NAME.Disabled``, as in Azure."""
        return os.environ.get(f"AzureWebJobs.{self.name}.Disabled", "").lower() in ("1", "true")


def parse(name: str, function_id: str, raw_bindings: Sequence[str], *, retries: bool = False) -> Function:
    """A function out of its metadata.

    :raises StartError: a binding that this host cannot serve, or a setting that does not exist.
    """
    trigger: Binding | None = None
    outputs: dict[str, Binding] = {}
    for text in raw_bindings:
        binding = _binding(name, json.loads(text))
        if binding.type in TRIGGERS:
            trigger = binding
        elif binding.type in OUTPUTS and binding.raw.get("direction") == "OUT":
            outputs[binding.name] = binding
        else:
            raise StartError(
                f"function {name}: binding {binding.name!r} of type {binding.type!r} is not supported "
                f"by the local host (triggers: {', '.join(TRIGGERS)}; outputs: {', '.join(OUTPUTS)})"
            )
    if trigger is None:
        raise StartError(f"function {name} has no trigger")
    return Function(name, function_id, trigger, outputs, retries)


def _binding(function: str, raw: dict[str, Any]) -> Binding:
    for key in _RESOLVED:
        if isinstance(raw.get(key), str):
            raw[key] = resolve(raw[key], f"function {function}, {key}")
    return Binding(str(raw["name"]), str(raw["type"]), raw)
