"""A virtual address loses its node: how long its clients find nobody."""

import time
from pathlib import Path

from tests.bench import figures
from tests.bench.figures import Figure
from tests.lab.gap import Client
from tests.lab.lab import Lab
from tests.lab.vips import VipCluster
from tests.lab.waiting import eventually

TAKEOVERS = 20
AIM = 1.0
"""Seconds; the worst counts, not the median."""


def vip(package: Path, _: int) -> list[Figure]:
    """Half of the nodes lose their power, half their cable."""
    with Lab(package=package) as lab:
        world = VipCluster(lab)
        killed, cut = [], []
        for _turn in range(TAKEOVERS // 2):
            killed.append(_killed(world))
            cut.append(_cut(world))
    return [
        figures.seconds("VIP: its node killed, until clients are answered", killed),
        figures.seconds("VIP: its node's cable cut", cut),
        Figure(f"VIP: the worst of {len(killed + cut)} takeovers", round(max(killed + cut), 2), "s", AIM),
    ]


def _killed(world: VipCluster) -> float:
    owner = world.owner()
    with Client(world.client, world.address) as client:
        gap = client.gap(world.kill(owner))
    world.back(owner)
    return gap


def _cut(world: VipCluster) -> float:
    owner = world.owner()
    with Client(world.client, world.address) as client:
        moment = time.time()
        world.lab.cut(owner)
        gap = client.gap(moment)
    world.lab.heal(owner)
    eventually(lambda: len(world.owners()) == 1, timeout=10)
    world.settle()
    return gap
