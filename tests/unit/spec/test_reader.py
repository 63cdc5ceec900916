import time

import pytest

from appliance.errors import Problem, SpecInvalid
from appliance.model.service import Port, Probe, Resources, Service, Volume
from appliance.spec import reader
from appliance.spec.diff import diff

SHOP = """\
service: shop
variables: {tag: "1.4"}
deploys:
  db:
    containers:
      main:
        image: appliance/etcd
        volumes: {data: /data}
        resources: {cpu: 500m, memory: 512Mi}
        health: {ready: {tcp: sql}}
        ports: {sql: 5432}
    volumes: {data: {size: 20Gi, medium: nvme, keep: true}}
  web:
    rank: 2
    replicas: 3
    placement: {require: {zone: a}}
    containers:
      main:
        image: shop/web:${tag}
        command: sh -c 'echo $${HOME} ${tag}'
        env: {PORT: 8080, DEBUG: no, ON: true}
        ports: {http: {port: 8080, publish: 18080}}
        health: {live: {http: /live, port: http, every: 500ms}}
"""


def read_service(text: str, file: str = "", variables: dict[str, str] | None = None) -> Service:
    return reader.read_service(text, file, variables or {})


def _problems(text: str, **variables: str) -> list[Problem]:
    with pytest.raises(SpecInvalid) as caught:
        read_service(text, "shop.yaml", variables)
    return caught.value.problems


def test_a_service_is_read_whole() -> None:
    service = read_service(SHOP)
    db, web = service.deploys["db"].containers["main"], service.deploys["web"].containers["main"]
    assert db.resources == Resources(cpu=500, memory=512 * 2**20)
    assert db.health.ready == Probe(tcp=5432, port=5432)
    assert service.deploys["db"].volumes["data"] == Volume(size=20 * 2**30, medium="nvme", keep=True)
    assert web.image == "shop/web:1.4"
    assert web.command == ("sh", "-c", "echo ${HOME} 1.4")
    assert web.env == {"PORT": "8080", "DEBUG": "no", "ON": "true"}
    assert web.ports == {"http": Port(port=8080, publish=18080)}
    assert web.health.live == Probe(http="/live", port=8080, every=0.5)
    assert (service.deploys["web"].rank, service.deploys["web"].replicas) == (2, 3)


def test_a_variable_given_at_apply_wins_and_one_the_service_lacks_is_refused() -> None:
    assert read_service(SHOP, "", {"tag": "2"}).deploys["web"].containers["main"].image == "shop/web:2"
    said = [str(p) for p in _problems(SHOP, tga="2")]
    assert said == ["shop.yaml:2: variables: there is no variable tga to override; did you mean tag?"]


def test_every_problem_is_named_at_once_with_its_line_and_path() -> None:
    text = SHOP.replace("replicas: 3", "replicas: -1").replace("image: appliance/etcd", "imagee: appliance/etcd")
    text = text.replace("every: 500ms", "every: soon").replace("${tag}'", "${tga}'")
    found = {(p.line, p.path): p.message for p in _problems(text)}
    assert "did you mean image?" in found[7, "deploys.db.containers.main.imagee"]
    assert any(message == "the field image is missing" for message in found.values())
    assert "greater than or equal to 0" in found[15, "deploys.web.replicas"]
    assert "no variable tga" in found[20, "deploys.web.containers.main.command"]
    assert "duration" in found[23, "deploys.web.containers.main.health.live.every"]


def test_references_inside_a_deploy_must_exist() -> None:
    assert "has no volume dat" in _problems(SHOP.replace("{data: /data}", "{dat: /data}"))[0].message
    assert "no port sq" in _problems(SHOP.replace("tcp: sql", "tcp: sq"))[0].message


def test_a_field_of_a_later_release_is_refused_and_not_dropped() -> None:
    (problem,) = _problems(SHOP + "jobs: {}\n")
    assert (problem.path, problem.line) == ("jobs", 24)
    assert "not supported by this release" in problem.message


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join('*' + old for _ in range(9))}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        ("- a", "a service file is a mapping"),
        ("service: [", "not YAML"),
        ("service: a\nservice: b\ndeploys: {}", "duplicate key"),
        ("service: system\ndeploys: {a: {containers: {m: {image: x}}}}", "choose another"),
        ("service: Shop\ndeploys: {a: {containers: {m: {image: x}}}}", "is not a name"),
        ("service: shop", "the field deploys is missing"),
        ("service: shop\ndeploys: {}", "at least one is needed"),
        ("service: !!python/object:os.system x", "missing"),
        ("service: !x y", "missing"),
        (BOMB, "aliases"),
        ("a: " + "[" * 40 + "]" * 40, "nested deeper"),
        ("a: " + "[" * 90_000, "nested deeper"),
        ("service: a\0b", "not YAML"),
        ("x" * 1_100_000, ""),
        (SHOP.replace("5432", "99999"), "65535"),
        (SHOP.replace("replicas: 3", "replicas: " + "9" * 5000), ""),
        (SHOP.replace("512Mi", "a lot"), "not an amount"),
    ],
)
def test_bad_input_gets_a_named_problem_soon(text: str, said: str) -> None:
    begun = time.monotonic()
    assert any(said in str(problem) for problem in _problems(text))
    assert time.monotonic() - begun < 20, "bounded, whatever the machine does besides"


def test_a_byte_order_mark_is_no_part_of_the_name() -> None:
    assert read_service("\ufeff" + SHOP).name == "shop"


def test_the_difference_of_two_services_names_the_fields() -> None:
    old = read_service(SHOP)
    new = read_service(SHOP.replace("replicas: 3", "replicas: 4").replace("DEBUG: no, ", ""))
    assert diff(old, old) == []
    assert diff(old, new) == [
        ("deploys.web.replicas", 3, 4),
        ("deploys.web.containers.main.env.DEBUG", "no", None),
    ]
