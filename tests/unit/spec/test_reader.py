"""What the reader accepts, and how it names what it refuses."""

import re
from pathlib import Path

import pytest

import appliance.spec
from appliance.errors import SpecInvalid
from appliance.model.template import fill
from appliance.spec.json_schema import json_schema
from appliance.spec.reader import read_service, read_services

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
    fields = {name for part in (json_schema(), *json_schema()["$defs"].values()) for name in part["properties"]}
    assert [name for name in sorted(fields) if not re.search(rf"\b{name}:", text)] == []


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


JOB = ONE + "jobs: {tidy: {type: normal, schedule: '0 3 * * *', container: {image: x}}}\n"
SECRETS = ONE + "secrets: [key]\nconfigs: {c: {path: /etc/c, text: a}}\n"


def in_container(text: str, lines: str) -> str:
    return text.replace("shop/web:1\n", "shop/web:1\n" + "".join(f"        {line}\n" for line in lines.split("\n")))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (JOB.replace("tidy", "web"), "jobs.web: there is a deploy web already"),
        (JOB.replace("0 3 * * *", "0 3 * *"), "is not a cron line"),
        (JOB.replace("0 3 * * *", "0 25 * * *"), "is not a cron line: bad hour"),
        (JOB.replace("0 3 * * *", "0 0 31 2 *"), "jobs.tidy.schedule"),
        (JOB.replace("normal,", "normal, zone: Asia/Shanghia,"), "did you mean Asia/Shanghai?"),
        (JOB.replace("schedule: '0 3 * * *'", "zone: UTC"), "zone has a meaning only with a schedule"),
        (JOB.replace("normal,", "once, retries: 2,"), "never tried again by itself"),
        (JOB.replace("image: x", "image: x, volumes: {a: /a}"), "a job has no volumes"),
        (JOB.replace("image: x", "image: x, restart: never"), "jobs.tidy.container.restart: a job runs to completion"),
        (ONE + "depends_on: [shop]\n", "a service cannot wait for itself"),
        (ONE + "depends_on: [dbs, dbs]\n", "'dbs' is listed twice"),
        (
            SECRETS.replace("text: a", "text: a, to: [wbe]"),
            "configs.c.to.0: there is no deploy, container or job wbe; did",
        ),
        (SECRETS.replace("text: a", "text: a, mode: 440"), 'write it in quotes, like "0440"'),
        (SECRETS.replace("text: a", "text: '${secret.kye}'"), "the service has no secret 'kye'; did you mean key?"),
        (SECRETS.replace("text: a", "text: '${instance.nme}'"), "did you mean instance.name?"),
        (ONE.replace("shop/web:1", "'x:${node.name}'"), "can be used only in env and configs"),
        (
            in_container(SECRETS, "secrets: [kye]"),
            "containers.main.secrets.kye: the service has no secret kye; did you",
        ),
        (
            in_container(SECRETS, "env: {A: {secret: kye}}"),
            "containers.main.env.A.secret: the service has no secret kye",
        ),
        (in_container(SECRETS, "tmpfs: [/etc/c]"), "/etc/c in container web/main is taken already by"),
        (in_container(SECRETS, "tmpfs: [/etc/c/d]"), "/etc/c is a file, so /etc/c/d in container web/main cannot be"),
        (in_container(SECRETS, "tmpfs: [/etc/hosts]"), "is taken already by the appliance's own file"),
        (in_container(ONE, "devices: [/etc/passwd]"), "is not a device"),
        (in_container(ONE, "capabilities: [NET_ADMN]"), "did you mean NET_ADMIN?"),
        (in_container(ONE, "stop_signal: SIGTREM"), "did you mean SIGTERM?"),
        (in_container(ONE, "restart: sometimes"), "is none of: always, on-failure, never"),
        (in_container(ONE, "ports: {a: {port: 1, publish: 2}}") + "    network: host\n", "leave out publish"),
        (ONE + "    volumes: {a: {path: /srv, keep: true}}\n", "it has no size, medium or keep"),
        (ONE + "    volumes: {a: {medium: memory, keep: true}}\n", "it cannot be kept"),
        (ONE + "    volumes: {a: {medium: nvem}}\n", "did you mean nvme?"),
        (ONE + "    scale: every-node\n    replicas: 2\n", "leave out replicas and autoscale"),
        (ONE + "    autoscale: {min: 3, max: 2, cpu: 70%}\n", "min (3) is above max (2)"),
        (ONE + "    autoscale: {min: 1, max: 2}\n", "at least one of cpu, memory and metric"),
        (ONE + "    autoscale: {min: 1, max: 2, cpu: 70%}\n", "container main is promised no cpu"),
        (ONE + "    replicas: 9\n    autoscale: {min: 1, max: 2, cpu: 70%}\n", "is not between autoscale's 1 and 2"),
        (ONE + "    placement: {near: [wbe]}\n", "placement.near.0: the service has no deploy wbe; did you mean web?"),
        (ONE + "    placement: {architecture: x86}\n", "is none of: x86_64, amd64, aarch64, arm64"),
        (
            ONE + "    pre: [{run: a, container: mian}]\n",
            "pre.0.container: the deploy has no container mian; did you mean",
        ),
        (ONE + "    pre: [{run: a, container: main, image: b}]\n", "not in both"),
        (ONE + "    max_unavailable: 0\n", "0 is out of range: 1 to 10000"),
        (ONE + "entry: [{to: web}]\n", "entry.0.to: write it as DEPLOY/PORT"),
        (ONE + "entry: [{to: wbe/80}]\n", "the service has no deploy wbe; did you mean web?"),
        (ONE + "entry: [{to: web/htpt}]\n", "there is no port htpt"),
        (ONE + "entry: [{to: web/80}, {to: web/81}]\n", "rule 0 (counted from 0) is for the same host and path"),
        ("service: shop\n", "at least one deploy or job"),
    ],
)
def test_refuses_what_makes_no_sense(text: str, told: str) -> None:
    assert told in "\n".join(problems(text))


def test_a_text_that_names_facts_is_a_template_in_which_dollars_of_variables_are_doubled() -> None:
    text = in_container(ONE, "env: {A: '${v} ${instance.name} $$x', B: '${v} $$x'}") + "variables: {v: 'a$b'}\n"
    main = read_service(text, "", {}).deploys["web"].containers["main"]
    assert main.templates == ("A",)
    assert main.env == {"A": "a$$b ${instance.name} $$x", "B": "a$b $x"}
    assert fill(main.env["A"], {"instance.name": "shop/web-0"}) == "a$b shop/web-0 $x"


def test_a_config_goes_to_all_containers_unless_it_says_to_whom() -> None:
    text = JOB + "configs: {all: {path: /a, text: a}, one: {path: /b, text: b, to: [web/main]}}\n"
    service = read_service(text, "", {})
    assert service.deploys["web"].containers["main"].configs == ("all", "one")
    assert service.jobs["tidy"].container.configs == ("all",)


def test_an_entry_names_a_port_of_any_container() -> None:
    text = in_container(ONE, "ports: {http: 8080}") + "entry: [{to: web/http}, {to: web/99, path: /x}]\n"
    assert [entry.port for entry in read_service(text, "", {}).entry] == [8080, 99]


@pytest.mark.parametrize(
    ("declared", "given", "told"),
    [
        ("{type: int}", None, "it has no value; give it: --set v=VALUE"),
        ("{type: int, default: x}", None, "'x' is not a whole number"),
        ("{type: int, default: 3, max: 2}", None, "'3' is above the largest value, 2"),
        ("{type: int, default: 3, min: 1}", "0", "the value that was given: '0' is below the least value, 1"),
        ("{type: bool, default: true}", "NO", "'NO' is neither true nor false"),
        ("{type: size, default: 1Gi, min: 512Mi}", "1Mi", "below the least value, 512Mi"),
        ("{type: duration, default: 5s}", "soon", "'soon' is not an amount"),
        ("{type: choice, values: [info, debug]}", "debgu", "did you mean debug?"),
        ("{type: choice}", None, "a choice needs values"),
        ("{type: text, default: a, min: 1}", None, "a variable of type text has no min and max"),
        ("{type: int, default: 1, min: 5, max: 2}", None, "min (5) is above max (2)"),
    ],
)
def test_a_variable_holds_only_what_its_type_allows(declared: str, given: str | None, told: str) -> None:
    found = problems(ONE + f"variables: {{v: {declared}}}\n", None if given is None else {"v": given})
    assert len(found) == 1
    assert found[0].startswith("f.yaml:7: variables.v")
    assert told in found[0]


def test_the_values_of_variables_are_what_was_given_or_else_their_defaults() -> None:
    text = ONE + "    replicas: '${n}'\nvariables: {n: {type: int, default: 2}, wait: {type: duration, default: 5s}}\n"
    service = read_service(text, "", {"n": "4"})
    assert (service.variables, service.deploys["web"].replicas) == ({"n": "4", "wait": "5s"}, 4)
