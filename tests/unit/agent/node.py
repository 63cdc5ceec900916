"""A node's agent without the link, on any engine."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from appliance.agent.assignments import AssignmentBook
from appliance.agent.files import InstanceFiles
from appliance.agent.images import Bundle, EngineImages
from appliance.agent.provision import Provision
from appliance.agent.record import Records
from appliance.agent.reporter import Reporter
from appliance.agent.secrets import SecretBook
from appliance.agent.supervisor import Supervisor
from appliance.agent.volumes import Volumes
from appliance.engine.container import PAUSE, ROOT_LABEL, NodePlaces, container_name
from appliance.engine.engine import ContainerState, Engine, NetworkSettings
from appliance.engine.fake_program import PROGRAMS, Process, Program
from appliance.errors import NotFound
from appliance.model.container import Container, Health
from appliance.model.identity import NodeIdentity
from appliance.model.instance import Assignment, InstanceStatus, PlannedContainer
from appliance.model.job import JobPlan
from appliance.model.service import Volume
from tests.lab import waiting

ROOT = "unit-agent"
IMAGE = "busybox:lab"
TURNS = ("instance_", "stop_")
"""How the threads that work on instances are called (appliance/agent/turns.py)."""
NETWORK = NetworkSettings(name="unit-agent", bridge="unitagent0", subnet="10.98.9.0/24", gateway="10.98.9.1")


def _test(process: Process) -> int:
    """``test [!] -e PATH`` of the shell, for paths in mounted folders."""
    path = process.command[-1]
    mount = next(mount for mount in process.settings.mounts if path.startswith(f"{mount.target}/"))
    exists = Path(mount.source + path.removeprefix(mount.target)).exists()
    return int(exists == ("!" in process.command))


def _count(process: Process) -> int:
    """`COUNT`: leaves one file for each run, and succeeds in the third."""
    folder = Path(next(mount.source for mount in process.settings.mounts if mount.target == "/data"))
    runs = len(list(folder.glob("run-*")))
    (folder / f"run-{runs}").touch()
    return int(runs < 2)


def program(word: str, seconds: float = 0.0, unless: str = "") -> Program:
    """Adds `word` to /data/log, lasts `seconds`, and fails unless the file `unless` is in /data."""

    def run(process: Process) -> int:
        folder = Path(next(mount.source for mount in process.settings.mounts if mount.target == "/data"))
        with (folder / "log").open("a") as log:
            log.write(f"{word}\n")
        process.wait(seconds)
        return int(bool(unless) and not (folder / unless).exists())

    return run


COUNT = ("sh", "-c", "n=$(ls /data | wc -l); touch /data/run-$n; test $n -ge 2")
FUNCTIONS = {**PROGRAMS, "test": _test, " ".join(COUNT): _count}
"""What the containers of these tests run where the engine is the fake."""


class PauseOnly:
    """A package whose pause image is one that the engine has already; busybox holds a network as well."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def image_id(self, name: str) -> str:
        found = self._engine.image_id(IMAGE)
        if name != "appliance/pause" or found is None:
            raise NotFound(f"The package has no image {name}.")
        return found

    def reference(self, name: str) -> str:
        return IMAGE

    def load(self, name: str) -> None:
        raise NotFound(f"The package has no image {name}.")


IDENTITY = NodeIdentity(
    id="n1",
    name="one",
    number=1,
    address="192.0.2.1",
    roles=("agent",),
    cluster_id="c1",
    cluster_name="unit",
    network="10.98.0.0/16",
    managers=(),
)


def places(folder: Path) -> NodePlaces:
    return NodePlaces(ROOT, NETWORK.name, str(folder / "volumes"), str(folder / "memory"))


def resolver_text(service: str) -> str:
    return f"nameserver 10.98.9.1\nsearch {service}\n"


def provision(folder: Path) -> Provision:
    volumes = Volumes(folder / "volumes", folder / "memory", lambda: {"": folder / "volumes"})
    secrets = SecretBook(folder / "secrets.sealed", folder / "secrets.key")
    # The engine of these tests has mounts of its own, and would not see a file system in memory.
    files = InstanceFiles(folder / "files", lambda made: made.mkdir(parents=True, exist_ok=True))
    return Provision(volumes, files, secrets, IDENTITY, resolver_text)


class Node:
    def __init__(self, engine: Engine, folder: Path, bundle: Bundle | None = None) -> None:
        self.engine = engine
        self.folder = folder
        self.reported: dict[str, InstanceStatus] = {}
        self.told: list[str] = []
        """What its diary was told, by instance."""
        self.open_gates: Callable[[Mapping[str, int]], None] = lambda opened: None
        self._bundle = bundle or PauseOnly(engine)

    @contextmanager
    def supervised(self) -> Iterator[AssignmentBook]:
        book = AssignmentBook(self.folder / "assignments")
        reporter = Reporter(lambda statuses: self.reported.update({s.instance: s for s in statuses}))
        supervisor = Supervisor(
            self.engine,
            book,
            EngineImages(self.engine, self._bundle),
            reporter,
            provision(self.folder),
            Records(self.folder / "records"),
            places(self.folder),
            "n1",
            note=lambda instance, news: self.told.append(f"{instance} {news.message}"),
        )
        self.open_gates = supervisor.open_gates
        reporter.start()
        supervisor.start()
        try:
            yield book
        finally:
            supervisor.stop()
            reporter.stop()
            # What it was at goes on in the engine, where the next agent and the next test use the same names.
            eventually(lambda: not [each for each in threading.enumerate() if each.name.startswith(TURNS)])

    def state(self, instance: str = "shop/web-1") -> str:
        return self.reported[instance].state if instance in self.reported else ""

    def message(self, instance: str = "shop/web-1") -> str:
        return self.reported[instance].message if instance in self.reported else ""

    def find(self, container: str = "main", instance: str = "shop/web-1") -> ContainerState | None:
        return self.engine.inspect(container_name(ROOT, instance, container))

    def running(self, container: str = "main", instance: str = "shop/web-1") -> ContainerState:
        """The container as it runs; an AssertionError while it does not, or while nobody was told."""
        found = self.find(container, instance)
        assert found is not None and found.state == "running", f"{container} is {found}"
        told = self.reported[instance].containers if instance in self.reported else ()
        assert container == PAUSE or (found.id, found.started_at) in [(c.id, c.started_at) for c in told]
        return found

    def clean(self) -> None:
        for container in self.engine.list({ROOT_LABEL: ROOT}):
            self.engine.remove(container.name)
        self.engine.remove_network(NETWORK.name)


def alone(
    command: tuple[str, ...] = ("sleep", "1000"), health: Health | None = None, *, image: str = IMAGE, index: int = 1
) -> Assignment:
    """One container on the host's network, with a volume."""
    spec = Container(image=image, command=command, volumes={"data": "/data"}, health=health or Health())
    return Assignment(
        instance=f"shop/web-{index}",
        service="shop",
        deploy="web",
        index=index,
        revision=1,
        host_network=True,
        containers=(PlannedContainer(name="main", spec=spec),),
        volumes={"data": Volume()},
        stop_grace=0.0,
    )


def job(command: tuple[str, ...], plan: JobPlan, *, index: int = 0) -> Assignment:
    """An instance of a job on the host's network."""
    spec = Container(image=IMAGE, command=command, volumes={"data": "/data"})
    return Assignment(
        instance=f"shop/migrate-{index}",
        service="shop",
        deploy="migrate",
        index=index,
        revision=1,
        host_network=True,
        containers=(PlannedContainer(name="main", spec=spec),),
        volumes={"data": Volume()},
        stop_grace=0.0,
        job=plan,
    )


def group(*containers: PlannedContainer) -> Assignment:
    """Several containers with one address; `main` and `log` unless others are named."""
    usual = (PlannedContainer(name="main", spec=_sleeping(IMAGE)), PlannedContainer(name="log", spec=_sleeping(IMAGE)))
    return Assignment(
        instance="shop/web-1",
        service="shop",
        deploy="web",
        index=1,
        revision=1,
        ip="10.98.9.5",
        containers=containers or usual,
        stop_grace=0.0,
    )


def pulled(name: str, image: str) -> PlannedContainer:
    """A container whose image comes from the cluster's registry."""
    return PlannedContainer(name=name, spec=_sleeping(image), pull=f"127.0.0.1:5000/{image}@sha256:9")


def _sleeping(image: str) -> Container:
    return Container(image=image, command=("sleep", "1000"))


def eventually[T](check: Callable[[], T]) -> T:
    """Longer than a busy machine's engine takes for two starts, stops and removals."""
    return waiting.eventually(check, 60.0, every=0.01)
