"""Docker Swarm on the same kind of hosts: the peer people would otherwise use."""

import time
from collections.abc import Sequence

from tests.bench.bare import count, seconds_until
from tests.lab.engine import Engine
from tests.lab.engine_api import EngineApi
from tests.lab.host import Host

_LABEL = "com.docker.swarm.service.name=bench"


class Swarm:
    """Three hosts, the first one the manager. Services use DNS round robin: not every kernel has ip_vs."""

    name = "Docker Swarm"

    def __init__(self, hosts: Sequence[Host], engines: Sequence[Engine], image: str, command: Sequence[str]) -> None:
        self._manager = engines[0]
        self._apis = [EngineApi(engine.socket) for engine in engines]
        self._image = image
        self._command = command
        engines[0].docker("swarm", "init", "--advertise-addr", hosts[0].address)
        token = engines[0].docker("swarm", "join-token", "-q", "worker")
        for host, engine in list(zip(hosts, engines, strict=True))[1:]:
            address = f"{hosts[0].address}:2377"
            engine.docker("swarm", "join", "--advertise-addr", host.address, "--token", token, address)

    def create(self, replicas: int) -> float:
        """Seconds from the start of `docker service create` until all replicas run."""
        begun = time.monotonic()
        options = ("--detach", "--name", "bench", "--endpoint-mode", "dnsrr", "--replicas", str(replicas))
        self._manager.docker("service", "create", *options, self._image, *self._command, timeout=600)
        return seconds_until(lambda: count(self._apis, _LABEL) == replicas, begun)

    def remove(self) -> float:
        """Seconds from `docker service rm` until no container of it exists."""
        begun = time.monotonic()
        self._manager.docker("service", "rm", "bench")
        return seconds_until(lambda: count(self._apis, _LABEL, all=True) == 0, begun)
