"""The API as an OpenAPI 3.1 document, made from its routes."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from appliance.api.call import Call, Route
from appliance.api.problems import CONTENT_TYPE, Document

ADDRESS = "/api/openapi.json"
_PARAMETER = re.compile(r"<(\w+)(?::(\w+)(?::([^>]*))?)?>")
"""bottle's syntax: ``<name>``, ``<name:int>``, ``<thing:path>``, ``<action:re:stop|start>``."""


def routes(version: str, others: list[Route]) -> list[Route]:
    """The address of the document about `others` and itself."""

    def answer(_: Call) -> object:
        return openapi(version, [*others, own])

    own = Route("GET", ADDRESS, answer, summary="This document")
    return [own]


def openapi(version: str, found: Iterable[Route]) -> dict[str, Any]:
    """`version` is the release's."""
    listed = list(found)
    kinds = {kind for route in listed for kind in (route.body, route.answers) if kind is not None} | {Document}
    types = sorted(kinds, key=str)
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    by_kind = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in listed:
        paths.setdefault(template(route.path), {})[route.method.lower()] = _operation(route, by_kind)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Appliance", "version": version, "description": "Explained in /docs/api.html."},
        "servers": [{"url": "/"}],
        "security": [{"session": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"session": {"type": "apiKey", "in": "cookie", "name": "__Host-session"}},
            "responses": {
                "Problem": {
                    "description": "It was not done; the document says why and what to do next (RFC 9457).",
                    "content": {CONTENT_TYPE: {"schema": by_kind[Document]}},
                }
            },
        },
    }


def template(path: str) -> str:
    """``/api/services/{name}`` of bottle's ``/api/services/<name>``."""
    return _PARAMETER.sub(lambda found: f"{{{found[1]}}}", path)


def _operation(route: Route, by_kind: dict[Any, Any]) -> dict[str, Any]:
    schema = by_kind[route.answers] if route.answers is not None else {}
    operation: dict[str, Any] = {
        "operationId": f"{route.method.lower()}{re.sub(r'[^A-Za-z0-9]+', '_', template(route.path)).rstrip('_')}",
        "summary": route.summary or f"{route.method} {template(route.path)}",
        "tags": [template(route.path).split("/")[2]],
        "parameters": [_parameter(*found) for found in _PARAMETER.findall(route.path)],
        "responses": {
            "200": {"description": "Done.", "content": {"application/json": {"schema": schema}}},
            "default": {"$ref": "#/components/responses/Problem"},
        },
    }
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": by_kind[route.body]}}}
    if route.public:
        operation["security"] = []
    return operation


def _parameter(name: str, kind: str, pattern: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "integer" if kind == "int" else "string"}
    if kind == "re":
        schema["enum"] = pattern.split("|")
    return {"name": name, "in": "path", "required": True, "schema": schema}
