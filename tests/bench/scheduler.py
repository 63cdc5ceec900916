"""How fast the scheduler places: in memory on one core, with everything in a real etcd, and from a wish to its binding.

Nodes are simulated: values in the store, with more addresses than the overlay of a real cluster has.
"""

import math
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

from appliance.model.cluster import Cluster
from appliance.model.container import Container, Resources
from appliance.model.instance import Instance
from appliance.model.node import NodeFacts, NodeSpec, NodeStatus
from appliance.model.service import Affinity, Deploy, Placement, Revision, Service, ServiceHead
from appliance.orchestrator.controller import Orchestrator
from appliance.scheduler.controller import Scheduler
from appliance.scheduler.fleet import Fleet
from appliance.scheduler.need import Need
from appliance.scheduler.room import Addresses, Room
from appliance.scheduler.schedule import schedule
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.etcd import EtcdStore
from appliance.store.etcd_channels import EtcdChannels
from appliance.store.mirror import Mirror
from appliance.store.state import State
from appliance.store.store import MOST_OPERATIONS, Expect, Put
from tests.bench.figures import Figure
from tests.lab.etcd import EtcdProcess

NOW = "2026-01-01T00:00:00Z"
INSTANCES = 10_000
REPLICAS = 10
"""Of each deploy: so many deploys that nothing is saved by looking at the nodes once for all."""
RACKS = 25
FACTS = NodeFacts(
    version="1", architecture="x86_64", cpu=64_000, memory=256 * 2**30, kernel="6", engine="docker", boot_id="b"
)
LATENCY_ROUNDS = 200


def scheduling(_: Path, rounds: int) -> list[Figure]:
    """In memory by processor time of the one thread; the rest by the clock, with processor time in the note."""
    plain = {nodes: _in_memory(nodes, rounds, constrained=False) for nodes in (100, 500, 1000, 5000)}
    constrained = {nodes: _in_memory(nodes, rounds, constrained=True) for nodes in (100, 500, 1000, 5000)}
    figures = [
        _rate("placements in memory, 5,000 nodes, plain", plain[5000], 10_000),
        _rate("… with labels, spread over racks and affinity", constrained[5000], 3_000),
        Figure("growth of time per placement, 100 → 5,000 nodes, plain", _exponent(plain), "exponent", 0.15),
        Figure("… with labels, spread and affinity", _exponent(constrained), "exponent", 0.15),
    ]
    for nodes, aim in ((500, 2000), (5000, 1500)):
        figures.append(_durable(nodes, rounds, aim))
    for nodes in (100, 500, 5000):
        figures += _latency(nodes)
    return figures


def _in_memory(nodes: int, rounds: int, *, constrained: bool) -> float:
    """Seconds of processor time per placement; the median of the rounds."""
    taken = []
    for _ in range(rounds):
        fleet, pending = _fleet(nodes), _pending(constrained=constrained)
        begun = time.process_time()
        outcome = schedule(pending, fleet, NOW)
        taken.append((time.process_time() - begun) / INSTANCES)
        assert len(outcome.placed) == INSTANCES, outcome.refusals[0].reason
    return statistics.median(taken)


def _fleet(nodes: int) -> Fleet:
    made = Fleet()
    for number in range(1, nodes + 1):
        made.put(Room(_node(number), "ready", FACTS, Addresses(*_addresses_of("", number))))
    return made


def _pending(*, constrained: bool) -> list[tuple[str, Need]]:
    pending = []
    for number in range(INSTANCES // REPLICAS):
        name = f"s{number:04d}/web"
        need = _constrained(name, number) if constrained else Need(deploy=name, cpu=100, memory=2**27)
        pending += [(f"{name}-{index}", need) for index in range(REPLICAS)]
    return pending


def _constrained(name: str, number: int) -> Need:
    """In one of two zones, over the racks, never two on a node, and every second near another service by zone."""
    placement = Placement(require={"zone": (f"z{number // 2 % 4}", f"z{number // 2 % 4 + 1}")}, spread="rack")
    near = (Affinity(deploy=f"s{number - 1:04d}/web", by="zone"),) if number % 2 else ()
    away = (Affinity(deploy=name),)
    return Need(deploy=name, cpu=100, memory=2**27, placement=placement, near=near, away=away)


def _node(number: int) -> NodeSpec:
    labels = {"rack": f"r{number % RACKS}", "zone": f"z{number % 5}"}
    return NodeSpec(id=f"n-{number:012x}", name=f"n{number}", number=number, address="192.0.2.1", labels=labels)


def _addresses_of(_: str, number: int) -> tuple[IPv4Address, int]:
    return IPv4Address("10.0.0.2") + 256 * number, 253


def _exponent(seconds: dict[int, float]) -> float:
    least, most = min(seconds), max(seconds)
    return round(math.log(seconds[most] / seconds[least]) / math.log(most / least), 3)


def _rate(what: str, seconds: float, at_least: int, note: str = "") -> Figure:
    return Figure(what, round(1 / seconds), "/s", note=note, at_least=at_least)


class Managed:
    """A leading manager's parts over an etcd of its own."""

    def __init__(self, store: EtcdStore, nodes: int) -> None:
        self.store = store
        term = Expect(keys.LEADER, store.commit([Put(keys.LEADER, b"m")]))
        self.mirror = Mirror(store, keys.ROOT)
        self.state = State(self.mirror)
        self.orchestrator = Orchestrator(store, self.state, lambda: term)
        self.scheduler = Scheduler(store, self.state, lambda: term, lambda: NOW, _addresses_of)
        cluster = Cluster(id="c", name="c", url="", network="10.42.0.0/16", ca_fingerprint="", created_at=NOW)
        puts = [Put(keys.CLUSTER, encode(cluster))]
        for number in range(1, nodes + 1):
            node = _node(number)
            puts.append(self.state.nodes.put(node.id, node))
            status = NodeStatus(id=node.id, state="ready", since=NOW, facts=FACTS)
            puts.append(self.state.node_status.put(node.id, status))
        self.write(puts)
        self.mirror.start()

    def write(self, puts: list[Put]) -> int:
        """Returns the last revision."""
        starts = range(0, len(puts), MOST_OPERATIONS)
        return [self.store.commit(puts[start : start + MOST_OPERATIONS]) for start in starts][-1]

    def service(self, name: str, replicas: int) -> list[Put]:
        main = Container(image="a:1", resources=Resources(cpu=100, memory=2**27))
        spec = Service(name=name, deploys={"web": Deploy(name="web", replicas=replicas, containers={"main": main})})
        revision = Revision(service=name, number=1, spec=spec, author="me", created_at=NOW)
        head = self.state.services.put(name, ServiceHead(service=name, revision=1))
        return [Put(keys.revision_key(name, 1), encode(revision)), head]


@contextmanager
def _managed(nodes: int) -> Iterator[Managed]:
    with tempfile.TemporaryDirectory(prefix="bench-etcd-") as directory:
        etcd = EtcdProcess(Path(directory))
        etcd.start()
        store = EtcdStore(EtcdChannels([etcd.endpoint]))
        try:
            managed = Managed(store, nodes)
            try:
                yield managed
            finally:
                managed.mirror.stop()
        finally:
            store.close()
            etcd.kill()


def _durable(nodes: int, rounds: int, at_least: int) -> Figure:
    """From the instances in the store to all bindings in the store and in the mirror."""
    taken, used = [], []
    for _ in range(rounds):
        with _managed(nodes) as managed:
            puts = []
            for number in range(INSTANCES // REPLICAS):
                service = f"s{number:04d}"
                puts += managed.service(service, REPLICAS)[:1]
                for index in range(REPLICAS):
                    name = f"{service}/web-{index}"
                    wish = Instance(name=name, service=service, deploy="web", index=index, revision=1)
                    puts.append(managed.state.instances.put(name, wish))
            managed.scheduler.cycle()  # the nodes are known before, as to a manager that has led for a while
            assert managed.mirror.wait_for(managed.write(puts), 30)
            begun, cpu = time.monotonic(), time.process_time()
            managed.scheduler.cycle()
            taken.append((time.monotonic() - begun) / INSTANCES)
            used.append((time.process_time() - cpu) / INSTANCES)
            assert len(managed.state.bindings.all()) == INSTANCES
    what = f"placements committed in etcd, {nodes:,} nodes"
    note = f"{statistics.median(used) * 1e3:.2f} ms of processor time each"
    return _rate(what, statistics.median(taken), at_least, note)


def _latency(nodes: int) -> list[Figure]:
    """From the write of a service's head to its instance's binding in the mirror; one service after the other."""
    with _managed(nodes) as managed:
        bound = threading.Event()
        managed.state.bindings.subscribe(bound.set)
        managed.orchestrator.start()
        managed.scheduler.start()
        taken = []
        for number in range(LATENCY_ROUNDS):
            bound.clear()
            begun = time.monotonic()
            managed.write(managed.service(f"l{number}", 1))
            assert bound.wait(30)
            taken.append((time.monotonic() - begun) * 1e3)
        managed.scheduler.stop()
        managed.orchestrator.stop()
    percent = statistics.quantiles(taken, n=100)
    return [
        Figure(f"apply to bound, {nodes:,} nodes, median", round(percent[49], 1), "ms", note=f"{len(taken)} applies"),
        Figure("… 99th percentile", round(percent[98], 1), "ms"),
    ]
