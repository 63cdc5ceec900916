"""The JSON Schema for editors agrees with the reader, as far as shapes go."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

import appliance.spec
from appliance.cli.schema import command
from appliance.spec.json_schema import json_schema
from appliance.spec.yaml_text import read_yaml

EXAMPLES = sorted((Path(appliance.spec.__file__).parent / "examples").glob("*.yaml"))
VALIDATOR = Draft202012Validator(json_schema())
ONE: dict[str, Any] = {"service": "shop", "deploys": {"web": {"containers": {"main": {"image": "x"}}}}}


def complaints(value: object) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in VALIDATOR.iter_errors(value)]


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(json_schema())


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_valid(file: Path) -> None:
    assert [said for document in read_yaml(file.read_text(), "") for said in complaints(document.value)] == []


def test_every_field_says_what_it_is() -> None:
    parts = [json_schema(), *json_schema()["$defs"].values()]
    assert [name for part in parts for name, field in part["properties"].items() if not field.get("description")] == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("replicas", 3), ("replicas", "${n}"), ("stop_grace", "5s"), ("max_unavailable", 2), ("max_unavailable", "25%")],
)
def test_short_and_long_forms_are_valid(field: str, value: object) -> None:
    assert complaints({**ONE, "deploys": {"web": {**ONE["deploys"]["web"], field: value}}}) == []


@pytest.mark.parametrize(
    ("field", "value"),
    [("replicsa", 3), ("replicas", -1), ("replicas", "many"), ("stop_grace", "5 parsecs"), ("network", "bridge")],
)
def test_mistakes_are_marked(field: str, value: object) -> None:
    assert complaints({**ONE, "deploys": {"web": {**ONE["deploys"]["web"], field: value}}})


def test_a_service_needs_a_deploy_or_a_job() -> None:
    assert complaints({"service": "shop"})


def test_the_command_prints_it() -> None:
    assert json.loads(CliRunner().invoke(command, []).output) == json_schema()
