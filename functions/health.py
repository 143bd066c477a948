"""Alive, ready, and described."""

from collections.abc import Iterable
from functools import partial
from typing import Literal

import msgspec

from functions.http.answers import Answer
from functions.http.calls import Call
from functions.http.endpoints import endpoint
from functions.http.openapi import document
from functions.parts import parts
from functions.subject import Subject
from functions.triggers import SUBJECTS
from shared.health import examine


class Alive(msgspec.Struct):
    """The process answers. Nothing else is looked at."""

    status: Literal["alive"] = "alive"


class Check(msgspec.Struct, rename="camel", omit_defaults=True):
    """One dependency; ``detail`` where something is wrong."""

    name: str
    status: Literal["ready", "unavailable"]
    milliseconds: float
    detail: str = ""


class Readiness(msgspec.Struct):
    """Every dependency."""

    status: Literal["ready", "unavailable"]
    checks: list[Check]


@endpoint(answers={200: Alive})
async def get_health(call: Call) -> Answer:
    """Whether the app is alive."""
    return Answer(200, Alive())


@endpoint(answers={200: Readiness, 503: Readiness})
async def get_readiness(call: Call) -> Answer:
    """Whether every function can be loaded and every dependency answers, and how fast."""
    findings = await examine({"functions": partial(load, SUBJECTS), **parts().probes()})
    checks = [
        Check(finding.name, "ready" if finding.healthy else "unavailable", finding.milliseconds, finding.detail)
        for finding in findings
    ]
    if all(finding.healthy for finding in findings):
        return Answer(200, Readiness("ready", checks))
    return Answer(503, Readiness("unavailable", checks), {"Retry-After": "5"})


@endpoint(answers={200: None})
async def get_openapi(call: Call) -> Answer:
    """This document."""
    return Answer(200, document())


async def load(subjects: Iterable[Subject]) -> None:
    """Load subjects, as their first calls will: a host that starts looks at none of them.

    Raises what the first that cannot be loaded raises.
    """
    for subject in subjects:
        subject.load()
