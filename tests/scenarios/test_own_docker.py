"""A host that runs a Docker of its own keeps it, and everything that runs in it."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from appliance.delivery.package import Package
from appliance.delivery.runtime import RUNTIME_HOME, unpack_engine
from appliance.engine.docker import DockerEngine
from tests.lab.cluster import up
from tests.lab.engine_api import EngineApi
from tests.lab.host import Host
from tests.lab.images import docker_archive
from tests.lab.lab import Lab
from tests.lab.waiting import eventually

FOREIGN = "foreign/app:1"
OURS = "appliance.instance"


@dataclass(frozen=True)
class OwnDocker:
    host: Host
    api: EngineApi
    container: str


@pytest.fixture(scope="module")
def own(lab: Lab, package: Path) -> Iterator[OwnDocker]:
    """A host of its own file system, whose root is `/`, with dockerd at the usual place and somebody's container."""
    host = lab.host("own", bare=True)
    with Package.open(package) as opened:
        runtime = unpack_engine(opened)
    home = runtime.dockerd.parents[1]
    shutil.copytree(home, host.data / home.relative_to("/"), symlinks=True)
    environment = [f"{name}={value}" for name, value in runtime.environment.items()]
    places = ("--data-root", "/var/docker", "--exec-root", "/run/docker", "--pidfile", "/run/docker.pid")
    host.spawn("env", *environment, runtime.dockerd, *places, "--userland-proxy=false", "-H", "unix:///run/docker.sock")
    socket = host.data / "run/docker.sock"
    eventually(socket.exists, timeout=60)
    archive = docker_archive(lab.directory / "foreign.tar", FOREIGN)
    with archive.open("rb") as stream:
        eventually(lambda: _answers(socket), timeout=60)
        DockerEngine(socket).load(stream)
    api = EngineApi(socket)
    container = api.run("foreign", FOREIGN, ("sleep", "1000000"), labels={"foreign": "yes"})
    yield OwnDocker(host, api, container)


def _answers(socket: Path) -> bool:
    try:
        return bool(EngineApi(socket).request("GET", "/version"))
    except OSError:
        return False


def test_up_uses_it_and_starts_no_other(own: OwnDocker) -> None:
    started = own.api.started_at(own.container)
    up(own.host)
    assert own.host.ask("status")["cluster"]["state"] == "healthy"
    assert len(own.api.containers(OURS)) >= 3
    assert not (own.host.data / "run/appliance/engine.pid").exists()
    assert own.api.started_at(own.container) == started


def test_uninstall_takes_ours_and_leaves_theirs(own: OwnDocker) -> None:
    started = own.api.started_at(own.container)
    own.host.appliance("uninstall", "--purge", "--yes", timeout=120)
    assert own.api.containers(OURS, all=True) == []
    assert "appliance" not in [network["Name"] for network in own.api.request("GET", "/networks")]
    assert own.api.started_at(own.container) == started > 0
    assert not (own.host.data / "var/lib/appliance").exists()
    assert not list((own.host.data / RUNTIME_HOME.relative_to("/")).glob("python-*"))
