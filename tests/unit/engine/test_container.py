"""What containers are made of, compared whole; and what makes one be made anew."""

from typing import Any

import msgspec
import pytest

from appliance.engine.container import (
    DIGEST_LABEL,
    PAUSE,
    NodePlaces,
    container_name,
    needs_pause,
    pause_settings,
    settings_for,
)
from appliance.engine.engine import BindMount, ContainerSettings, PublishedPort
from appliance.model.container import Container, Health, Port, Probe, Resources
from appliance.model.instance import Assignment, Mount, PlannedContainer, PlannedFile
from appliance.model.service import Volume

PLACES = NodePlaces("3f2a", "appliance", "/var/lib/appliance/volumes", "/run/appliance/memory/volumes")

MAIN = PlannedContainer(
    name="main",
    image_id="sha256:1",
    spec=Container(
        image="shop/web:1.4",
        entrypoint=("/bin/web",),
        command=("--port", "8080"),
        env={"PASSWORD": "x"},
        ports={"http": Port(port=8080, publish=80), "admin": Port(port=9000)},
        volumes={"data": "/data"},
        resources=Resources(cpu=500, memory=1 << 29),
        user="33",
    ),
)
LOG = PlannedContainer(
    name="log", spec=Container(image="shop/log:1", ports={"in": Port(port=514, publish=514, protocol="udp")})
)
ONE = Assignment(
    instance="shop/web-2",
    service="shop",
    deploy="web",
    index=2,
    revision=7,
    restart=1,
    ip="10.96.0.5",
    containers=(MAIN,),
    volumes={"data": Volume()},
)
GROUP = msgspec.structs.replace(ONE, containers=(MAIN, LOG))


def _settings(assignment: Assignment, index: int = 0) -> ContainerSettings:
    return settings_for(assignment, assignment.containers[index], "sha256:1", PLACES)


def _digest(settings: ContainerSettings) -> str:
    return settings.labels[DIGEST_LABEL]


def test_a_container_alone_has_the_address_the_name_and_the_ports_of_its_instance() -> None:
    settings = _settings(ONE)
    assert settings == ContainerSettings(
        name="appliance.3f2a.shop.web-2.main",
        image="sha256:1",
        labels={
            "appliance.root": "3f2a",
            "appliance.instance": "shop/web-2",
            "appliance.container": "main",
            "appliance.revision": "7",
            "appliance.restart": "1",
            "appliance.digest": _digest(settings),
        },
        entrypoint=("/bin/web",),
        command=("--port", "8080"),
        env={"PASSWORD": "x"},
        user="33",
        network="appliance",
        ip="10.96.0.5",
        hostname="web-2",
        mounts=(BindMount("/var/lib/appliance/volumes/shop/web-2/data", "/data"),),
        ports=(PublishedPort(8080, 80, "tcp"),),
        cpu=500,
        memory=1 << 29,
    )


def test_in_a_group_the_pause_container_has_them_all_and_the_others_share_its_network() -> None:
    pause = pause_settings(GROUP, "sha256:2", PLACES)
    assert pause == ContainerSettings(
        name="appliance.3f2a.shop.web-2.pause",
        image="sha256:2",
        labels={
            "appliance.root": "3f2a",
            "appliance.instance": "shop/web-2",
            "appliance.container": PAUSE,
            "appliance.revision": "7",
            "appliance.restart": "1",
            "appliance.digest": _digest(pause),
        },
        network="appliance",
        ip="10.96.0.5",
        hostname="web-2",
        ports=(PublishedPort(8080, 80, "tcp"), PublishedPort(514, 514, "udp")),
    )
    log = _settings(GROUP, 1)
    assert log == ContainerSettings(
        name="appliance.3f2a.shop.web-2.log",
        image="sha256:1",
        labels={**pause.labels, "appliance.container": "log", "appliance.digest": _digest(log)},
        network=f"container:{pause.name}",
        mounts=(),
    )
    assert _settings(GROUP).ports == () and _settings(GROUP).network == log.network


def test_on_the_host_network_nothing_is_addressed_published_or_named() -> None:
    spec = Container(image="appliance/etcd", ports={"client": Port(port=2379, publish=2379)})
    etcd = PlannedContainer(
        name="main",
        spec=spec,
        mounts=(Mount(source="/etc/appliance/etcd", target="/etc/etcd", read_only=True),),
        capabilities=("NET_ADMIN",),
        tmpfs=("/tmp",),
    )
    sidecar = Assignment(
        instance="system/etcd-1",
        service="system",
        deploy="etcd",
        index=1,
        revision=1,
        host_network=True,
        containers=(etcd, msgspec.structs.replace(etcd, name="second")),
    )
    settings = _settings(sidecar)
    assert settings == ContainerSettings(
        name="appliance.3f2a.system.etcd-1.main",
        image="sha256:1",
        labels=settings.labels,
        network="host",
        mounts=(BindMount("/etc/appliance/etcd", "/etc/etcd", read_only=True),),
        tmpfs={"/tmp": 0},
        capabilities=("NET_ADMIN",),
    )


def test_what_a_spec_asks_of_the_engine_arrives_in_the_settings() -> None:
    spec = msgspec.structs.replace(
        MAIN.spec,
        volumes={"data": "/data", "logs": "/logs", "fast": "/fast"},
        read_only_volumes=("logs",),
        tmpfs={"/scratch": 1 << 20},
        shm=1 << 21,
        devices=("/dev/kvm",),
        capabilities=("NET_ADMIN",),
        privileged=True,
        read_only=True,
        workdir="/srv",
        stop_signal="SIGINT",
    )
    plan = msgspec.structs.replace(MAIN, spec=spec, tmpfs=("/tmp",), capabilities=("SYS_TIME",))
    volumes = {"data": Volume(), "logs": Volume(path="/srv/logs"), "fast": Volume(medium="memory")}
    settings = _settings(msgspec.structs.replace(ONE, containers=(plan,), volumes=volumes))
    assert settings.mounts == (
        BindMount("/var/lib/appliance/volumes/shop/web-2/data", "/data"),
        BindMount("/srv/logs", "/logs", read_only=True),
        BindMount("/run/appliance/memory/volumes/shop/web-2/fast", "/fast"),
    )
    assert settings.tmpfs == {"/tmp": 0, "/scratch": 1 << 20}
    assert (settings.shm, settings.devices, settings.capabilities) == (
        1 << 21,
        ("/dev/kvm",),
        ("SYS_TIME", "NET_ADMIN"),
    )
    assert (settings.privileged, settings.read_only) == (True, True)
    assert (settings.workdir, settings.stop_signal) == ("/srv", "SIGINT")


def test_the_containers_of_an_instance_share_out_its_gpus_in_their_order() -> None:
    first = msgspec.structs.replace(MAIN, spec=msgspec.structs.replace(MAIN.spec, resources=Resources(gpus=2)))
    second = msgspec.structs.replace(LOG, spec=msgspec.structs.replace(LOG.spec, resources=Resources(gpus=1)))
    three = msgspec.structs.replace(GROUP, containers=(first, second), gpus=("GPU-1", "GPU-2", "GPU-3"))
    assert [_settings(three, index).gpus for index in (0, 1)] == [("GPU-1", "GPU-2"), ("GPU-3",)]


def test_only_several_containers_with_an_address_of_their_own_need_a_pause_container() -> None:
    assert needs_pause(GROUP)
    assert not needs_pause(ONE)
    assert not needs_pause(msgspec.structs.replace(GROUP, host_network=True))


def test_names_tell_roots_instances_and_containers_apart() -> None:
    names = {
        container_name(root, instance, container)
        for root in ("a", "b")
        for instance in ("shop/web-1", "shop/web-11", "web/shop-1")
        for container in ("main", "pause")
    }
    assert len(names) == 12
    assert all(set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-") for name in names)


def _with_spec(**changes: Any) -> Assignment:
    spec = msgspec.structs.replace(MAIN.spec, **changes)
    return msgspec.structs.replace(ONE, containers=(msgspec.structs.replace(MAIN, spec=spec),))


def _with_plan(**changes: Any) -> Assignment:
    return msgspec.structs.replace(ONE, containers=(msgspec.structs.replace(MAIN, **changes),))


def _port(**changes: Any) -> dict[str, Port]:
    return {"http": msgspec.structs.replace(MAIN.spec.ports["http"], **changes), "admin": Port(port=9000)}


ANEW = {
    "image": _with_plan(image_id="sha256:other"),
    "entrypoint": _with_spec(entrypoint=None),
    "command": _with_spec(command=("--port", "8081")),
    "command moved into the entrypoint": _with_spec(entrypoint=("/bin/web", "--port"), command=("8080",)),
    "env": _with_spec(env={"PASSWORD": "y"}),
    "user": _with_spec(user="34"),
    "volume": _with_spec(volumes={"data": "/elsewhere"}),
    "cpu": _with_spec(resources=Resources(cpu=501, memory=1 << 29)),
    "memory": _with_spec(resources=Resources(cpu=500, memory=1 << 30)),
    "published port": _with_spec(ports=_port(publish=81)),
    "no longer published": _with_spec(ports=_port(publish=None)),
    "protocol": _with_spec(ports=_port(protocol="udp")),
    "mount": _with_plan(mounts=(Mount(source="/a", target="/b"),)),
    "capability": _with_plan(capabilities=("NET_ADMIN",)),
    "tmpfs": _with_plan(tmpfs=("/tmp",)),
    "address": msgspec.structs.replace(ONE, ip="10.96.0.6"),
    "a second container": GROUP,
    "a text becomes a template": _with_spec(templates=("PASSWORD",)),
    "secret in the environment": _with_spec(secret_env={"KEY": "key"}),
    "path of a secret": _with_spec(secrets={"key": "/run/secrets/key"}),
    "version of a secret": _with_plan(secrets={"key": 2}),
    "config": _with_plan(files=(PlannedFile(path="/etc/web.conf", text="a"),)),
    "volume that may only be read": _with_spec(read_only_volumes=("data",)),
    "folder of the node as volume": msgspec.structs.replace(ONE, volumes={"data": Volume(path="/srv/data")}),
    "volume in memory": msgspec.structs.replace(ONE, volumes={"data": Volume(medium="memory", size=1 << 20)}),
    "tmpfs of a size": _with_spec(tmpfs={"/tmp": 1 << 20}),
    "shm": _with_spec(shm=1 << 20),
    "device": _with_spec(devices=("/dev/kvm",)),
    "capability of the spec": _with_spec(capabilities=("NET_ADMIN",)),
    "privileged": _with_spec(privileged=True),
    "read-only": _with_spec(read_only=True),
    "workdir": _with_spec(workdir="/srv"),
    "stop signal": _with_spec(stop_signal="SIGINT"),
    "gpu": msgspec.structs.replace(_with_spec(resources=Resources(cpu=500, memory=1 << 29, gpus=1)), gpus=("GPU-1",)),
}
"""Changes that a running container cannot take on."""

THE_SAME = {
    "revision": msgspec.structs.replace(ONE, revision=8),
    "restart": msgspec.structs.replace(ONE, restart=2),
    "rank": msgspec.structs.replace(ONE, rank=3),
    "desired": msgspec.structs.replace(ONE, desired="stopped"),
    "stop grace": msgspec.structs.replace(ONE, stop_grace=60.0),
    "medium of a volume": msgspec.structs.replace(ONE, volumes={"data": Volume(medium="nvme")}),
    "gpu of another container": msgspec.structs.replace(ONE, gpus=("GPU-1",)),
    "size of a volume": msgspec.structs.replace(ONE, volumes={"data": Volume(size=1, keep=True)}),
    "probes": _with_spec(health=Health(live=Probe(tcp=8080, port=8080))),
    "tag of the same image": _with_spec(image="shop/web:1.4.0"),
    "where to fetch the same image": _with_plan(pull="127.0.0.1:5000/shop/web@sha256:9"),
    "order of the ports": _with_spec(ports=dict(reversed(MAIN.spec.ports.items()))),
    "port that is not published": _with_spec(ports=_port() | {"admin": Port(port=9001)}),
    "name of a port": _with_spec(ports={"www": MAIN.spec.ports["http"], "admin": Port(port=9000)}),
}
"""Changes that must not make anybody's container go down."""


@pytest.mark.parametrize("changed", ANEW.values(), ids=ANEW.keys())
def test_what_a_container_cannot_take_on_changes_its_digest(changed: Assignment) -> None:
    assert _digest(_settings(changed)) != _digest(_settings(ONE))


@pytest.mark.parametrize("changed", THE_SAME.values(), ids=THE_SAME.keys())
def test_what_does_not_concern_a_container_leaves_its_digest(changed: Assignment) -> None:
    assert _digest(_settings(changed)) == _digest(_settings(ONE))


def test_the_order_of_the_environment_does_not_count() -> None:
    one, other = _with_spec(env={"A": "1", "B": "2"}), _with_spec(env={"B": "2", "A": "1"})
    assert _digest(_settings(one)) == _digest(_settings(other))


def test_digests_are_the_same_in_every_release() -> None:
    """Otherwise an upgrade of the agent would make every container of a site anew."""
    assert (_digest(_settings(ONE)), _digest(pause_settings(GROUP, "", PLACES))) == (
        "0fa5bfa67a1ec477",
        "4d6b189e8d5f5731",
    )


def test_the_digests_of_a_group_change_one_by_one() -> None:
    busier = msgspec.structs.replace(LOG, spec=msgspec.structs.replace(LOG.spec, env={"LEVEL": "debug"}))
    changed = msgspec.structs.replace(GROUP, containers=(MAIN, busier))
    assert _digest(_settings(changed, 1)) != _digest(_settings(GROUP, 1))
    assert _digest(_settings(changed)) == _digest(_settings(GROUP))
    assert _digest(pause_settings(changed, "", PLACES)) == _digest(pause_settings(GROUP, "", PLACES))


def test_the_pause_container_changes_with_its_address_and_its_ports_only() -> None:
    def pause(assignment: Assignment, image: str = "") -> str:
        return _digest(pause_settings(assignment, image, PLACES))

    replace = msgspec.structs.replace
    assert pause(replace(GROUP, ip="10.96.0.6")) != pause(GROUP)
    assert pause(replace(GROUP, containers=(MAIN, replace(LOG, spec=Container(image="shop/log:1"))))) != pause(GROUP)
    assert pause(replace(GROUP, containers=(LOG, MAIN))) == pause(GROUP)
    assert pause(replace(GROUP, revision=8, restart=2), "sha256:newer") == pause(GROUP)
