"""The product on lab hosts: up, join, and what a test or the bench asks it all the time."""

import re
from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tests.lab.engine_api import EngineApi
from tests.lab.host import Host
from tests.lab.json_socket import JsonSocket
from tests.lab.lab import Lab
from tests.lab.one_way import VISITOR
from tests.lab.waiting import eventually

UP_LIMIT = 180.0
"""Seconds after which a start counts as failed; the bench holds it to the aim."""

BUSY = ("--waive", "disk-latency=all hosts of all labs write to one disk")
"""Options of `up` and `join`."""


class Cluster:
    """The first of `hosts` is asked everything; `up` is the answer of its `appliance up`."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.hosts: list[Host] = []
        self.up: dict[str, Any] = {}

    @property
    def manager(self) -> Host:
        return self.hosts[0]

    def start(self, host: Host, *options: str) -> None:
        """Also waits for the sidecar that a node makes only once its manager has told it of the others."""
        self.hosts.append(host)
        self.up = up(host, *options)
        eventually(lambda: engine_of(host).running("appliance.instance", "system/ntp-"), timeout=60)

    def join(self, host: Host, *options: str, role: str = "agent") -> None:
        """Join `host` and wait until the cluster sees it ready; as a manager also until its etcd has a vote."""
        host.appliance(*self.join_arguments(host, role), *options, timeout=UP_LIMIT)
        self.hosts.append(host)
        eventually(lambda: self.node_state(host) == "ready", timeout=60)

    def join_arguments(self, host: Host, role: str = "agent") -> list[str]:
        """A command line with a token of its own: a token admits one node. Where managers dial, nothing else can.

        The host gets the file of agents, where they have one of their own.
        """
        one_way = ["--dial", "manager", "--address", host.address] if self.lab.dial == "manager" else []
        answer = self.manager.appliance("token", "create", "--role", role, *one_way, "-o", "json").stdout
        if self.lab.agent_package and role == "agent":
            host.install_package(self.lab.agent_package)
        if one_way and role == "agent":  # managers reach each other both ways
            self.lab.forbid(host, self.manager)
        return [
            "join",
            token_in(answer),
            "--role",
            role,
            "--yes",
            "--dial",
            self.lab.dial,
            "--address",
            host.address,
            *BUSY,
        ]

    def node_state(self, host: Host) -> str:
        nodes = status_of(self.manager)["nodes"]
        return next((str(node["state"]) for node in nodes if node["address"] == host.address), "unknown to the cluster")

    def node_name(self, host: Host) -> str:
        nodes = self.manager.ask("node", "ls")
        return next(str(node["name"]) for node in nodes if node["address"] == host.address)

    def host_of(self, node: str) -> Host:
        """The host behind a node's name as `ps` prints it."""
        nodes = self.manager.ask("status")["nodes"]
        address = next(n["address"] for n in nodes if n["name"] == node)
        return next(host for host in self.hosts if host.address == address)

    def ps(self, service: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.manager.ask("ps", service)
        return rows

    def apply(self, text: str, *options: str, timeout: float = 120, check: bool = True) -> Any:
        """Apply a spec given as text and wait for it."""
        file = self.manager.data / "spec.yaml"
        file.write_text(text)
        place = self.manager.root / "spec.yaml"
        return self.manager.appliance("apply", place, "--wait", *options, timeout=timeout, check=check)

    def delete(self, service: str) -> None:
        self.manager.appliance("delete", service, "--wait", timeout=120)

    def load_image(self, archive: Path) -> None:
        """As a person would: the archive is copied to the manager and loaded there."""
        copy = self.manager.data / archive.name
        copy.write_bytes(archive.read_bytes())
        self.manager.appliance("image", "load", self.manager.root / archive.name, timeout=120)


def up(host: Host, *options: str) -> dict[str, Any]:
    """`appliance up` on a host; returns its JSON answer."""
    answer: dict[str, Any] = host.ask(*up_arguments(host), *options, timeout=UP_LIMIT)
    return answer


def up_arguments(host: Host) -> list[str]:
    return ["up", "--yes", "--address", host.address, *BUSY]


def token_in(text: str) -> str:
    found = re.search(r"APPL1\.[\w=-]+", text)
    assert found, f"no join token in {text!r}"
    return found.group()


def engine_of(host: Host) -> EngineApi:
    """The engine that the product started on this host."""
    return EngineApi(host.data / "run/appliance/docker.sock")


def status_of(manager: Host) -> dict[str, Any]:
    """What `appliance status` shows, asked of the manager on its socket; an AssertionError while none answers there.

    A command takes a tenth of a second of a processor: too much for a wait, and too long for what lasts a moment.
    """
    try:
        status: dict[str, Any] = JsonSocket(manager.data / "run/appliance/admin.sock").request("GET", "/api/status")
    except (OSError, HTTPException, RuntimeError) as error:
        raise AssertionError(f"no manager answers on {manager.name}: {error}") from error
    return status


def ca_of(host: Host) -> Path:
    """The cluster's CA certificate, where a manager keeps it."""
    return host.data / "etc/appliance/pki/ca.crt"


def fetch(host: Host, url: str, *options: str | Path, timeout: int = 5) -> str:
    """The body curl gets on this host, or an AssertionError with curl's complaint."""
    result = host.run(*VISITOR, "curl", "-sS", "--fail", "--max-time", str(timeout), *options, url, check=False)
    assert result.returncode == 0, f"{url} from {host.name}: {result.stderr}"
    return result.stdout


def running(hosts: Sequence[Host], service: str) -> dict[str, tuple[str, float]]:
    """Every running container of a service as the engines see it: name -> (id, started at)."""
    found: dict[str, tuple[str, float]] = {}
    for host in hosts:
        for name, facts in engine_of(host).running("appliance.instance", f"{service}/").items():
            found[f"{host.name}:{name}"] = facts
    return found
