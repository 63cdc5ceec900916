"""The container engine Docker (API 1.41 and newer), by the `docker` package's low-level client."""

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Literal

import docker
import docker.errors
import requests.exceptions

from appliance.engine.engine import (
    ContainerSettings,
    ContainerState,
    EngineEvent,
    Events,
    ExecSession,
    Execution,
    LogStream,
    NetworkSettings,
)
from appliance.errors import EngineError, EngineUnavailable, NoSuchContainer

CALL_SECONDS = 60
LOAD_SECONDS = 1800
_API = "1.41"
"""That of Docker 20.10, the oldest engine we take."""
_NEVER = "0001-01-01T00:00:00Z"

_Stream = Literal["stdout", "stderr"]


class DockerEngine:
    """`path` is the engine's unix socket."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._client = self._connect(CALL_SECONDS)
        self._ids_are_configurations: bool | None = None

    def version(self) -> str:
        with self._errors("version"):
            return f"docker {self._client.version()['Version']}"

    def list(self, labels: Mapping[str, str]) -> list[ContainerState]:
        with self._errors("list containers"):
            listed = self._client.containers(all=True, filters={"label": _label_filter(labels)})
        # The list tells neither when a container was started nor how it ended. One after the other: the time goes into
        # our own HTTP client, so that threads make nothing quicker.
        found = (self.inspect(item["Id"]) for item in listed)
        return [state for state in found if state is not None]

    def inspect(self, name: str) -> ContainerState | None:
        try:
            with self._errors(name):
                return _state(self._client.inspect_container(name))
        except NoSuchContainer:
            return None

    def create(self, settings: ContainerSettings) -> str:
        with self._errors(settings.name):
            try:
                made = self._client.create_container_from_config(create_request(settings), settings.name)
                return str(made["Id"])
            except docker.errors.APIError as error:
                if error.status_code != 409:
                    raise
        # The name is taken: by a create of ours whose answer was lost, or by something that is not this.
        existing = self.inspect(settings.name)
        if existing is not None and dict(existing.labels).items() >= dict(settings.labels).items():
            return existing.id
        raise EngineError(
            f"There is another container called {settings.name}.",
            where=str(self._path),
            next="remove or rename it",
        )

    def start(self, name: str) -> None:
        with self._errors(name):
            self._client.start(name)

    def stop(self, name: str, grace: float) -> None:
        with self._errors(name):
            self._client.stop(name, timeout=round(grace))

    def remove(self, name: str) -> None:
        with contextlib.suppress(NoSuchContainer), self._errors(name):
            try:
                self._client.remove_container(name, v=True, force=True)
            except docker.errors.APIError as error:
                if error.status_code != 409 or "already in progress" not in str(error.explanation):
                    raise
                self._client.wait(name, condition="removed")

    def events(self, labels: Mapping[str, str]) -> Events:
        with self._errors("events"):
            filters = {"type": "container", "label": _label_filter(labels)}
            return _Events(self._client.events(decode=True, filters=filters), self._errors)

    def logs(self, name: str, *, follow: bool, tail: int | None, timestamps: bool = False) -> LogStream:
        with self._errors(name):
            state = self._client.inspect_container(name)
            client = self._connect(None if follow else CALL_SECONDS)
            url = client._url("/containers/{0}/logs", name)
            wanted: dict[str, Any] = {"stdout": 1, "stderr": 1, "follow": int(follow), "timestamps": int(timestamps)}
            wanted["tail"] = "all" if tail is None else tail
            response = client._get(url, params=wanted, stream=True)
            client._raise_for_status(response)
        return _LogStream(client, response, terminal=bool(state["Config"]["Tty"]))

    def execute(self, name: str, command: tuple[str, ...], timeout: float) -> Execution:
        session = self.open_exec(name, command, terminal=False)
        timer = threading.Timer(timeout, session.close)
        timer.start()
        output = bytearray()
        try:
            while (piece := session.read()) is not None:
                output += piece[1]
        except OSError:
            pass  # closed by the timer, in the middle of a read
        finally:
            timer.cancel()
        if isinstance(session, _DockerExec) and session.closed:
            return Execution(None, bytes(output))
        code = session.exit_code()
        session.close()
        return Execution(code, bytes(output))

    def open_exec(
        self, name: str, command: tuple[str, ...], *, terminal: bool, env: Mapping[str, str] | None = None
    ) -> ExecSession:
        with self._errors(name):
            made = self._client.exec_create(
                name, list(command), stdin=True, tty=terminal, environment=dict(env or {}) or None
            )
            raw = self._client.exec_start(made["Id"], tty=terminal, socket=True)
        return _DockerExec(self._client, made["Id"], raw, terminal=terminal)

    def image_id(self, reference: str) -> str | None:
        try:
            with self._errors(reference):
                return str(self._client.inspect_image(reference)["Id"])
        except NoSuchContainer:
            return None

    def ids_are_configurations(self) -> bool:
        # docs.docker.com, "containerd image store": an id there is the digest of the manifest.
        if self._ids_are_configurations is None:
            with self._errors("info"):
                status = dict(self._client.info().get("DriverStatus") or ())
            self._ids_are_configurations = status.get("driver-type") != "io.containerd.snapshotter.v1"
        return self._ids_are_configurations

    def pull(self, reference: str) -> None:
        with self._errors(reference):
            for line in self._client.pull(reference, stream=True, decode=True):
                _raise_reported(line, f"The image {reference} could not be fetched.")

    def load(self, archive: BinaryIO, progress: Callable[[str], None] | None = None) -> None:
        client = self._connect(LOAD_SECONDS)
        with contextlib.closing(client), self._errors("load images"):
            response = client._post(client._url("/images/load"), data=archive, params={"quiet": 1}, stream=True)
            client._raise_for_status(response)
            for line in client._stream_helper(response, decode=True):
                _raise_reported(line, "The engine could not load the images.")
                if progress is not None and line.get("stream"):
                    progress(str(line["stream"]).strip())

    def ensure_network(self, settings: NetworkSettings) -> None:
        wanted = network_request(settings)
        with self._errors(settings.name):
            try:
                existing = self._client.inspect_network(settings.name)
            except docker.errors.NotFound:
                existing = None
        if existing is not None:
            if _same_network(existing, wanted):
                return
            if existing["Containers"]:
                raise EngineError(
                    f"The network {settings.name} is not as it should be, and containers use it.",
                    where=str(self._path),
                    why=f"it is {existing['IPAM']['Config']}, not {wanted['IPAM']['Config']}",
                    next="run `appliance down` and `appliance up`",
                )
            self.remove_network(settings.name)
        with self._errors(settings.name):
            response = self._client._post_json(self._client._url("/networks/create"), data=wanted)
            self._client._raise_for_status(response)

    def remove_network(self, name: str) -> None:
        with contextlib.suppress(NoSuchContainer), self._errors(name):
            self._client.remove_network(name)

    def _connect(self, timeout: Any) -> Any:
        client: Any = docker.APIClient(base_url=f"unix://{self._path}", version=_API, timeout=timeout)
        client.trust_env = False
        return client

    @contextlib.contextmanager
    def _errors(self, subject: str) -> Iterator[None]:
        """Every way in which a call can fail, as one of ours."""
        try:
            yield
        except docker.errors.NotFound as error:
            raise NoSuchContainer(
                f"The engine has no {subject}.", where=str(self._path), why=str(error.explanation)
            ) from error
        except docker.errors.APIError as error:
            raise EngineError(
                f"The engine refused: {subject}.", where=str(self._path), why=str(error.explanation or error)
            ) from error
        except (docker.errors.DockerException, requests.exceptions.RequestException, OSError) as error:
            raise EngineUnavailable(
                "The container engine does not answer.",
                where=str(self._path),
                why=str(error),
                next="see appliance status; it is started again by itself",
            ) from error


def create_request(settings: ContainerSettings) -> dict[str, Any]:
    """The body of ``POST /containers/create`` (Docker Engine API 1.41)."""
    host: dict[str, Any] = {
        "NetworkMode": settings.network,
        # Unlike these, `Binds` would make a folder where a source is missing, also in the place of a file.
        "Mounts": [
            {"Type": "bind", "Source": m.source, "Target": m.target, "ReadOnly": m.read_only} for m in settings.mounts
        ],
        "Tmpfs": {path: f"size={size}" if size else "" for path, size in settings.tmpfs.items()},
        "NanoCpus": settings.cpu * 1_000_000,
        "Memory": settings.memory,
        "ShmSize": settings.shm,
        "Devices": [
            {"PathOnHost": path, "PathInContainer": path, "CgroupPermissions": "rwm"} for path in settings.devices
        ],
        "CapAdd": list(settings.capabilities),
        "Privileged": settings.privileged,
        "ReadonlyRootfs": settings.read_only,
        "RestartPolicy": {"Name": "no"},
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": str(settings.log_size), "max-file": str(settings.log_files)},
        },
        "PortBindings": {
            f"{p.container_port}/{p.protocol}": [{"HostIp": p.host_address, "HostPort": str(p.host_port)}]
            for p in settings.ports
        },
    }
    request: dict[str, Any] = {
        "Image": settings.image,
        "Labels": dict(settings.labels),
        "Env": [f"{key}={value}" for key, value in settings.env.items()],
        "User": settings.user,
        "WorkingDir": settings.workdir,
        "Hostname": settings.hostname,
        "ExposedPorts": {f"{p.container_port}/{p.protocol}": {} for p in settings.ports},
        "HostConfig": host,
    }
    if settings.gpus:
        host["DeviceRequests"] = [
            {"Driver": "nvidia", "DeviceIDs": list(settings.gpus), "Capabilities": [["gpu"]]},
        ]
    if settings.stop_signal:
        request["StopSignal"] = settings.stop_signal
    if settings.entrypoint is not None:
        request["Entrypoint"] = list(settings.entrypoint)
    if settings.command is not None:
        request["Cmd"] = list(settings.command)
    if settings.ip:
        endpoint = {"IPAMConfig": {"IPv4Address": settings.ip}}
        request["NetworkingConfig"] = {"EndpointsConfig": {settings.network: endpoint}}
    return request


def network_request(settings: NetworkSettings) -> dict[str, Any]:
    """The body of ``POST /networks/create``."""
    options = {
        "com.docker.network.bridge.name": settings.bridge,
        "com.docker.network.bridge.enable_ip_masquerade": str(settings.masquerade).lower(),
    }
    if settings.mtu:
        options["com.docker.network.driver.mtu"] = str(settings.mtu)
    return {
        "Name": settings.name,
        "Driver": "bridge",
        "CheckDuplicate": True,
        "IPAM": {"Driver": "default", "Config": [{"Subnet": settings.subnet, "Gateway": settings.gateway}]},
        "Options": options,
    }


def _same_network(existing: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return bool(existing["IPAM"]["Config"] == wanted["IPAM"]["Config"] and existing["Options"] == wanted["Options"])


def _label_filter(labels: Mapping[str, str]) -> list[str]:
    return [f"{key}={value}" if value else key for key, value in labels.items()]


def _state(seen: dict[str, Any]) -> ContainerState:
    state = seen["State"]
    running = state["Status"] in ("running", "paused")
    networks = seen["NetworkSettings"]["Networks"].values()
    return ContainerState(
        id=seen["Id"],
        name=seen["Name"].lstrip("/"),
        image_id=seen["Image"],
        labels=seen["Config"]["Labels"] or {},
        state=state["Status"],
        pid=state["Pid"],
        exit_code=None if running or state["Status"] == "created" else state["ExitCode"],
        out_of_memory=state["OOMKilled"],
        error=state["Error"],
        created_at=seen["Created"],
        started_at=_time(state["StartedAt"]),
        finished_at=_time(state["FinishedAt"]),
        ip=next((network["IPAddress"] for network in networks if network["IPAddress"]), ""),
    )


def _time(text: str) -> str:
    return "" if text == _NEVER else text


def _raise_reported(line: dict[str, Any], what: str) -> None:
    """The engine answers 200 and reports what went wrong in the stream."""
    if "error" in line:
        raise EngineError(what, why=str(line["error"]), next="check the room on the disk: appliance preflight")


class _Events:
    def __init__(self, stream: Any, errors: Callable[[str], contextlib.AbstractContextManager[None]]) -> None:
        self._stream = stream
        self._errors = errors
        self._closed = False

    def __iter__(self) -> Iterator[EngineEvent]:
        try:
            with self._errors("events"):
                for event in self._stream:
                    yield _event(event)
        except EngineUnavailable:
            if self._closed:
                return
            raise
        if not self._closed:
            raise EngineUnavailable("The engine ended its stream of events.", next="it is opened again by itself")

    def close(self) -> None:
        self._closed = True
        self._stream.close()


def _event(event: dict[str, Any]) -> EngineEvent:
    attributes = event["Actor"]["Attributes"]
    code = attributes.get("exitCode")
    return EngineEvent(
        action=event["Action"],
        name=attributes.get("name", ""),
        labels=attributes,
        at=event["timeNano"] / 1e9,
        exit_code=None if code is None else int(code),
    )


class _LogStream:
    """A log has a connection of its own, so that closing it cannot disturb anybody else's call."""

    def __init__(self, client: Any, response: Any, *, terminal: bool) -> None:
        self._client = client
        self._response = response
        self._terminal = terminal
        self._closed = False

    def __iter__(self) -> Iterator[tuple[_Stream, bytes]]:
        raw = self._response.raw
        try:
            if self._terminal:
                while data := raw.read1(65536):
                    yield "stdout", data
                return
            while len(header := raw.read(8)) == 8:
                kind, size = struct.unpack(">BxxxL", header)
                yield ("stderr" if kind == 2 else "stdout"), raw.read(size)
        except Exception as error:
            if not self._closed:
                raise EngineUnavailable("The engine ended the log.", why=str(error)) from error
        finally:
            self._client.close()

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(OSError, AttributeError, ValueError):
            _socket_of(self._response).shutdown(socket.SHUT_RDWR)


def _socket_of(response: Any) -> socket.socket:
    found: socket.socket = response.raw._fp.fp.raw._sock
    return found


class _DockerExec:
    def __init__(self, client: Any, exec_id: str, raw: Any, *, terminal: bool) -> None:
        self._client = client
        self._id = exec_id
        self._raw = raw  # keeps the connection from being collected
        self._socket: socket.socket = getattr(raw, "_sock", raw)
        self._socket.settimeout(None)
        self._terminal = terminal
        self.closed = False

    def read(self) -> tuple[_Stream, bytes] | None:
        if self._terminal:
            data = self._socket.recv(65536)
            return ("stdout", data) if data else None
        header = self._exactly(8)
        if len(header) < 8:
            return None
        kind, size = struct.unpack(">BxxxL", header)
        return ("stderr" if kind == 2 else "stdout"), self._exactly(size)

    def write(self, data: bytes) -> None:
        self._socket.sendall(data)

    def close_input(self) -> None:
        self._socket.shutdown(socket.SHUT_WR)

    def resize(self, rows: int, columns: int) -> None:
        self._client.exec_resize(self._id, height=rows, width=columns)

    def exit_code(self) -> int:
        code = self._client.exec_inspect(self._id)["ExitCode"]
        if code is None:
            raise EngineError("The command has not ended yet.")
        return int(code)

    def close(self) -> None:
        self.closed = True
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        # The HTTP response owns the socket; closing the socket first would make it complain when it is collected.
        getattr(self._raw, "_response", self._raw).close()

    def _exactly(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            piece = self._socket.recv(size - len(data))
            if not piece:
                break
            data += piece
        return bytes(data)
