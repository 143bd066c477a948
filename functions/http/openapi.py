"""The OpenAPI 3.1 document, made of the endpoints and of the very types that they read and write."""

import re
from functools import cache
from http import HTTPStatus
from typing import Any

import msgspec

from functions.http.endpoints import Endpoint, Shape, Shapes, shapes_of
from functions.http.problems import PROBLEM_JSON, Problem
from functions.subject import Access, Route
from functions.triggers import SUBJECTS
from shared.auth.tokens import CreationToken
from shared.correlation import HEADER

_REF = "#/components/schemas/{name}"
_TEXT = {"type": "string"}
_PARAMETERS: dict[str, dict[str, Any]] = {
    "userId": {"type": "string", "description": "`me` for a player; any user's id for an operator"},
    "kind": {"type": "string", "enum": ["collections", "purchase"]},
}


@cache
def document() -> dict[str, Any]:
    """The document; the same for every caller."""
    known: list[tuple[Route, Endpoint]] = [
        (route, subject.function(route.name)) for subject in SUBJECTS for route in subject.routes
    ]
    bodies = [body for _, endpoint in known for body in (endpoint.body, *endpoint.answers.values())]
    shapes = {shape: None for body in bodies for shape in shapes_of(body) if not isinstance(shape, str)}
    _, components = msgspec.json.schema_components([Problem, *shapes], schema_hook=_describe, ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for route, endpoint in known:
        paths.setdefault(f"/api/{route.path}", {})[route.method.lower()] = _operation(route, endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Storekeeper",
            "version": "1",
            "description": "Between an organisation and Microsoft's store services.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}},
            "headers": {HEADER: {"description": "Finds the call in the logs", "schema": {"type": "string"}}},
        },
    }


def _operation(route: Route, endpoint: Endpoint) -> dict[str, Any]:
    responses: dict[str, Any] = {
        str(status): _response(HTTPStatus(status).phrase, shapes) for status, shapes in endpoint.answers.items()
    }
    responses["default"] = _response("A problem document", Problem, json=PROBLEM_JSON)
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": endpoint.summary,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": _PARAMETERS.get(name, _TEXT)}
            for name in re.findall(r"{(\w+)}", route.path)
        ]
        + [
            {
                "name": name,
                "in": "query",
                "required": query.required,
                "description": query.meaning,
                "schema": query.schema(),
            }
            for name, query in endpoint.query.items()
        ],
        "responses": responses,
        "security": [] if route.access is Access.ANYONE else [{"bearer": []}],
        "description": f"For: {route.access.value}.",
    }
    if endpoint.body:
        operation["requestBody"] = {"required": True, "content": _content(endpoint.body, "application/json")}
    return operation


def _response(description: str, shapes: Shapes, *, json: str = "application/json") -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": description,
        "headers": {HEADER: {"$ref": f"#/components/headers/{HEADER}"}},
    }
    if shapes:
        response["content"] = _content(shapes, json)
    return response


def _content(shapes: Shapes, json: str) -> dict[str, Any]:
    return {shape if isinstance(shape, str) else json: _schema(shape) for shape in shapes_of(shapes)}


def _schema(shape: Shape) -> dict[str, Any]:
    if isinstance(shape, str):
        binary = not shape.startswith("text/")
        return {"schema": {"type": "string", **({"format": "binary"} if binary else {})}}
    return {"schema": {"$ref": _REF.format(name=shape.__name__)}}


def _describe(kind: type) -> dict[str, Any]:
    if kind is CreationToken:
        return {"type": "string", "description": "An Entra access token for the game"}
    raise NotImplementedError(f"{kind.__name__} has no place in the document")
