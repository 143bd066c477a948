"""The OpenAPI document says what the app does."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from azure.functions.decorators.function_app import Function

from functions.http.answers import Answer, to_response
from functions.http.openapi import document
from functions.triggers import SUBJECTS

METHODS = {"get", "put", "post", "delete"}


@pytest.fixture(scope="session")
def described(indexed: list[Function]) -> dict[str, Any]:
    assert indexed
    content: dict[str, Any] = json.loads(to_response(Answer(200, document()), {}).get_body())
    return content


def nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from nodes(each)
    elif isinstance(value, list):
        for each in value:
            yield from nodes(each)


def resolve(document: dict[str, Any], reference: str) -> Any:
    assert reference.startswith("#/")
    found: Any = document
    for step in reference.removeprefix("#/").split("/"):
        found = found[step.replace("~1", "/").replace("~0", "~")]
    return found


def operations(described: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(path, method): item for path, items in described["paths"].items() for method, item in items.items()}


def test_it_is_openapi_3_1_with_what_that_requires(described: dict[str, Any]) -> None:
    assert described["openapi"].startswith("3.1.")
    assert described["info"].keys() >= {"title", "version"}
    assert described.keys() <= {"openapi", "info", "servers", "paths", "components", "tags", "security"}
    for (path, method), operation in operations(described).items():
        assert path.startswith("/api/")
        assert method in METHODS
        assert operation["responses"]
        for status, response in operation["responses"].items():
            assert status == "default" or 200 <= int(status) < 600
            assert response["description"]


def test_every_reference_resolves(described: dict[str, Any]) -> None:
    references = [node["$ref"] for node in nodes(described) if "$ref" in node]

    assert references
    assert all(resolve(described, reference) for reference in references)


def test_every_schema_that_is_described_is_used(described: dict[str, Any]) -> None:
    used = {node["$ref"].rpartition("/")[2] for node in nodes(described) if "$ref" in node}

    assert described["components"]["schemas"].keys() <= used


def test_every_route_of_the_app_is_in_it_and_no_other(described: dict[str, Any], indexed: list[Function]) -> None:
    routes = set()
    for function in indexed:
        trigger = function.get_trigger()
        assert trigger is not None
        binding = trigger.get_dict_repr()
        if binding["type"] == "httpTrigger":
            routes |= {(f"/api/{binding['route']}", str(method).lower()) for method in binding["methods"]}

    assert operations(described).keys() == routes


def test_every_parameter_of_a_path_is_described(described: dict[str, Any]) -> None:
    for (path, _), operation in operations(described).items():
        parameters = [(each["name"], each["required"]) for each in operation["parameters"] if each["in"] == "path"]
        assert parameters == [(name, True) for name in re.findall(r"{(\w+)}", path)]


def test_operations_have_names_of_their_own(described: dict[str, Any]) -> None:
    names = [operation["operationId"] for operation in operations(described).values()]

    assert sorted(names) == sorted({route.name for subject in SUBJECTS for route in subject.routes})


def test_only_what_anyone_may_ask_needs_no_token(described: dict[str, Any]) -> None:
    free = {path for (path, _), operation in operations(described).items() if not operation["security"]}

    assert free == {"/api/health", "/api/openapi.json"}


def test_every_operation_says_that_errors_are_problem_documents(described: dict[str, Any]) -> None:
    for operation in operations(described).values():
        schema = operation["responses"]["default"]["content"]["application/problem+json"]["schema"]
        problem = resolve(described, schema["$ref"])
        assert problem["properties"].keys() == {"type", "title", "status", "detail", "correlationId", "errors"}


def test_a_key_goes_in_and_never_comes_out(described: dict[str, Any]) -> None:
    schemas = described["components"]["schemas"]

    assert schemas["KeyUpload"]["required"] == ["key"]
    assert "key" not in schemas["StoreId"]["properties"]


def test_patterns_are_regular_expressions_of_javascript_too(described: dict[str, Any]) -> None:
    patterns = [node["pattern"] for node in nodes(described) if isinstance(node.get("pattern"), str)]

    assert patterns
    assert not [pattern for pattern in patterns if re.search(r"\\[AZ]|\(\?P|\(\?<?[ims]", pattern)]
