"""The product as one more peer: the same service, counted in the same way on the engines it started."""

import time
from collections.abc import Sequence

from tests.bench.bare import count, seconds_until
from tests.lab.cluster import Cluster, engine_of

_LABEL = "appliance.instance"


class Product:
    """`image` must have been loaded into the cluster. `waited` holds what `apply --wait` took each time."""

    name = "appliance"

    def __init__(self, cluster: Cluster, image: str, command: Sequence[str]) -> None:
        self._cluster = cluster
        self._engines = [engine_of(host) for host in cluster.hosts]
        self._spec = f"""
service: bench
deploys:
  main:
    replicas: REPLICAS
    placement: {{spread: node}}
    containers:
      main: {{image: "{image}", command: {list(command)}}}
"""
        self.waited: list[float] = []

    def create(self, replicas: int) -> float:
        """Seconds from the start of `appliance apply` until all replicas run."""
        manager = self._cluster.manager
        (manager.data / "bench.yaml").write_text(self._spec.replace("REPLICAS", str(replicas)))
        others = count(self._engines, _LABEL)
        begun = time.monotonic()
        apply = manager.spawn(*manager.command("apply", manager.root / "bench.yaml", "--wait"))
        taken = seconds_until(lambda: count(self._engines, _LABEL) == others + replicas, begun)
        assert apply.wait(timeout=120) == 0, apply.log.read_text()
        self.waited.append(time.monotonic() - begun)
        return taken

    def remove(self) -> float:
        """Seconds from the start of `appliance delete` until no container of it exists."""
        rows = self._cluster.ps("bench")
        left = count(self._engines, _LABEL, all=True) - len(rows)
        begun = time.monotonic()
        self._cluster.manager.appliance("delete", "bench")
        return seconds_until(lambda: count(self._engines, _LABEL, all=True) == left, begun)
