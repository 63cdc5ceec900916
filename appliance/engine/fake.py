"""A container engine in memory for tests; keeps to what `tests/contract/test_engine.py` asks of Docker.

Containers, networks and images are values here, and functions run in the place of programs: see `fake_program.py`.
What only a kernel can do is left out: nothing is mounted, limited, reachable or forbidden, and no program hears
SIGTERM, so `stop` kills at once without waiting for the grace. Process ids are beyond those of any real process.
"""

import hashlib
import io
import ipaddress
import itertools
import json
import queue
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import BinaryIO

from appliance.engine.engine import ContainerSettings, ContainerState, EngineEvent, Execution, NetworkSettings
from appliance.engine.fake_container import FakeContainer, FakeLog, Image
from appliance.engine.fake_program import KILLED, PROGRAMS, FakeExec, Process, Program, Stream, find, not_found
from appliance.errors import EngineError, EngineUnavailable, NoSuchContainer

_FIRST_PID = 1 << 23
"""A kernel's largest is 1 << 22."""


def no_registry(reference: str) -> Image:
    raise EngineError(f"The engine refused: {reference}.", why="there is no registry")


class FakeEngine:
    """`registry` answers pulls: it returns the image or raises EngineError, and may take its time.

    `containerd_images`: what is loaded gets another id than its configuration's, as where containerd keeps images.
    """

    def __init__(
        self,
        images: Mapping[str, Image],
        programs: Mapping[str, Program] = PROGRAMS,
        registry: Callable[[str], Image] = no_registry,
        *,
        containerd_images: bool = False,
    ) -> None:
        self._containerd_images = containerd_images
        self._images = dict(images)
        self._programs = programs
        self._registry = registry
        self._turn = threading.Condition()
        self._answers = True
        self._containers: dict[str, FakeContainer] = {}
        self._networks: dict[str, NetworkSettings] = {}
        self._listeners: list[FakeEvents] = []
        self._ids = itertools.count(1)
        self._pids = itertools.count(_FIRST_PID)
        self._last = 0

    @contextmanager
    def away(self) -> Iterator[None]:
        """The engine does not answer meanwhile; its containers run on, and streams of events end."""
        with self._turn:
            self._answers = False
            for listener in self._listeners:
                listener.put(EngineUnavailable("The engine ended its stream of events."))
            self._listeners.clear()
        try:
            yield
        finally:
            with self._turn:
                self._answers = True

    def end(self, name: str, code: int) -> None:
        """The container's program ends by itself with `code`, whether the engine answers or not."""
        with self._turn:
            process = self._get(name).process
            if process is not None:
                process.end(code)

    def version(self) -> str:
        with self._call():
            return "fake 1"

    # -- containers ----------------------------------------------------------------------------------------------

    def list(self, labels: Mapping[str, str]) -> list[ContainerState]:
        with self._call():
            return [c.shown() for c in self._containers.values() if _carries(c.settings.labels, labels)]

    def inspect(self, name: str) -> ContainerState | None:
        with self._call():
            found = self._find(name)
            return None if found is None else found.shown()

    def create(self, settings: ContainerSettings) -> str:
        with self._call():
            existing = self._containers.get(settings.name)
            if existing is not None:
                if dict(existing.settings.labels).items() >= dict(settings.labels).items():
                    return existing.id
                raise EngineError(f"There is another container called {settings.name}.", next="remove or rename it")
            image = self._image(settings.image)
            if image is None:
                raise EngineError(f"The engine refused: {settings.name}.", why=f"No such image: {settings.image}")
            kind, _, holder = settings.network.partition(":")
            # Shared with the container that has this name now, not with a later one of the same name.
            shared = self._find(holder) if kind == "container" else None
            network = f"container:{shared.id}" if shared else settings.network
            made = FakeContainer(settings, f"{next(self._ids):064x}", image, network, created=self._now())
            self._containers[settings.name] = made
            self._tell("create", made)
            return made.id

    def start(self, name: str) -> None:
        with self._call():
            container = self._get(name)
            if container.state == "running":
                return
            try:
                ip = self._address(container)
                self._check_ports(container)
                program = find(self._programs, container.command)
                if program is None:
                    raise _refused(container, f'exec: "{container.command[0]}": executable file not found')
            except EngineError as error:
                container.error = error.why
                raise
            self._run(container, program, ip)

    def stop(self, name: str, grace: float) -> None:
        with self._call():
            container = self._get(name)
            if container.process is not None:
                container.process.end(KILLED)

    def remove(self, name: str) -> None:
        with self._call():
            container = self._find(name)
            if container is None:
                return
            if container.process is not None:
                container.process.end(KILLED)
            del self._containers[container.settings.name]
            self._tell("destroy", container)

    def events(self, labels: Mapping[str, str]) -> "FakeEvents":
        with self._call():
            listener = FakeEvents(labels)
            self._listeners.append(listener)
            return listener

    # -- inside containers ---------------------------------------------------------------------------------------

    def logs(self, name: str, *, follow: bool, tail: int | None, timestamps: bool = False) -> FakeLog:
        with self._call():
            container = self._get(name)
            begin = 0 if tail is None else max(0, len(container.log) - tail)
            return FakeLog(self._turn, container, begin, follow=follow, timestamps=timestamps)

    def execute(self, name: str, command: tuple[str, ...], timeout: float) -> Execution:
        session = self.open_exec(name, command, terminal=False)
        with self._turn:
            ended = self._turn.wait_for(lambda: session.process.exit_code is not None, timeout)
            output = b"".join(data for _, data in session.pieces)
        return Execution(session.process.exit_code if ended else None, output)

    def open_exec(
        self, name: str, command: tuple[str, ...], *, terminal: bool, env: Mapping[str, str] | None = None
    ) -> FakeExec:
        """A terminal makes everything "stdout"; it neither echoes nor changes the ends of lines."""
        with self._call():
            container = self._get(name)
            if container.state != "running":
                raise _refused(container, "the container is not running")
            pieces: list[tuple[Stream, bytes]] = []
            process = Process(
                self._turn,
                container.settings,
                command,
                {**container.settings.env, **(env or {})},
                lambda stream, data: pieces.append(("stdout" if terminal else stream, data)),
            )
            container.executions.append(process)
            process.start(find(self._programs, command) or not_found)
            return FakeExec(self._turn, process, pieces)

    # -- images and networks -------------------------------------------------------------------------------------

    def image_id(self, reference: str) -> str | None:
        with self._call():
            found = self._image(reference)
            return None if found is None else found.id

    def ids_are_configurations(self) -> bool:
        return not self._containerd_images

    def pull(self, reference: str) -> None:
        self.version()
        image = self._registry(reference)
        with self._call():
            self._images[reference] = image

    def load(self, archive: BinaryIO, progress: Callable[[str], None] | None = None) -> None:
        self.version()
        try:
            found = _images_in(archive)
        except (tarfile.TarError, KeyError, ValueError) as error:
            raise EngineError("The engine could not load the images.", why=str(error)) from error
        if self._containerd_images:
            found = {name: replace(image, id=f"sha256:manifest-of-{image.id[7:]}") for name, image in found.items()}
        with self._call():
            self._images |= found
        if progress is not None:
            for name in found:
                progress(f"Loaded image: {name}")

    def ensure_network(self, settings: NetworkSettings) -> None:
        with self._call():
            existing = self._networks.get(settings.name)
            if existing not in (None, settings) and self._attached(settings.name):
                raise EngineError(
                    f"The network {settings.name} is not as it should be, and containers use it.",
                    why=f"it is {existing}, not {settings}",
                )
            self._networks[settings.name] = settings

    def remove_network(self, name: str) -> None:
        with self._call():
            if self._attached(name):
                raise EngineError(f"The engine refused: {name}.", why="the network is in use")
            self._networks.pop(name, None)

    # -- how it works --------------------------------------------------------------------------------------------

    @contextmanager
    def _call(self) -> Iterator[None]:
        with self._turn:
            if not self._answers:
                raise EngineUnavailable("The container engine does not answer.")
            yield
            self._turn.notify_all()

    def _find(self, name: str) -> FakeContainer | None:
        """By name or by id."""
        by_id = (container for container in self._containers.values() if container.id == name)
        return self._containers.get(name) or next(by_id, None)

    def _get(self, name: str) -> FakeContainer:
        found = self._find(name)
        if found is None:
            raise _missing(name, f"No such container: {name}")
        return found

    def _image(self, reference: str) -> Image | None:
        by_id = (image for image in self._images.values() if image.id == reference)
        return self._images.get(reference) or next(by_id, None)

    def _run(self, container: FakeContainer, program: Program, ip: str) -> None:
        settings = container.settings

        def written(stream: Stream, data: bytes) -> None:
            container.log.append((self._now(), stream, data))

        def ended(code: int) -> None:
            self._ended(container, code)

        process = Process(self._turn, settings, container.command, settings.env, written, ended)
        container.state, container.process, container.ip = "running", process, ip
        container.pid, container.exit_code, container.error = next(self._pids), None, ""
        container.started = self._now()
        self._tell("start", container)
        process.start(program)

    def _ended(self, container: FakeContainer, code: int) -> None:
        container.state, container.process, container.ip, container.pid = "exited", None, "", 0
        container.exit_code, container.finished = code, self._now()
        for execution in container.executions:
            execution.end(KILLED)
        container.executions.clear()
        self._tell("die", container, code)

    def _tell(self, action: str, container: FakeContainer, code: int | None = None) -> None:
        labels = container.settings.labels
        event = EngineEvent(action, container.settings.name, labels, self._now() / 1e9, code)
        for listener in self._listeners:
            if _carries(labels, listener.labels):
                listener.put(event)

    def _attached(self, network: str) -> tuple[FakeContainer, ...]:
        return tuple(c for c in self._containers.values() if c.network == network and c.state == "running")

    def _address(self, container: FakeContainer) -> str:
        """The one it gets in its network. Raises EngineError."""
        name, _, holder = container.network.partition(":")
        if name in ("host", "none"):
            return ""
        if name == "container":
            shared = self._find(holder)
            if shared is None:
                raise _missing(container.settings.name, f"No such container: {holder}")
            if shared.state != "running":
                raise _refused(container, f"cannot join network of a non running container: {holder}")
            return ""
        network = self._networks.get(name)
        if network is None:
            raise _missing(container.settings.name, f"network {name} not found")
        taken = {network.gateway} | {other.ip for other in self._attached(name)}
        hosts = ipaddress.ip_network(network.subnet)
        wanted = container.settings.ip or next(str(host) for host in hosts.hosts() if str(host) not in taken)
        if ipaddress.ip_address(wanted) not in hosts:
            raise _refused(container, f"Invalid address {wanted}: not in {network.subnet}")
        if wanted in taken:
            raise _refused(container, "Address already in use")
        return wanted

    def _check_ports(self, container: FakeContainer) -> None:
        running = (other for other in self._containers.values() if other.state == "running")
        taken = {(p.host_address, p.host_port, p.protocol) for other in running for p in other.settings.ports}
        for port in container.settings.ports:
            if (port.host_address, port.host_port, port.protocol) in taken:
                raise _refused(container, f"port {port.host_port} is already allocated")

    def _now(self) -> int:
        """Nanoseconds since 1970, never the same twice."""
        self._last = max(self._last + 1, time.time_ns())
        return self._last


class FakeEvents:
    def __init__(self, labels: Mapping[str, str]) -> None:
        self.labels = labels
        self._news: queue.SimpleQueue[EngineEvent | EngineUnavailable | None] = queue.SimpleQueue()

    def __iter__(self) -> Iterator[EngineEvent]:
        while (event := self._news.get()) is not None:
            if isinstance(event, EngineUnavailable):
                raise event
            yield event

    def put(self, event: EngineEvent | EngineUnavailable) -> None:
        self._news.put(event)

    def close(self) -> None:
        self._news.put(None)


def _missing(name: str, why: str) -> NoSuchContainer:
    """As Docker's, also where it is not the container itself but its network that is not there."""
    return NoSuchContainer(f"The engine has no {name}.", why=why)


def _refused(container: FakeContainer, why: str) -> EngineError:
    return EngineError(f"The engine refused: {container.settings.name}.", why=why)


def _carries(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    return all(key in labels and value in ("", labels[key]) for key, value in wanted.items())


def _images_in(archive: BinaryIO) -> dict[str, Image]:
    """What a `docker save` archive says it holds: an image's id is the hash of its config."""
    with tarfile.open(fileobj=io.BytesIO(archive.read())) as tar:

        def member(name: str) -> bytes:
            found = tar.extractfile(name)
            return found.read() if found is not None else b""

        images: dict[str, Image] = {}
        for described in json.loads(member("manifest.json")):
            config = member(described["Config"])
            command = json.loads(config)["config"].get("Cmd") or ()
            image = Image(f"sha256:{hashlib.sha256(config).hexdigest()}", tuple(command))
            images |= dict.fromkeys(described["RepoTags"] or [image.id], image)
    return images
