"""The OpenAPI document: every route is in it, and it holds together."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from appliance.api.openapi import openapi, template
from appliance.api.problems import page_address, title_of
from tests.unit.api.cluster_in_memory import InMemory


@pytest.fixture
def document(cluster: InMemory) -> dict[str, Any]:
    found: dict[str, Any] = cluster.ask("GET", "/api/openapi.json")
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for part in value.values():
            yield from references(part)
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


def test_every_route_is_in_it(cluster: InMemory, document: dict[str, Any]) -> None:
    routes = {(template(route.path), route.method.lower()) for route in cluster.routes}
    assert {(path, method) for path, method, _ in operations(document)} == routes


def test_it_says_which_version_of_openapi_and_of_the_release_it_is(document: dict[str, Any]) -> None:
    assert document["openapi"] == "3.1.0"
    assert document["info"]["version"] == "0.1.0"


def test_every_parameter_of_a_path_is_described_and_no_other(document: dict[str, Any]) -> None:
    for path, _, operation in operations(document):
        described = [one["name"] for one in operation["parameters"]]
        assert described == re.findall(r"{(\w+)}", path)
        assert all(one["in"] == "path" and one["required"] for one in operation["parameters"])


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    for reference in references(document):
        found: Any = document
        for step in reference.removeprefix("#/").split("/"):
            found = found[step]
        assert found


def test_every_operation_answers_and_says_what_an_error_looks_like(document: dict[str, Any]) -> None:
    for _, _, operation in operations(document):
        assert set(operation["responses"]) == {"200", "default"}
        assert operation["summary"]


def test_the_body_of_an_apply_is_described_with_what_it_needs(document: dict[str, Any]) -> None:
    body = document["paths"]["/api/services"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    schema = document["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    assert schema["required"] == ["text"]
    assert schema["additionalProperties"] is False


def test_only_public_routes_need_no_login(cluster: InMemory) -> None:
    made = openapi("0.1.0", cluster.routes)
    for route in cluster.routes:
        operation = made["paths"][template(route.path)][route.method.lower()]
        assert (operation.get("security") == []) == route.public


def test_alternatives_of_an_action_are_listed(document: dict[str, Any]) -> None:
    [_, action] = document["paths"]["/api/services/{name}/{action}"]["post"]["parameters"]
    assert action["schema"]["enum"] == ["stop", "start", "restart"]


def test_kinds_and_pages_of_problems() -> None:
    assert title_of("SpecInvalid") == "Spec invalid"
    assert page_address("preflight/#disk-room") == "/docs/preflight.html#disk-room"
    assert page_address("spec") == "/docs/spec.html"
