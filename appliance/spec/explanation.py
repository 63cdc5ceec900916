"""What pydantic says about a document, in our words and with the path as the file has it."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from appliance.spec.container_text import ENV_KINDS
from appliance.spec.findings import Findings
from appliance.spec.quantities import shown
from appliance.spec.schema import fields_at
from appliance.spec.suggestion import suggestion
from appliance.spec.yaml_text import Path

_NOT_IN_THE_FILE = frozenset({"[key]", *ENV_KINDS})
"""Steps of pydantic's paths: a bad key of a mapping, and which kind of value an environment variable has."""


def explain(findings: Findings, error: ValidationError) -> None:
    """Adds one problem for each thing that is wrong."""
    for found in error.errors(include_url=False):
        path = tuple(step for step in found["loc"] if step not in _NOT_IN_THE_FILE)
        findings.add(*_sentence(path, found))


def _sentence(path: Path, found: ErrorDetails) -> tuple[Path, str]:
    kind, context = found["type"], found.get("ctx", {})
    if kind == "extra_forbidden":
        name, known = str(found["loc"][-1]), fields_at(path[:-1])
        hint = suggestion(name, known) or f" (known: {', '.join(known)})"
        return path, f"there is no field {shown(name)[1:-1]}{hint}"
    if kind == "value_error":
        return path, str(context.get("error", found["msg"]))
    if kind == "missing":
        return path[:-1], f"the field {path[-1]} is missing"
    if kind in ("model_type", "dict_type", "model_attributes_type"):
        return path, "this must be a mapping (NAME: VALUE)"
    if kind == "list_type":
        return path, "this must be a list ([A, B])"
    if kind == "too_short":
        return path, "at least one is needed"
    if kind == "too_long":
        return path, f"{context.get('actual_length')} are more than the {context.get('max_length')} that are allowed"
    return path, found["msg"][:1].lower() + found["msg"][1:]
