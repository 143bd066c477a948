"""Registers a subject's functions without importing them: its module is loaded when the first of them is called."""

from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from types import ModuleType
from typing import Any, Literal

from azure.functions import AuthLevel, Blueprint, HttpRequest, HttpResponse, QueueMessage, TimerRequest

CONNECTION = "AzureWebJobsStorage"

_CALLS = "functions.http.endpoints"


class Access(Enum):
    """Who may call."""

    ANYONE = "anyone"
    PLAYER_OR_OPERATOR = "player or operator"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Route:
    """Where an HTTP function is found, and by whom."""

    name: str
    method: Literal["GET", "PUT", "POST", "DELETE"]
    path: str
    access: Access


class Subject:
    """One module of functions, and the blueprint on which they are registered by name.

    What a name stands for in the module is what :func:`functions.http.endpoints.endpoint`,
    :func:`functions.queues.queue_function` or :func:`functions.timers.timer_function` made of it.
    """

    def __init__(self, module: str) -> None:
        self.module = module
        self.blueprint = Blueprint()
        self.routes: list[Route] = []

    def http(self, name: str, method: Literal["GET", "PUT", "POST", "DELETE"], path: str, access: Access) -> None:
        """Register an HTTP function. The host asks for no key: every call is checked by ``access``."""
        route = Route(name, method, path, access)
        self.routes.append(route)

        async def serve(req: HttpRequest) -> HttpResponse:
            response: HttpResponse = await import_module(_CALLS).serve(route, lambda: self.function(name), req)
            return response

        bound = self.blueprint.route(route=path, methods=[method], auth_level=AuthLevel.ANONYMOUS)
        self._register(name, serve, bound)

    def queue(self, name: str, queue: str) -> None:
        """Register a function of a queue's messages."""

        async def serve(message: QueueMessage) -> None:
            await self.function(name).serve(message)

        self._register(name, serve, self.blueprint.queue_trigger("message", queue, CONNECTION))

    def timer(self, name: str, setting: str) -> None:
        """Register a function of a timer, with its schedule in a setting."""

        async def serve(timer: TimerRequest) -> None:
            await self.function(name).serve(timer)

        self._register(name, serve, self.blueprint.timer_trigger("timer", f"%{setting}%"))

    def load(self) -> ModuleType:
        """Import the module. Where that fails, the next call tries again."""
        return import_module(self.module)

    def function(self, name: str) -> Any:
        """What a name stands for, its module loaded."""
        return getattr(self.load(), name)

    def _register(self, name: str, serve: Any, bound: Any) -> None:
        serve.__name__ = name
        self.blueprint.function_name(name)(bound(serve))
