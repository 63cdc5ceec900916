"""One container as its author wants it, after the reader has checked it and put its variables in."""

from typing import Literal

import msgspec

Restart = Literal["always", "on-failure", "never"]


class Port(msgspec.Struct, frozen=True, kw_only=True):
    """A port a container listens on; `publish` also opens it on the address of the instance's node."""

    port: int
    protocol: Literal["tcp", "udp"] = "tcp"
    publish: int | None = None


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """A question asked again and again. Exactly one of `exec`, `http` (a path), `tcp` and `grpc` is set.

    `grpc` is the name of a service in the sense of the gRPC health checking protocol, "" for the server as a whole.
    `port` is the number for http and grpc, and equals `tcp` for tcp. `failures` in a row mean no, `successes` in a row
    mean yes.
    """

    exec: tuple[str, ...] | None = None
    http: str | None = None
    tcp: int | None = None
    grpc: str | None = None
    port: int = 0
    every: float = 10.0
    timeout: float = 3.0
    failures: int = 3
    successes: int = 1
    initial_delay: float = 0.0


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`start`: the other two are not asked before it has said yes, and its no restarts the container.

    `live` says whether to restart the container, `ready` whether it can serve.
    """

    start: Probe | None = None
    live: Probe | None = None
    ready: Probe | None = None


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """What a container is promised and held to; 0 means no promise and no limit.

    `gpus` whole GPUs for it alone, of the model `gpu_model` ("" : any).
    """

    cpu: int = 0
    memory: int = 0
    gpus: int = 0
    gpu_model: str = ""


class Container(msgspec.Struct, frozen=True, kw_only=True):
    """`command` replaces the image's command, `entrypoint` its entry point; None leaves them."""

    image: str
    entrypoint: tuple[str, ...] | None = None
    command: tuple[str, ...] | None = None
    env: dict[str, str] = {}
    templates: tuple[str, ...] = ()
    """Names in `env` whose texts the node has to fill (`model/template.py`); the other texts are literal."""
    secret_env: dict[str, str] = {}
    """Environment variable → secret of the service."""
    secrets: dict[str, str] = {}
    """Secret of the service → path of a file inside the container, on a file system in memory."""
    configs: tuple[str, ...] = ()
    """Configs of the service that this container gets, in the service's order."""
    ports: dict[str, Port] = {}
    volumes: dict[str, str] = {}
    """Name of a volume of the deploy → path inside the container."""
    read_only_volumes: tuple[str, ...] = ()
    """Those of `volumes` that this container may only read."""
    tmpfs: dict[str, int] = {}
    """Path inside the container → bytes (0 : half of the memory) of a file system in memory."""
    shm: int = 0
    """Bytes of /dev/shm; 0 : the engine's default."""
    devices: tuple[str, ...] = ()
    """Paths of devices of the node, the same inside the container."""
    capabilities: tuple[str, ...] = ()
    privileged: bool = False
    read_only: bool = False
    """The container's own file system cannot be written."""
    health: Health = Health()
    resources: Resources = Resources()
    user: str = ""
    workdir: str = ""
    stop_signal: str = ""
    restart: Restart = "always"
    stable_after: float = 10.0
    """A container that stayed up longer than so many seconds starts again without a pause when it ends."""
