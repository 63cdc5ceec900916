"""A container of the fake engine, how it shows, and the log that it leaves."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from appliance.engine.engine import ContainerSettings, ContainerState, RunState
from appliance.engine.fake_program import Process, Stream


@dataclass(frozen=True)
class Image:
    """`id` as the engine shows it, ``sha256:…``; `command` runs where a container names none."""

    id: str
    command: tuple[str, ...] = ("sleep", "infinity")


@dataclass
class FakeContainer:
    """`network` as in the settings, but another container in it by its id. Times in ns since 1970, 0 : never."""

    settings: ContainerSettings
    id: str
    image: Image
    network: str
    created: int
    state: RunState = "created"
    process: Process | None = None
    pid: int = 0
    exit_code: int | None = None
    error: str = ""
    started: int = 0
    finished: int = 0
    ip: str = ""
    log: list[tuple[int, Stream, bytes]] = field(default_factory=list)
    executions: list[Process] = field(default_factory=list)

    @property
    def command(self) -> tuple[str, ...]:
        """An entry point hides the image's command, as in Docker."""
        settings = self.settings
        default = self.image.command if settings.entrypoint is None else ()
        return (settings.entrypoint or ()) + (default if settings.command is None else settings.command)

    def shown(self) -> ContainerState:
        return ContainerState(
            id=self.id,
            name=self.settings.name,
            image_id=self.image.id,
            labels=self.settings.labels,
            state=self.state,
            pid=self.pid,
            exit_code=self.exit_code,
            error=self.error,
            created_at=_time(self.created),
            started_at=_time(self.started),
            finished_at=_time(self.finished),
            ip=self.ip,
        )


class FakeLog:
    """Without `follow` it ends with what was there when it was asked for."""

    def __init__(
        self, turn: threading.Condition, container: FakeContainer, begin: int, *, follow: bool, timestamps: bool
    ) -> None:
        self._turn = turn
        self._container = container
        self._next = begin
        self._end = None if follow else len(container.log)
        self._timestamps = timestamps
        self._closed = False

    def __iter__(self) -> Iterator[tuple[Stream, bytes]]:
        while (line := self._line()) is not None:
            at, stream, data = line
            yield stream, (f"{_time(at)} ".encode() + data if self._timestamps else data)

    def _line(self) -> tuple[int, Stream, bytes] | None:
        with self._turn:
            lines = self._container.log
            self._turn.wait_for(lambda: self._next < len(lines) or self._over())
            if self._closed or self._next >= (len(lines) if self._end is None else self._end):
                return None
            self._next += 1
            return lines[self._next - 1]

    def _over(self) -> bool:
        return self._closed or self._end is not None or self._container.state != "running"

    def close(self) -> None:
        with self._turn:
            self._closed = True
            self._turn.notify_all()


def _time(nanoseconds: int) -> str:
    if not nanoseconds:
        return ""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z"
