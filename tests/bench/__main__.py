"""`python -m tests.bench [SECTION...] [--rounds N] [--json FILE]`: run sections, print the table.

The package is what APPLIANCE_PACKAGE names, else dist/appliance. Needs root; see docs/bench.md for what the figures
mean. Only one section runs at a time, and nothing else should be running on the machine.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from appliance.delivery.package import Package
from appliance.delivery.runtime import unpack_engine
from tests.bench import figures
from tests.bench.backup import backup
from tests.bench.bare import BareLoop, restart_seconds
from tests.bench.cold_start import cold_start
from tests.bench.entry import entry
from tests.bench.figures import Figure
from tests.bench.healing import healing
from tests.bench.names import names
from tests.bench.network import network
from tests.bench.overlay import overlay
from tests.bench.processes import usage
from tests.bench.product import Product
from tests.bench.scheduler import scheduling
from tests.bench.swarm import Swarm
from tests.bench.takeover import takeover
from tests.bench.vip import vip
from tests.lab.cluster import Cluster, engine_of, running
from tests.lab.engine import BUSYBOX, Engine
from tests.lab.engine_api import EngineApi
from tests.lab.host import Host
from tests.lab.images import docker_archive
from tests.lab.lab import Lab

REPLICAS = 30
COMMAND = ("sh", "-c", "trap 'exit 0' TERM; sleep 1000000 & wait")  # ends at once when asked to
KUBERNETES_RSS = 507.0
"""MB of etcd, API server, controller manager and scheduler at rest, measured on such a machine."""


def size(package: Path, _: int) -> list[Figure]:
    return [Figure("size of the file", round(package.stat().st_size / 1e6, 1), "MB")]


def start(package: Path, rounds: int) -> list[Figure]:
    """Cold: a host of its own file system, where nothing was ever unpacked. Warm: the runtime is there."""
    cold, warm, join = [], [], []
    with Lab(package=package) as lab:
        for number in range(rounds):
            bare = lab.host(f"cold{number}", bare=True)
            cold.append(_timed_up(bare))
            lab.remove(bare)
            host = lab.host(f"warm{number}")
            host.appliance("version")  # unpacks the runtime if no root of this machine has it yet
            warm.append(_timed_up(host))
            lab.remove(host)
        cluster = Cluster(lab)
        cluster.start(lab.host("m1"))
        for number in range(rounds):
            host = lab.host(f"a{number}")
            begun = time.monotonic()
            cluster.join(host)
            join.append(time.monotonic() - begun)
    return [
        figures.seconds("`up` to ready, cold", cold),
        figures.seconds("`up` to ready, warm", warm, at_most=30),
        figures.seconds("`join` to ready", join),
    ]


def _timed_up(host: Host) -> float:
    begun = time.monotonic()
    host.appliance("up", "--yes", "--address", host.address, timeout=300)
    return time.monotonic() - begun


def control(package: Path, _: int) -> list[Figure]:
    """What the control plane costs at rest, and how long people wait for a command."""
    with Lab(package=package) as lab:
        cluster = _three_nodes(lab)
        resting = usage(cluster.manager, 30)
        agent = usage(cluster.hosts[1], 5)
        version = _latency(cluster.manager, "version")
        ps = _latency(cluster.manager, "ps")
    plane = {name: used for name, used in resting.items() if name != "engine"}
    whole = sum(used.pss for used in plane.values())
    parts = ", ".join(f"{name} {used.pss:.0f}" for name, used in sorted(plane.items()))
    return [
        figures.seconds("`version`", version, at_most=0.25),
        figures.seconds("`ps`", ps, at_most=0.4),
        _memory("manager process at rest, RSS", resting["manager"].rss, 120),
        _memory("agent process at rest, RSS (manager node)", resting["agent"].rss, 60),
        _memory("agent process at rest, RSS (agent node)", agent["agent"].rss, 60),
        _memory("whole control plane at rest, PSS", whole, 0.4 * KUBERNETES_RSS, parts),
        _memory("engine (dockerd, containerd, shims), PSS", resting["engine"].pss),
        Figure("control plane at rest, of a core", round(sum(u.cpu for u in plane.values()), 2), "%", 1.0),
        Figure("engine at rest, of a core", round(resting["engine"].cpu, 2), "%"),
    ]


def _memory(what: str, megabytes: float, at_most: float | None = None, note: str = "") -> Figure:
    return Figure(what, round(megabytes, 1), "MB", at_most, note)


def _latency(host: Host, command: str, runs: int = 20) -> list[float]:
    taken = []
    for _ in range(runs):
        begun = time.monotonic()
        host.appliance(command)
        taken.append(time.monotonic() - begun)
    return taken


def replicas(package: Path, rounds: int, *, silent_registry: bool = False) -> list[Figure]:
    """The same thirty containers by the product, by a bare loop and by Swarm, in turns."""
    suffix = ", registry silent" if silent_registry else ""
    with Lab(package=package) as ours, Lab() as theirs:
        cluster = _three_nodes(ours, silent_registry=silent_registry)
        product = Product(cluster, BUSYBOX, COMMAND)
        bare, swarm = _peers(theirs, package, silent_registry=silent_registry)
        created, removed = _in_turns([product, bare, swarm], rounds)
    mine, loop, peer = (created[name] for name in (product.name, bare.name, swarm.name))
    return [
        figures.seconds(f"{REPLICAS} replicas on three hosts to all running{suffix}", mine),
        figures.seconds(f"… until `apply --wait` returned{suffix}", product.waited[1:]),
        figures.seconds(f"… {bare.name}{suffix}", loop),
        figures.seconds(f"… {swarm.name}{suffix}", peer),
        figures.ratio(f"… beside the bare loop{suffix}", mine, loop, 1.15),
        figures.ratio(f"… beside Swarm{suffix}", mine, peer, 1.0),
        figures.seconds(f"their removal{suffix}", removed[product.name]),
        figures.seconds(f"… {bare.name}{suffix}", removed[bare.name]),
        figures.seconds(f"… {swarm.name}{suffix}", removed[swarm.name]),
        figures.ratio(f"… beside Swarm{suffix}", removed[product.name], removed[swarm.name], 1.0),
    ]


def silent(package: Path, rounds: int) -> list[Figure]:
    """The same where Docker's registry has an address that never answers."""
    return replicas(package, rounds, silent_registry=True)


def _in_turns(
    peers: list[Product | BareLoop | Swarm], rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Times of creation and removal by the peers' names. One round before the first warms everybody up."""
    created: dict[str, list[float]] = {peer.name: [] for peer in peers}
    removed: dict[str, list[float]] = {peer.name: [] for peer in peers}
    for number in range(rounds + 1):
        for peer in peers:
            creation, removal = peer.create(REPLICAS), peer.remove()
            print(f"  round {number}: {peer.name}: {creation:.2f} s, removal {removal:.2f} s", file=sys.stderr)
            if number:
                created[peer.name].append(creation)
                removed[peer.name].append(removal)
    return created, removed


def restart(package: Path, rounds: int) -> list[Figure]:
    """A container is killed behind everybody's back: the engine's own restart policy, and ours."""
    pause = 12.0  # both count a container as stable after 10 s, and only then restart at once
    mine, theirs = [], []
    with Lab(package=package) as ours, Lab() as others:
        cluster = _three_nodes(ours)
        product = Product(cluster, BUSYBOX, COMMAND)
        product.create(3)
        host = cluster.hosts[1]
        other = others.host("p1")
        engine = _engine(other, package)
        engine.start()
        api = EngineApi(engine.socket)
        container = api.run("always", BUSYBOX, COMMAND, restart="always")
        for _ in range(max(rounds, 5)):
            time.sleep(pause)
            theirs.append(restart_seconds(api, container, other.kill_container))
            ((identifier, _started),) = running([host], "bench").values()
            mine.append(restart_seconds(engine_of(host), identifier, host.kill_container))
    return [
        figures.seconds("container killed to running", mine),
        figures.seconds("… the engine's own `--restart=always`", theirs),
        figures.ratio("… beside the engine's own", mine, theirs, 1.2),
    ]


def peers(package: Path, rounds: int) -> list[Figure]:
    """The peers alone, to see what this machine gives."""
    with Lab() as theirs:
        bare, swarm = _peers(theirs, package, silent_registry=False)
        created, removed = _in_turns([bare, swarm], rounds)
    return [figures.seconds(f"{name}: {REPLICAS} replicas", times) for name, times in created.items()] + [
        figures.seconds(f"{name}: removal", times) for name, times in removed.items()
    ]


def _three_nodes(lab: Lab, *, silent_registry: bool = False) -> Cluster:
    cluster = Cluster(lab)
    cluster.start(lab.host("m1", silent_registry=silent_registry))
    for name in ("a1", "a2"):
        cluster.join(lab.host(name, silent_registry=silent_registry))
    cluster.load_image(docker_archive(lab.directory / "busybox.tar", BUSYBOX))
    return cluster


def _peers(lab: Lab, package: Path, *, silent_registry: bool) -> tuple[BareLoop, Swarm]:
    """On hosts of their own, with the engine that the package carries."""
    hosts = [lab.host(name, silent_registry=silent_registry) for name in ("p1", "p2", "p3")]
    engines = [_engine(host, package) for host in hosts]
    for engine in engines:
        engine.start()
    bare = BareLoop([EngineApi(engine.socket) for engine in engines], BUSYBOX, COMMAND)
    return bare, Swarm(hosts, engines, BUSYBOX, COMMAND)


def _engine(host: Host, package: Path) -> Engine:
    with Package.open(package) as opened:
        runtime = unpack_engine(opened)
    return Engine(host, dockerd=runtime.dockerd, environment=runtime.environment)


SECTIONS: dict[str, Callable[[Path, int], list[Figure]]] = {
    section.__name__: section
    for section in (
        *(size, start, control, replicas, silent, restart, scheduling),
        *(entry, vip, names, network, overlay, healing, backup, takeover, cold_start),
    )
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join([*SECTIONS, "peers"]))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    chosen = parser.parse_args()
    known = SECTIONS | {"peers": peers}
    if unknown := set(chosen.sections) - set(known):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    package = Path(os.environ.get("APPLIANCE_PACKAGE", Path(__file__).parents[2] / "dist/appliance")).resolve()
    table: list[Figure] = []
    for name in chosen.sections or list(SECTIONS):
        print(f"{name} …", file=sys.stderr)
        table += known[name](package, chosen.rounds)
    print(figures.as_markdown(table))
    if chosen.json:
        chosen.json.write_text(figures.as_json(table))
    missed = [figure.what for figure in table if figure.met is False]
    if missed:
        print(f"\n{len(missed)} of {sum(f.met is not None for f in table)} aims missed.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
