"""Every host loses its power and they are switched on one after the other in any order: until all is back."""

import os
import random
import time
from pathlib import Path

from tests.bench import figures
from tests.bench.figures import Figure
from tests.bench.takeover import Trio
from tests.chaos.client import Client, Outcome
from tests.lab.cluster import engine_of
from tests.lab.lab import Lab
from tests.lab.waiting import eventually

STARTS = int(os.environ.get("BENCH_COLD_STARTS", "20"))
WORKLOADS, API = 60.0, 120.0
"""Aims, in seconds from the last host's start; the worst counts."""
APART = 3.0
"""Most seconds between the starts of two hosts."""
SERVICE = """
service: keep
deploys:
  main:
    scale: every-node
    stop_grace: 1s
    containers:
      main: {image: appliance/busybox, command: [sleep, "1000000"]}
"""


def cold_start(package: Path, _: int) -> list[Figure]:
    chance = random.Random(int(os.environ.get("BENCH_SEED", "1")))
    workloads, api = [], []
    with Lab(package=package) as lab:
        trio = Trio(lab)
        trio.cluster.apply(SERVICE)
        for _start in range(STARTS):
            hosts = list(trio.cluster.hosts)
            for host in hosts:
                lab.cut(host)
                host.power_off()
            chance.shuffle(hosts)
            for host in hosts:
                time.sleep(chance.uniform(0.0, APART))
                lab.reboot(host)
                host.start()
            begun = time.monotonic()
            eventually(lambda: _all_run(trio), timeout=300, every=0.2)
            workloads.append(time.monotonic() - begun)
            eventually(lambda: _writable(trio), timeout=300, every=0.2)
            api.append(time.monotonic() - begun)
            trio.settle()
    return [
        figures.seconds("cold start: until all instances run", workloads),
        Figure(f"… the longest of {len(workloads)}", round(max(workloads), 1), "s", WORKLOADS),
        figures.seconds("cold start: until a manager takes a write", api),
        Figure(f"… the longest of {len(api)}", round(max(api), 1), "s", API),
    ]


def _all_run(trio: Trio) -> bool:
    try:
        return all(engine_of(host).running("appliance.instance", "keep/") for host in trio.cluster.hosts)
    except (OSError, RuntimeError):
        return False


def _writable(trio: Trio) -> bool:
    labels = {"set": {"cold": "yes"}, "remove": []}
    clients = (Client(host.data / "run/appliance/admin.sock") for host in trio.managers)
    return any(client.write("POST", "/api/nodes/a1/labels", labels) is Outcome.DONE for client in clients)
