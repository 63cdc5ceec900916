"""The service file as a JSON Schema, so that editors complete its fields and say what they mean."""

from typing import Any

from appliance.spec.schema import ServiceText

ADDRESS = "https://appliance.invalid/service.json"
"""Only a name: nothing is fetched from there."""


def json_schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12, of one service. It knows the shapes; the reader judges names and amounts."""
    schema = ServiceText.model_json_schema()
    for part in (schema, *schema["$defs"].values()):
        _tidy(part)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ADDRESS,
        **schema,
        "title": "A service of the appliance",
        "description": "Its manual: appliance docs spec",
        "anyOf": [{"required": ["deploys"]}, {"required": ["jobs"]}],
    }


def _tidy(part: dict[str, Any]) -> None:
    """Leaves out the titles that pydantic makes of names, which editors show in place of the descriptions, and the
    defaults that only say that nothing is there."""
    part.pop("title", None)
    for field in part["properties"].values():
        field.pop("title", None)
        if field.get("default", "") in (None, "", [], {}):
            field.pop("default", None)
