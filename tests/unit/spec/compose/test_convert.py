"""Whole Compose files: the exact service, and the exact list of what is different."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from copy import deepcopy
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from appliance.errors import SpecInvalid
from appliance.spec.compose.convert import convert, project_name
from appliance.spec.converted import Converted
from appliance.spec.reader import read_service
from tests.unit.spec.odd_values import ODD, changed

DATA = Path(__file__).parent / "data"
SETS = sorted(path.name for path in DATA.iterdir())
ENVIRONMENT = {"TAG": "1.4", "MODE": "fast"}


def read(path: str) -> str:
    """The files beside the example lie in /srv/app."""
    return Path(path).read_text("utf-8")


def converted(name: str) -> Converted:
    folder = DATA / name

    def beside(path: str) -> str:
        return (folder / Path(path).relative_to("/srv/app")).read_text("utf-8")

    text = (folder / "compose.yaml").read_text()
    return convert(text, "compose.yaml", name, ENVIRONMENT, folder="/srv/app", read=beside)


def said(found: Converted) -> str:
    lines = [f"changed: {problem}" for problem in found.notes] + [f"left out: {each}" for each in found.unsupported]
    return "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize("name", SETS)
def test_a_whole_file_becomes_exactly_this_service(name: str) -> None:
    assert converted(name).text == (DATA / name / "service.yaml").read_text()


@pytest.mark.parametrize("name", SETS)
def test_a_whole_file_is_told_exactly_what_is_different(name: str) -> None:
    assert said(converted(name)) == (DATA / name / "said.txt").read_text()


@pytest.mark.parametrize("name", SETS)
def test_the_service_of_a_whole_file_can_be_read(name: str) -> None:
    assert read_service(converted(name).text, name, {}).name == name


ONE = "services:\n  web:\n    image: shop/web:1\n    restart: always\n"


def one(more: str, *, top: str = "", environment: Mapping[str, str] | None = None) -> Converted:
    lines = "".join(f"    {line}\n" for line in more.splitlines())
    return convert(ONE + lines + top, "c.yaml", "shop", environment or {}, folder="/srv/app", read=read)


def test_the_smallest_file_needs_no_word() -> None:
    found = one("")
    assert found.text == "service: shop\n\ndeploys:\n  web:\n    containers: {main: {image: shop/web:1}}\n"
    assert (found.notes, found.unsupported) == ((), ())


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ("ports: ['127.0.0.1:80:80']", "cannot be published on 127.0.0.1 alone"),
        ("ports: ['8000-8001:80']", "not as many ports"),
        ("ports: [web]", "is not a port"),
        ("ports: [{target: 80, protocol: sctp}]", "tcp or udp"),
        ("volumes: ['data:/data']", "no volume data at the top"),
        ("volumes: ['~/x:/data']", "home folder"),
        ("volumes: ['/a:/data:rshared']", "the option rshared"),
        ("volumes: ['/a:/data', '/b:/data']", "mounted at /data already"),
        ("volumes: [{type: npipe, source: a, target: /b}]", "type npipe"),
        (
            "volumes: [{type: bind, source: /a, target: /b, bind: {propagation: shared}}]",
            "propagation is not supported",
        ),
        ("tmpfs: '/run:uid=5'", "the option uid=5"),
        ("depends_on: [cache]", "cache is no service of this file"),
        ("depends_on: [web]", "in a circle: web → web"),
        ("depends_on: {web: {condition: soon}}", "soon is no condition"),
        ("extends: {file: other.yaml, service: web}", "of the same file"),
        ("extends: web", "not in a circle"),
        ("env_file: missing.env", "missing.env cannot be used"),
        ("configs: [app]", "no config app at the top"),
        ("secrets: [key]", "no secret key at the top"),
        ("network_mode: none", "network: host"),
        ("cap_drop: [ALL]", "cap_drop is not supported: an instance has the engine's usual capabilities"),
        ("ulimits: {nofile: 10}", "ulimits is not supported"),
        ("sysctls: [net.core.somaxconn=1]", "set them on the nodes"),
        ("pid: host", "pid is not supported"),
        ("networks: {default: {aliases: [www]}}", "DEPLOY.SERVICE only"),
        ("networks: {default: {ipv4_address: 10.0.0.2}}", "ipv4_address is not supported"),
        ("healthcheck: {test: [RUN, x]}", "[CMD, PROGRAM, ...]"),
        ("healthcheck: {test: x, interval: soon}", "not a duration"),
        ("gpus: all", "say how many GPUs"),
        ("deploy: {resources: {reservations: {devices: [{capabilities: [gpu]}]}}}", "say how many GPUs"),
        ("deploy: {mode: replicated-job}", "a job is a service that another waits for"),
        ("deploy: {placement: {constraints: ['node.role == manager']}}", "label the nodes"),
        ("deploy: {update_config: {failure_action: continue}}", "does not go on"),
        ("deploy: {update_config: {max_failure_ratio: 0.5}}", "max_failure_ratio is not supported"),
        ("deploy: {rollback_config: {parallelism: 1}}", "rollback_config is not supported"),
        ("build: .\nimage: null", "name it as image"),
        ("devices: ['/dev/a:/dev/b']", "a device keeps its path"),
        ("shm_size: much", "not a size"),
        ("command: []", "name the program"),
        ('command: "it\'s"', "cannot be split into words"),
        ("privileged: maybe", "neither true nor false"),
        ("scale: many", "not a whole number"),
        ("deploy: 3", "this must be a mapping"),
        ("image: ${TAG:?say which}", "the variable TAG is not set: say which"),
        ("user: ${", "a brace is not closed"),
    ],
)
def test_what_cannot_be_brought_over_is_named_with_its_line(more: str, told: str) -> None:
    more = more.replace("image: null", "")
    if "build" in more:
        found = convert("services:\n  web:\n    build: .\n", "c.yaml", "shop", {})
    elif more.startswith("image"):
        found = convert(f"services:\n  web:\n    {more}\n", "c.yaml", "shop", {})
    else:
        found = one(more)
    problems = [problem for problem in found.unsupported if told in problem.message]
    assert problems, said(found)
    assert problems[0].file == "c.yaml"
    assert problems[0].line >= 1


def test_a_volume_of_two_services_is_refused_and_so_is_one_of_several_replicas() -> None:
    top = "  php:\n    image: php\n    volumes: ['data:/data']\nvolumes: {data: {}}\n"
    assert "the volume data is web's as well" in said(one("volumes: ['data:/www']", top=top))
    assert "each replica has a volume of its own" in said(
        one("volumes: ['data:/www']\nscale: 2", top="volumes: {data: }\n")
    )


def test_a_services_dollars_reach_its_container_as_the_author_wrote_them() -> None:
    assert "command: [echo, $HOME, '$${A}', $$$$]" in one("command: [echo, $$HOME, '$${A}', '$$$$']").text


def test_profiles_are_those_of_the_environment() -> None:
    more = "profiles: [debug]"
    assert "deploys" not in one(more).text
    assert "web:" in one(more, environment={"COMPOSE_PROFILES": "test,debug"}).text


def test_the_same_config_at_two_paths_is_two_configs() -> None:
    top = (
        "  b:\n    image: b\n    configs: [{source: c, target: /b}]\n"
        "  d:\n    image: d\n    configs: [c]\nconfigs: {c: {content: text}}\n"
    )
    found = one("configs: [c]", top=top)
    assert "c: {path: /c, text: text, to: [web, d]}" in found.text
    assert "c-2: {path: /b, text: text, to: [b]}" in found.text


def test_extends_merges_lists_and_mappings_whichever_way_they_are_written() -> None:
    top = "  child:\n    extends: web\n    environment: [B=2]\n    command: run\n"
    found = one("environment: {A: '1', B: '1'}\ncommand: stop", top=top)
    child = found.text.split("  child:")[1]
    assert "command: [run]" in child
    assert "env: {A: '1', B: '2'}" in child


def test_the_names_of_services_are_replaced_only_where_they_are_hosts() -> None:
    top = "  db:\n    image: db\n    restart: always\n"
    env = "environment: {DB_HOST: db, DB_NAME: db, DSN: 'host=db user=db', URL: 'pg://db:pw@db/db', LIST: 'a:1,db:2'}"
    found = one(env, top=top)
    assert "DB_HOST: db.shop" in found.text
    assert "DB_NAME: db\n" in found.text
    assert "DSN: host=db.shop user=db" in found.text
    assert "URL: pg://db:pw@db.shop/db" in found.text
    assert "LIST: a:1,db.shop:2" in found.text


@pytest.mark.parametrize("text", ["services: 3", "services: {a: {image: x}}\n---\na: 1", "- 1", "[", ""])
def test_what_is_no_compose_file_is_refused(text: str) -> None:
    with pytest.raises(SpecInvalid):
        convert(text, "c.yaml", "shop", {})


def test_a_file_may_say_its_own_name() -> None:
    assert project_name("name: My_Shop\nservices: {}\n", "") == "my-shop"
    assert project_name("services: {}\n", "") == ""


def mappings(value: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, dict):
        yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in parts:
        yield from mappings(item, (*path, key))


EXAMPLES = {name: YAML(typ="safe").load(DATA / name / "compose.yaml") for name in SETS}
PLACES = [(name, path) for name in SETS for path in mappings(EXAMPLES[name]) if not str(path[:1]).startswith("('x-")]


@settings(deadline=None, max_examples=50)
@given(place=st.sampled_from(PLACES), key=st.from_regex(r"q[a-z]{3,8}_[a-z]{2,8}", fullmatch=True))
def test_no_unknown_key_is_dropped_silently(place: tuple[str, tuple[str | int, ...]], key: str) -> None:
    name, path = place
    example = deepcopy(EXAMPLES[name])
    part = example
    for step in path:
        part = part[step]
    part[key] = "nothing known"
    found = convert(json.dumps(example), "c.yaml", "shop", ENVIRONMENT)
    named = any(key in problem.path or key in problem.message for problem in (*found.notes, *found.unsupported))
    # The whole of these is noted as left out.
    noted = not {"debugger", "labels", "logging"}.isdisjoint(path)
    assert named or key in found.text or noted


@settings(deadline=None, max_examples=50)
@given(place=st.sampled_from([place for place in PLACES if place[1]]), value=st.sampled_from(ODD))
def test_nothing_in_a_file_ends_in_a_traceback(place: tuple[str, tuple[str | int, ...]], value: object) -> None:
    name, path = place
    text = json.dumps(changed(deepcopy(EXAMPLES[name]), path, value))
    with suppress(SpecInvalid):
        convert(text, "c.yaml", "shop", ENVIRONMENT)


def test_a_check_that_is_disabled_is_no_check() -> None:
    found = one("healthcheck: {disable: true, test: x, interval: 1s}")
    assert (found.unsupported, "health" in found.text) == ((), False)
