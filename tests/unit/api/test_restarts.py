"""Which instances a new revision restarts, and for what reason."""

from typing import Any

import msgspec
import pytest

from appliance.api.restarts import Effect, effects, ranges, restart_reasons, runs_anew
from appliance.model.cluster import Image
from appliance.model.container import Container, Health, Port, Probe, Resources
from appliance.model.definition import definition
from appliance.model.job import Job
from appliance.model.service import Config, Deploy, Placement, Revision, Service, Volume
from tests.unit.api.cluster_in_memory import NOW, InMemory

MAIN = Container(image="shop/web:1", env={"COLOUR": "blue"}, ports={"http": Port(port=80)})


def revision(container: Container = MAIN, *, more: Container | None = None, **fields: Any) -> Revision:
    containers = {"main": container} | ({"side": more} if more else {})
    deploy = Deploy(name="web", containers=containers, **fields)
    spec = Service(name="shop", deploys={"web": deploy})
    return Revision(service="shop", number=1, spec=spec, author="root", created_at=NOW)


def image(id_: str) -> dict[str, Image]:
    made = Image(reference="shop/web:1", id=id_, pull=f"p@{id_}", architecture="amd64", size=1, loaded_at=NOW)
    return {"shop/web:1": made}


def changed(**fields: object) -> Revision:
    return revision(msgspec.structs.replace(MAIN, **fields))


@pytest.mark.parametrize(
    ("new", "reasons"),
    [
        (changed(image="shop/web:2"), ("containers.main.image",)),
        (changed(env={"COLOUR": "red", "SIZE": "1"}), ("containers.main.env.COLOUR", "containers.main.env.SIZE")),
        (changed(command=("a",), user="www"), ("containers.main.command", "containers.main.user")),
        (changed(resources=Resources(cpu=100)), ("containers.main.resources.cpu",)),
        (changed(ports={"http": Port(port=80, publish=8080)}), ("containers.main.ports.http.publish",)),
        (revision(more=Container(image="a")), ("containers", "containers.main", "containers.side")),
        (revision(host_network=True), ("network", "containers.main")),
    ],
)
def test_each_reason_is_named(new: Revision, reasons: tuple[str, ...]) -> None:
    assert restart_reasons(revision(), new, "web") == reasons


@pytest.mark.parametrize(
    "new",
    [
        revision(replicas=5, max_unavailable="3", min_ready=9.0),
        revision(placement=Placement(node="n2")),
        revision(stop_grace=1.0, rank=7),
        changed(ports={"web": Port(port=80)}),
        changed(health=Health(ready=Probe(tcp=80, port=80))),
    ],
)
def test_what_makes_no_container_anew_restarts_nothing(new: Revision) -> None:
    assert restart_reasons(revision(), new, "web") == ()


def test_another_image_under_the_same_name_is_a_reason() -> None:
    old, new = (msgspec.structs.replace(revision(), images=image(each)) for each in ("sha256:1", "sha256:2"))
    assert restart_reasons(old, new, "web") == ("containers.main.image",)


def test_configs_and_versions_of_secrets_are_reasons_by_their_names() -> None:
    container = msgspec.structs.replace(MAIN, configs=("app.conf", "other"), secret_env={"PASSWORD": "key"})

    def version(text: str, number: int) -> Revision:
        configs = {"app.conf": Config(path="/a", text=text), "other": Config(path="/b", text="same")}
        made = revision(container)
        spec = msgspec.structs.replace(made.spec, configs=configs)
        return msgspec.structs.replace(made, spec=spec, secrets={"key": number})

    assert restart_reasons(version("one", 2), version("two", 2), "web") == ("configs app.conf",)
    assert restart_reasons(version("one", 2), version("one", 3), "web") == ("secrets key 2 -> 3",)


def test_a_volume_that_is_another_folder_is_a_reason() -> None:
    container = msgspec.structs.replace(MAIN, volumes={"logs": "/logs"})
    old, new = (revision(container, volumes={"logs": Volume(path=path)}) for path in ("/srv/a", "/srv/b"))
    assert restart_reasons(old, new, "web") == ("volumes.logs.path",)


def test_instances_are_created_removed_restarted_and_left_alone() -> None:
    old, new = revision(), changed(image="shop/web:2")
    assert effects(old, new, {"web": (0, 1, 2)}, {"web": (0, 1)}) == [
        Effect("web", "remove", ("shop/web-2",)),
        Effect("web", "restart", ("shop/web-0", "shop/web-1"), ("containers.main.image",)),
    ]
    assert effects(None, new, {}, {"web": (0,)}) == [Effect("web", "create", ("shop/web-0",))]
    assert effects(old, old, {"web": (0,)}, {"web": (0,)}) == []


def test_instances_that_go_on_running_are_told_apart_from_restarts() -> None:
    [effect] = effects(revision(), revision(stop_grace=1.0), {"web": (0,)}, {"web": (0,)})
    assert (effect.action, effect.reasons) == ("update", ("stop_grace",))


def test_names_in_short() -> None:
    assert ranges(("shop/web-5", "shop/web-0", "shop/web-1", "shop/web-2")) == "shop/web-0..2, shop/web-5"


def test_a_job_runs_once_for_each_definition() -> None:
    def with_job(command: str, schedule: str = "") -> Revision:
        container = Container(image="a", command=(command,))
        job = Job(name="migrate", type="once", container=container, schedule=schedule)
        return Revision(
            service="shop", number=1, spec=Service(name="shop", jobs={"migrate": job}), author="", created_at=NOW
        )

    one, two = with_job("1"), with_job("2")
    assert runs_anew(one, two, {}) == ["shop/migrate"]
    assert runs_anew(one, one, {}) == []
    known = definition(two, "migrate")
    assert known is not None and runs_anew(one, two, {"migrate": {known.digest}}) == []
    assert runs_anew(one, with_job("2", "0 3 * * *"), {}) == []


def test_the_answer_has_the_index_that_an_apply_insists_on(cluster: InMemory) -> None:
    cluster.apply("shop web 1 appliance/busybox")
    found = cluster.ask("POST", "/api/diff", {"text": "shop web 3 appliance/busybox"})
    assert found["index"] == 1
    assert [change["path"] for change in found["changes"]] == ["deploys.web.replicas"]
    assert [(each["action"], each["shown"]) for each in found["instances"]] == [("create", "shop/web-1..2")]


def test_after_a_failed_rollout_the_comparison_is_with_what_is_in_effect(cluster: InMemory) -> None:
    cluster.apply("shop web 1 appliance/busybox")
    cluster.apply("shop web 2 appliance/busybox")
    cluster.roll_out("shop", "failed", previous=1)
    found = cluster.ask("POST", "/api/diff", {"text": "shop web 1 appliance/busybox"})
    assert (found["index"], found["against"], found["changes"]) == (2, 1, [])


def test_secrets_are_compared_by_version_only(cluster: InMemory) -> None:
    container = Container(image="appliance/busybox", secret_env={"PASSWORD": "key"})
    spec = Service(name="shop", deploys={"web": Deploy(name="web", containers={"main": container})}, secrets=("key",))
    text = msgspec.json.encode(spec).decode()
    cluster.set_secret("shop", "key", 2)
    cluster.apply(spec)
    cluster.set_secret("shop", "key", 3)
    [change] = cluster.ask("POST", "/api/diff", {"text": text})["changes"]
    assert (change["path"], change["old"], change["new"]) == ("secrets.key", "version 2", "version 3")


def test_a_config_is_compared_line_by_line(cluster: InMemory) -> None:
    def text(config: str) -> str:
        configs = {"app.conf": {"path": "/a", "text": config}}
        return msgspec.json.encode({"name": "shop", "configs": configs}).decode()

    cluster.apply(text("a\nb\n"))
    [change] = cluster.ask("POST", "/api/diff", {"text": text("a\nc\n")})["changes"]
    assert change["path"] == "configs.app.conf.text"
    assert change["lines"] == ["@@ -1,2 +1,2 @@", " a", "-b", "+c"]
