"""The page of triggers and the modules behind it agree: neither names a function that the other does not know."""

from importlib import import_module
from pathlib import Path
from typing import Any

from azure.functions.decorators.function_app import Function

from functions.http.endpoints import Endpoint
from functions.queues import QueueFunction
from functions.timers import TimerFunction
from functions.triggers import SUBJECTS

ROOT = Path(__file__).parents[2]
KINDS = {"httpTrigger": Endpoint, "queueTrigger": QueueFunction, "timerTrigger": TimerFunction}


def made() -> dict[str, Any]:
    """Every function that a module of a subject has, by its name."""
    found = [pair for subject in SUBJECTS for pair in vars(import_module(subject.module)).items()]
    return {name: each for name, each in found if isinstance(each, tuple(KINDS.values()))}


def test_every_trigger_has_a_function_of_its_kind_and_every_function_a_trigger(indexed: list[Function]) -> None:
    registered = {function.get_function_name(): function.get_trigger() for function in indexed}

    assert {name: type(each) for name, each in made().items()} == {
        name: KINDS[trigger.get_dict_repr()["type"]] for name, trigger in registered.items() if trigger
    }


def test_a_queue_function_gives_up_into_the_poison_of_the_queue_that_it_reads(indexed: list[Function]) -> None:
    bindings = {function.get_function_name(): function.get_trigger() for function in indexed}
    queues = {name: each.queue for name, each in made().items() if isinstance(each, QueueFunction)}

    assert queues
    assert queues == {name: trigger.get_dict_repr()["queueName"] for name in queues if (trigger := bindings[name])}


def test_a_function_is_called_as_its_handler_is() -> None:
    assert {name: each.handler.__name__ for name, each in made().items()} == {name: name for name in made()}


def test_every_route_leads_into_the_module_of_its_subject() -> None:
    for subject in SUBJECTS:
        assert all(isinstance(subject.function(route.name), Endpoint) for route in subject.routes)


def test_every_module_of_a_subject_is_on_the_page() -> None:
    marks = ("\n@endpoint(", "\n@queue_function(", "\n@timer_function\n")
    files = (ROOT / "functions").glob("*.py")

    with_functions = {
        f"functions.{file.stem}" for file in files if any(mark in file.read_text("utf-8") for mark in marks)
    }

    assert with_functions == {subject.module for subject in SUBJECTS}
