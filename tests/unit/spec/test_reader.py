"""What the reader accepts, and how it names what it refuses."""

from pathlib import Path

import pytest

import appliance.spec
from appliance.errors import SpecInvalid
from appliance.spec.reader import read_service, read_services
from appliance.spec.schema import ServiceText

EXAMPLES = sorted((Path(appliance.spec.__file__).parent / "examples").glob("*.yaml"))
ONE = "service: shop\ndeploys:\n  web:\n    containers:\n      main:\n        image: shop/web:1\n"


def problems(text: str, override: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SpecInvalid) as caught:
        read_service(text, "f.yaml", override or {})
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_accepted(file: Path) -> None:
    assert read_service(file.read_text(), file.name, {}).deploys


def test_the_full_example_shows_every_field() -> None:
    text = next(file for file in EXAMPLES if file.name == "full.yaml").read_text()
    fields: set[str] = set()
    definitions = [ServiceText.model_json_schema(), *ServiceText.model_json_schema()["$defs"].values()]
    for definition in definitions:
        fields |= definition["properties"].keys()
    assert not [field for field in fields if f"{field}:" not in text]


def test_the_full_example_means_what_it_says() -> None:
    text = next(file for file in EXAMPLES if file.name == "full.yaml").read_text()
    web = read_service(text, "", {"tag": "2.0"}).deploys["web"]
    main = web.containers["main"]
    assert (main.image, main.command, main.env["PROMPT"]) == ("shop/web:2.0", ("--listen", ":8080"), "${USER}")
    assert (main.resources.cpu, main.resources.memory, web.volumes["data"].size) == (500, 512 * 2**20, 2**30)
    assert main.health.live is not None and main.health.ready is not None
    assert (main.health.live.port, main.health.live.every, main.health.ready.tcp) == (8080, 5.0, 8080)
    assert (main.ports["http"].publish, main.ports["metrics"].port) == (18081, 9100)


def test_all_problems_come_at_once_each_with_its_line() -> None:
    text = "service: Shop\ndeploys:\n  web:\n    replicsa: 3\n    containers:\n      main: {}\n"
    assert problems(text) == [
        "f.yaml:1: service: 'Shop' is not a name: use up to 63 of a-z, 0-9 and -, not starting or ending with -",
        "f.yaml:4: deploys.web.replicsa: there is no field replicsa; did you mean replicas?",
        "f.yaml:6: deploys.web.containers.main: the field image is missing",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("service: a\nservice: b\n", "duplicate key"),
        ("a: &x 1\nb: *x\n", "aliases"),
        ("x: " + "[" * 40 + "]" * 40, "deeper than 32"),
        ("x: " + "y" * 2**20, "larger than 384 KiB"),
        ("", "empty"),
        ("- 1\n", "starts with: service"),
        ("[", "not YAML"),
        (ONE.replace("shop\n", "system\n", 1), "the appliance's own"),
        (ONE + "variables: {v: 1.10}\n", "in quotes"),
        (ONE.replace("shop/web:1", '"${tga}"') + "variables: {tag: x}\n", "did you mean tag?"),
        (ONE + "        volumes: {data: /data}\n", "no volume data"),
        (ONE + "        health: {live: {tcp: http}}\n", "no port http"),
        (ONE + "        health: {live: {}}\n", "exactly one of exec, http, tcp and grpc"),
        (ONE + "        resources: {memory: 5Xi}\n", "not a size"),
        (ONE + "        ports: {a: {port: 1, publish: 80}, b: {port: 2, publish: 80}}\n", "publishes port 80/tcp"),
        (ONE + "        ports: {a: 80, b: 80}\n", "share one address"),
    ],
)
def test_refuses(text: str, told: str) -> None:
    assert told in "\n".join(problems(text))


def test_an_override_of_no_variable_is_a_problem() -> None:
    assert "there is no variable 'tag' to override" in problems(ONE, {"tag": "2"})[0]


def test_one_file_may_hold_several_services() -> None:
    services = read_services(ONE + "---\n" + ONE.replace("shop\n", "other\n", 1), "f.yaml", {})
    assert [service.name for service in services] == ["shop", "other"]


def test_lines_of_a_later_document_count_from_the_top_of_the_file() -> None:
    (problem,) = problems(ONE + "---\n" + ONE + "    rnak: 1\n")
    assert problem.startswith("f.yaml:14: deploys.web.rnak")
