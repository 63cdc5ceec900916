"""Keeps this node's dns sidecar and the files that it answers from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from appliance.agent.assignments import AssignmentBook
from appliance.host.files import write_if_changed
from appliance.loop import Loop
from appliance.model.instance import Assignment

HOST_RESOLVER = Path("/etc/resolv.conf")
LOOK_AGAIN = 30.0
"""Seconds until the host's own name servers are looked at again."""


@dataclass(frozen=True)
class NameFiles:
    """What the sidecar is to answer from. `hosts`: file name → text; `configuration`: file name → text."""

    sidecar: Assignment
    hosts: Mapping[str, str] = field(default_factory=dict)
    configuration: Mapping[str, str] = field(default_factory=dict)


class NameServer:
    """A component. `config` and `hosts` are folders, `upstream` a file; `upstream_of` makes its text from that of the
    host's resolver. Nobody else writes there."""

    name = "names"

    def __init__(
        self,
        book: AssignmentBook,
        wanted: Callable[[], NameFiles],
        upstream_of: Callable[[str], str],
        *,
        config: Path,
        hosts: Path,
        upstream: Path,
        host_resolver: Path = HOST_RESOLVER,
    ) -> None:
        self._book = book
        self._wanted = wanted
        self._upstream_of = upstream_of
        self._config = config
        self._hosts = hosts
        self._upstream = upstream
        self._host_resolver = host_resolver
        self._loop = Loop(self.name, self.cycle, interval=LOOK_AGAIN)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        """The sidecar goes on answering."""
        self._loop.stop()

    def wake(self) -> None:
        """Call it when `wanted` may have changed."""
        self._loop.wake()

    def cycle(self) -> None:
        """Bring files and sidecar to what they should be; a file that is right is not touched. Raises OSError."""
        wanted = self._wanted()
        self._hosts.mkdir(parents=True, exist_ok=True)
        for name, text in wanted.hosts.items():
            write_if_changed(self._hosts / name, text, mode=0o644)
        for path in self._hosts.iterdir():
            if path.name not in wanted.hosts and not path.name.startswith("."):
                path.unlink()
        resolver = self._host_resolver.read_text() if self._host_resolver.exists() else ""
        write_if_changed(self._upstream, self._upstream_of(resolver), mode=0o644)
        for name, text in wanted.configuration.items():
            write_if_changed(self._config / name, text, mode=0o644)
        self._book.put(wanted.sidecar)
