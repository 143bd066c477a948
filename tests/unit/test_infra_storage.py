"""Every queue, table and container that the code names is made by the template, and no other."""

import ast
import json
import re
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import pytest
from azure.functions.decorators.function_app import Function

from shared.poison import SUFFIX
from shared.settings import Settings
from shared.storage.blobs import Container
from shared.storage.queues import Queue
from shared.storage.tables import Table
from shared.wiring import Wiring
from tests.support import bicep
from tests.support.environ import ENVIRON

BOTH_HALVES = {
    "PUBLISHER_TENANT_ID": "publisher-tenant",
    "PUBLISHER_CLIENT_ID": "publisher-app",
    "BUSINESS_TENANTS": json.dumps([{"tenantId": "a", "clientId": "b", "credential": "managed-identity"}]),
}
FILE = "modules/storage.bicep"

type Named = dict[type, set[str]]


@pytest.fixture(scope="module")
def named() -> Iterator[Named]:
    """The names of all queues, tables and containers that the parts of the app hold, with both halves on."""
    found: Named = {Queue: set(), Table: set(), Container: set()}
    with pytest.MonkeyPatch.context() as patch:
        for kind in found:
            patch.setattr(kind, "__init__", noting(kind, found[kind]))
        wiring = Wiring(Settings.load(ENVIRON | BOTH_HALVES))
        for part in made_by(wiring):
            list(made_by(part))
        yield found


def made_by(holder: object) -> Iterator[object]:
    """All that is made once, when first needed."""
    for name, part in vars(type(holder)).items():
        if isinstance(part, cached_property):
            yield getattr(holder, name)


def noting(kind: Any, names: set[str]) -> Any:
    """A constructor that also notes the name of what it makes."""
    make = kind.__init__

    def __init__(self: object, account: object, name: str, **options: object) -> None:  # noqa: N807 - it becomes one
        names.add(name)
        make(self, account, name, **options)

    return __init__


def test_tables_are_those_of_the_code(named: Named) -> None:
    assert set(bicep.variable("tableNames", FILE)) == named[Table]


def test_containers_are_those_of_the_code(named: Named) -> None:
    assert set(bicep.variable("containerNames", FILE)) == named[Container]


def test_queues_are_those_of_the_code(named: Named) -> None:
    read, outgoing = set(bicep.variable("readQueues", FILE)), set(bicep.variable("outgoingQueues", FILE))

    assert read | outgoing | {name + SUFFIX for name in read} == named[Queue]


def test_queues_with_a_poison_are_those_that_functions_read(indexed: list[Function]) -> None:
    triggers = [function.get_trigger() for function in indexed]
    queues = {each.get_dict_repr().get("queueName") for each in triggers if each is not None} - {None}

    assert set(bicep.variable("readQueues", FILE)) == queues
    assert f"'${{queue}}{SUFFIX}'" in bicep.text(FILE)


def test_the_alert_knows_poison_by_its_name() -> None:
    assert f'Uri contains "{SUFFIX}/messages"' in bicep.variable("poisonQuery", "modules/alerts.bicep")


def test_every_list_becomes_resources() -> None:
    made = {symbol: json.dumps(each) for symbol, each in bicep.resources(FILE).items()}

    assert "tableNames" in made["tables"]
    assert "containerNames" in made["containers"]
    assert all(name in made["queues"] for name in ("readQueues", "outgoingQueues", "poisonQueues"))


def test_names_are_such_as_the_services_take() -> None:
    lists = ("readQueues", "outgoingQueues", "containerNames")
    names = [name for each in lists for name in bicep.variable(each, FILE)]

    assert [name for name in names if not re.fullmatch(r"(?=.{3,56}$)[a-z0-9]+(-[a-z0-9]+)*", name)] == []
    assert [name for name in bicep.variable("tableNames", FILE) if not re.fullmatch(r"[a-z][a-z0-9]{2,62}", name)] == []


def test_nobody_else_makes_any() -> None:
    """What is not made in the wiring would be missed above; poison makes its own of the names it is given."""
    makers = set()
    for file in (bicep.ROOT / "shared").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in {"Queue", "Table", "Container"}:
                makers.add(str(file.relative_to(bicep.ROOT)))

    assert {maker for maker in makers if not maker.startswith("shared/wiring/")} == {"shared/poison.py"}


def test_what_is_thrown_away_is_in_a_container_that_there_is() -> None:
    prefixes = re.findall(r"prefixMatch: \['([^/']+)/'\]", bicep.text(FILE))

    assert prefixes
    assert set(prefixes) <= set(bicep.variable("containerNames", FILE))
