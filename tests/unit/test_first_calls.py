"""What a caller sees of a module that is loaded by the first call of its subject, when it cannot be."""

import json
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from azure.functions import FunctionApp, HttpRequest, HttpResponse
from azure.functions.timer import TimerRequest

from functions.health import load
from functions.parts import parts, settings
from functions.subject import Access, Subject
from functions.sweep import sweep
from shared.health import examine
from tests.support.environ import ENVIRON

MODULE = "subject_of_this_test"
BROKEN = "raise ImportError('half of the app is missing')\n"
WHOLE = """
from functions.http.answers import Answer
from functions.http.endpoints import endpoint

@endpoint(answers={204: None})
async def hello(call):
    return Answer(204)
"""


@pytest.fixture
def environ(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """The environment of a process that has not served a call yet."""
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    for made in (settings, parts):
        made.cache_clear()
    yield monkeypatch
    for made in (settings, parts):
        made.cache_clear()


@pytest.fixture
def module(tmp_path: Path, environ: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of a subject's module that cannot be imported."""
    environ.syspath_prepend(str(tmp_path))
    environ.setattr(sys, "dont_write_bytecode", True)
    file = tmp_path / f"{MODULE}.py"
    file.write_text(BROKEN, "utf-8")
    yield file
    sys.modules.pop(MODULE, None)


def mend(module: Path) -> None:
    module.write_text(WHOLE, "utf-8")


async def call(access: Access) -> HttpResponse:
    """One call of the subject's function, by somebody without a token."""
    subject = Subject(MODULE)
    subject.http("hello", "GET", "hello", access)
    app = FunctionApp()
    app.register_blueprint(subject.blueprint)
    (function,) = app.get_functions()
    request = HttpRequest("GET", "/api/hello", headers={"x-correlation-id": "mine"}, body=b"")
    answer: HttpResponse = await function.get_user_function()(request)
    return answer


@pytest.mark.usefixtures("module")
async def test_a_module_that_cannot_be_loaded_is_told_as_any_fault_of_ours() -> None:
    answer = await call(Access.ANYONE)

    problem = json.loads(answer.get_body())
    assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")
    assert (answer.headers["x-correlation-id"], problem["correlationId"]) == ("mine", "mine")
    assert "half of the app" not in problem["detail"]


async def test_the_next_call_tries_again(module: Path) -> None:
    broken = await call(Access.ANYONE)
    mend(module)

    assert [broken.status_code, (await call(Access.ANYONE)).status_code] == [500, 204]


@pytest.mark.usefixtures("module")
async def test_readiness_names_what_cannot_be_loaded() -> None:
    findings = await examine({"functions": partial(load, (Subject("functions.tokens"), Subject(MODULE)))})

    assert [(finding.healthy, finding.detail) for finding in findings] == [(False, "half of the app is missing")]


async def test_a_subject_that_cannot_be_loaded_does_not_keep_the_sweep_from_the_others(
    environ: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tenant = {"tenantId": "contoso.example", "clientId": "client", "credential": "secret:contoso"}
    environ.setenv("BUSINESS_TENANTS", json.dumps([tenant]))
    environ.delenv("PUBLISHER_TENANT_ID")
    environ.delenv("PUBLISHER_CLIENT_ID")
    environ.setitem(sys.modules, "shared.wiring.catalog", None)

    await sweep.serve(TimerRequest())

    told = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert [("catalogue" in each, "seats" in each) for each in told] == [(True, False), (False, True)]


async def test_a_stranger_has_nothing_loaded(module: Path) -> None:
    mend(module)

    answer = await call(Access.PLAYER_OR_OPERATOR)

    assert answer.status_code == 401
    assert MODULE not in sys.modules
