"""The manual of the service file, and every example of one on any page."""

import re
from pathlib import Path

import pytest

from appliance.spec.json_schema import json_schema
from appliance.spec.reader import read_services
from appliance.spec.yaml_text import read_yaml

DOCS = Path(__file__).parents[3] / "docs"
PAGE = (DOCS / "spec.md").read_text()


def examples(text: str) -> list[str]:
    """The YAML blocks of a page."""
    return re.findall(r"^```yaml\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)


SERVICES = {
    f"{page.relative_to(DOCS)}-{number}": example
    for page in sorted(DOCS.rglob("*.md"))
    for number, example in enumerate(examples(page.read_text()), 1)
    if re.search(r"^service:", example, flags=re.MULTILINE)
}


def test_every_field_is_in_the_manual() -> None:
    schema = json_schema()
    fields = {name for part in (schema, *schema["$defs"].values()) for name in part["properties"]}
    assert [name for name in sorted(fields) if not re.search(rf"\b{name}\b", PAGE)] == []


@pytest.mark.parametrize("text", SERVICES.values(), ids=SERVICES.keys())
def test_an_example_of_a_service_is_accepted(text: str) -> None:
    assert read_services(text, "", {})


@pytest.mark.parametrize("text", examples(PAGE))
def test_an_example_of_a_part_is_accepted_as_well(text: str) -> None:
    """In the manual of the service file, an example without a name is a part of a service or of a deploy."""
    (document,) = read_yaml(text, "")
    assert isinstance(document.value, dict)
    if "service" in document.value:
        return
    fields = json_schema()["properties"].keys()
    whole = "service: shop\n" + text
    if not set(document.value) <= set(fields):
        indented = "".join(f"    {line}" for line in text.splitlines(keepends=True))
        whole = "service: shop\ndeploys:\n  web:\n" + indented
        if "containers" not in document.value:
            whole += "    containers: {main: {image: x, ports: {http: 80}}}\n"
    assert read_services(whole, "", {})


def test_the_first_example_of_the_manual_is_the_smallest() -> None:
    (service,) = read_services(examples(PAGE)[0], "docs/spec.md", {})
    assert service.name == "hello"
