"""The cluster that suffers: managers and agents at work, and what of it can be seen from outside."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.chaos.client import Client
from tests.chaos.read_store import __file__ as READ_STORE
from tests.lab.cluster import Cluster, engine_of, up
from tests.lab.host import Host
from tests.lab.images import docker_archive
from tests.lab.lab import Lab
from tests.lab.vips import addresses

COUNT = "#!/bin/sh\nmkdir -p /www/hits\necho -n x >> /www/hits/$QUERY_STRING\n"
TELL = 'printf "Content-type: text/plain\\r\\n\\r\\n"\ntrue\n'
IMAGE = "lab/chaos:1"

WORKLOAD = f"""
service: keep
deploys:
  all:
    scale: every-node
    stop_grace: 1s
    containers:
      main: {{image: "{IMAGE}", command: [sleep, "1000000"]}}
  web:
    rank: 1
    replicas: 3
    stop_grace: 1s
    placement: {{spread: node}}
    containers:
      main:
        image: "{IMAGE}"
        command: [httpd, -f, -p, "8080", -h, /www]
        ports: {{http: 8080}}
        health: {{ready: {{tcp: 8080, every: 1s}}}}
entry:
  - {{host: keep.local, to: web/http}}
"""
COUNTER = f"""
service: counter
deploys:
  main:
    stop_grace: 1s
    volumes: {{hits: {{}}}}
    containers:
      main:
        image: "{IMAGE}"
        command: [httpd, -f, -p, "8080", -h, /www]
        ports: {{http: 8080}}
        volumes: {{hits: /www/hits}}
        health: {{ready: {{tcp: 8080, every: 1s}}}}
"""
FULL_SIZE = "400m"
"""Of the file system that a manager's etcd gets; it takes 64 MB at a time for its log."""


class World:
    """`hosts` are the managers, then the agents."""

    def __init__(self, lab: Lab, managers: int, agents: int) -> None:
        self.lab = lab
        self.cluster = Cluster(lab)
        self.managers = [lab.host(f"m{number}", own_clock=True) for number in range(1, managers + 1)]
        self.agents = [lab.host(f"a{number}", own_clock=True) for number in range(1, agents + 1)]
        self.vip = lab.gateway.rpartition(".")[0] + ".199"
        for host in self.managers:
            _mount_small(etcd_folder(host))
            lab.reboot(host)  # it has the mounts that the machine had when it was switched on
        first = self.managers[0]
        self.cluster.hosts.append(first)
        self.cluster.up = up(first, "--vip", f"{self.vip}/24")
        for host in self.managers[1:]:
            self.cluster.join(host, role="manager")
        for host in self.agents:
            self.cluster.join(host)
        archive = lab.directory / "chaos.tar"
        docker_archive(archive, IMAGE, files={"www/cgi-bin/hit": COUNT + TELL, "www/index.html": "here"})
        self.cluster.load_image(archive)
        self.cluster.apply(WORKLOAD)
        self.cluster.apply(COUNTER)
        self.names = {str(row["name"]): self.cluster.host_of(row["name"]) for row in first.ask("node", "ls")}
        (row,) = self.cluster.ps("counter")
        self.counter = f"{row['ip']}:8080/cgi-bin"
        self._hits = self.names[row["node"]].data / "var/lib/appliance/volumes" / row["instance"] / "hits"

    @property
    def hosts(self) -> list[Host]:
        return [*self.managers, *self.agents]

    def client(self, host: Host) -> Client:
        return Client(host.data / "run/appliance/admin.sock")

    def hits(self, name: str) -> str:
        """How often a job was at work: one ``x`` each time."""
        file = self._hits / name
        return file.read_text() if file.exists() else ""

    def containers(self, service: str) -> dict[str, list[tuple[str, str, float]]]:
        """Instance → (host, container id, started at) of each of its containers that runs, as the engines see it.

        Engines that do not answer are left out.
        """
        found: dict[str, list[tuple[str, str, float]]] = {}
        for host in self.hosts:
            try:
                rows = engine_of(host).running("appliance.instance", f"{service}/")
                labels = _instances(host)
            except (OSError, RuntimeError):
                continue
            for identifier, started in rows.values():
                instance = labels.get(identifier, "")
                if instance:
                    found.setdefault(instance, []).append((host.name, identifier, started))
        return found

    def vip_owners(self) -> list[str]:
        return [host.name for host in self.hosts if host.on and self.vip in addresses(host)]

    def store(self, host: Host, *wishes: str) -> dict[str, list[Any]]:
        """What etcd holds, asked on this manager's host: key → [revision, digest]. Raises CommandFailed."""
        path = os.pathsep.join([str(Path.cwd()), *filter(None, sys.path)])
        pki = host.root / "etc/appliance/pki"
        answer = host.run("env", f"PYTHONPATH={path}", sys.executable, "-s", READ_STORE, pki, *wishes)
        entries: dict[str, list[Any]] = json.loads(answer.stdout)["entries"]
        return entries


def etcd_folder(host: Host) -> Path:
    return host.data / "var/lib/appliance/etcd"


@contextmanager
def world(package: Path, managers: int, agents: int, logs: Path) -> Iterator[World]:
    """`logs`: where those of all hosts go when it does not come about, or when what is done with it fails."""
    with Lab(package=package) as lab:
        try:
            yield World(lab, managers, agents)
        except Exception:
            lab.copy_logs(logs)
            raise
        finally:
            for host in lab.hosts:
                host.power_off()
                subprocess.run(["umount", "--lazy", etcd_folder(host)], capture_output=True, check=False)


def _mount_small(folder: Path) -> None:
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={FULL_SIZE},mode=700", "tmpfs", folder], check=True)


def _instances(host: Host) -> dict[str, str]:
    """Container id → instance."""
    api = engine_of(host)
    rows = api.request("GET", "/containers/json?all=0")
    return {str(row["Id"]): str(row["Labels"].get("appliance.instance", "")) for row in rows}
