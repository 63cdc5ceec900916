"""The container engine as the rest of the product sees it. `docker.py` is the real one, `fake.py` the one for tests.

Containers are addressed by our own deterministic names, so that a create whose answer was lost can be found again.
Calls are synchronous and thread-safe; each may raise EngineUnavailable (retryable) or EngineError (what the engine
said no to); calls about one container raise NoSuchContainer when it is not there.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Literal, Protocol

RunState = Literal["created", "running", "paused", "restarting", "removing", "exited", "dead"]


@dataclass(frozen=True, slots=True)
class PublishedPort:
    container_port: int
    host_port: int
    protocol: Literal["tcp", "udp"] = "tcp"
    host_address: str = ""


@dataclass(frozen=True, slots=True)
class BindMount:
    source: str
    target: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ContainerSettings:
    """Everything a container is made of; built as a value by `container.py`, compared whole in tests.

    `network`: "host", the name of a network (then `ip` is the fixed address in it, "" : the engine chooses),
    or "container:NAME" to share another container's. `image` is an image id or a reference that the engine has.
    `cpu` in thousandths of a core, `memory` in bytes, 0 : unlimited. `tmpfs`: path → bytes (0 : half of the memory),
    `shm`: bytes of /dev/shm (0 : the engine's default). `devices` have the same path outside and inside; `gpus` are
    ids of NVIDIA's driver. `log_size`/`log_files` cap the engine's log.
    """

    name: str
    image: str
    labels: Mapping[str, str]
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    network: str = "host"
    ip: str = ""
    hostname: str = ""
    mounts: tuple[BindMount, ...] = ()
    tmpfs: Mapping[str, int] = field(default_factory=dict)
    ports: tuple[PublishedPort, ...] = ()
    cpu: int = 0
    memory: int = 0
    shm: int = 0
    gpus: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    privileged: bool = False
    read_only: bool = False
    workdir: str = ""
    stop_signal: str = ""
    log_size: int = 10 * 1024 * 1024
    log_files: int = 3


@dataclass(frozen=True, slots=True)
class ContainerState:
    """What the engine says of a container. Times are RFC 3339 in UTC or "" ."""

    id: str
    name: str
    image_id: str
    labels: Mapping[str, str]
    state: RunState
    pid: int = 0
    exit_code: int | None = None
    out_of_memory: bool = False
    error: str = ""
    created_at: str = ""
    started_at: str = ""
    finished_at: str = ""
    ip: str = ""


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """Something happened to a container of ours. `action`: start, die, destroy, oom, ..."""

    action: str
    name: str
    labels: Mapping[str, str]
    at: float
    exit_code: int | None = None


class Events(Protocol):
    """Endless; iterating raises EngineUnavailable when the engine is gone. `close` (any thread) ends the iteration."""

    def __iter__(self) -> Iterator[EngineEvent]: ...

    def close(self) -> None: ...


class LogStream(Protocol):
    """(stream, bytes) pairs: "stdout" or "stderr". Ends with the container unless following; `close` ends it."""

    def __iter__(self) -> Iterator[tuple[Literal["stdout", "stderr"], bytes]]: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Execution:
    """Outcome of a command that ran to its end in a container. `exit_code` is None when the timeout ended it."""

    exit_code: int | None
    output: bytes


class ExecSession(Protocol):
    """A command in a container with its input and output attached. Blocking; use from a thread of its own."""

    def read(self) -> tuple[Literal["stdout", "stderr"], bytes] | None:
        """The next piece of output (everything is "stdout" with a terminal); None at the end."""
        ...

    def write(self, data: bytes) -> None: ...

    def close_input(self) -> None: ...

    def resize(self, rows: int, columns: int) -> None: ...

    def exit_code(self) -> int:
        """Valid after `read` returned None."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """A bridge network. `masquerade` False leaves address translation to us."""

    name: str
    bridge: str
    subnet: str
    gateway: str
    mtu: int = 0
    masquerade: bool = False


class Engine(Protocol):
    def version(self) -> str:
        """Name and version, e.g. ``docker 26.1.5``."""
        ...

    def list(self, labels: Mapping[str, str]) -> list[ContainerState]:
        """Containers in any state that carry all these labels ("" matches any value)."""
        ...

    def inspect(self, name: str) -> ContainerState | None: ...

    def create(self, settings: ContainerSettings) -> str:
        """Returns the container's id. A container of that name with the same labels is taken as this one."""
        ...

    def start(self, name: str) -> None:
        """Starting a running container is no error."""
        ...

    def stop(self, name: str, grace: float) -> None:
        """Ask it to end, and kill it after `grace` seconds. Stopping a stopped container is no error."""
        ...

    def remove(self, name: str) -> None:
        """Kill it if it runs, and remove it with its anonymous volumes. It is gone then.

        Removing a missing one is no error, nor is one whose removal somebody else has begun: its end is waited for.
        """
        ...

    def events(self, labels: Mapping[str, str]) -> Events:
        """Events from now on; what happened before is found with `list` (subscribe first, list second)."""
        ...

    def logs(self, name: str, *, follow: bool, tail: int | None, timestamps: bool = False) -> LogStream: ...

    def execute(self, name: str, command: tuple[str, ...], timeout: float) -> Execution: ...

    def open_exec(
        self, name: str, command: tuple[str, ...], *, terminal: bool, env: Mapping[str, str] | None = None
    ) -> ExecSession: ...

    def image_id(self, reference: str) -> str | None:
        """Id of an image that the engine has, by id or reference; None when it has not. Never fetches."""
        ...

    def ids_are_configurations(self) -> bool:
        """Whether an image's id is the digest of its configuration, as it is unless containerd keeps the images."""
        ...

    def pull(self, reference: str) -> None:
        """Fetch by digest from a loopback registry."""
        ...

    def load(self, archive: BinaryIO, progress: Callable[[str], None] | None = None) -> None:
        """Load a `docker save` archive; raises EngineError for what the load stream reports."""
        ...

    def ensure_network(self, settings: NetworkSettings) -> None:
        """Make the network, or make it anew when it differs and nothing is attached; EngineError otherwise."""
        ...

    def remove_network(self, name: str) -> None: ...
