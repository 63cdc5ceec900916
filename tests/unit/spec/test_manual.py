"""The manual of the service file."""

from pathlib import Path

from appliance.spec.reader import read_service
from appliance.spec.schema import ServiceText

PAGE = (Path(__file__).parents[3] / "docs/spec.md").read_text()


def test_every_field_is_in_the_manual() -> None:
    schema = ServiceText.model_json_schema()
    fields = {name for part in (schema, *schema["$defs"].values()) for name in part["properties"]}
    assert not [name for name in sorted(fields) if name not in PAGE]


def test_the_first_example_of_the_manual_is_accepted() -> None:
    text = PAGE.split("```yaml\n")[1].split("```")[0]
    assert read_service(text, "docs/spec.md", {}).name == "hello"
