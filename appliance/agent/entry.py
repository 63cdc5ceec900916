"""Keeps this node's entry sidecar and its configuration as the newest rules want them.

A rule that the sidecar refuses is left out and the others are served; nothing is put in force that was not tried.
"""

import errno
import logging
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from appliance.agent.assignments import AssignmentBook
from appliance.engine.container import INSTANCE_LABEL, ROOT_LABEL
from appliance.engine.engine import Engine
from appliance.errors import EngineError
from appliance.host.files import write_if_changed
from appliance.loop import Loop
from appliance.model.decoding import decode
from appliance.model.entry import EntryRule, HostCertificate
from appliance.model.instance import Assignment

log = logging.getLogger(__name__)

RELOAD_WITHIN = 20.0
"""Seconds for the sidecar to test or to take a configuration."""
BETWEEN = 0.5
"""Seconds from one reload to the next: each leaves a process behind until its last connection has ended."""
STARTING = 0.2
"""Seconds until it is looked again whether the sidecar runs."""

CONFIG, _NEXT, _SERVED, _CERTIFICATES = "nginx.conf", "next.conf", "served.json", "certificates"

Make = Callable[[Sequence[EntryRule], Mapping[str, str]], tuple[Assignment, str]]
"""Rules, and host → its certificate's file below the folder → the sidecar and the text of its configuration. Pure."""
Port = tuple[str, int]


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """What the configuration in force was made of. `certificates`: host → file below the folder."""

    rules: tuple[EntryRule, ...] = ()
    certificates: dict[str, str] = {}

    @property
    def ports(self) -> set[Port]:
        return {(rule.protocol, rule.port) for rule in self.rules if rule.protocol != "http"}


class EntryServer:
    """A component. Without a rule there is no sidecar, and the node's ports stay free.

    `folder` is what the container sees as /config; `program` is what it runs, without a configuration. `remark` is told
    the sidecar's instance and one sentence on rules that are left out ("" : none). `in_use`: somebody has the port.
    """

    name = "entry"

    def __init__(
        self,
        engine: Engine,
        book: AssignmentBook,
        root_id: str,
        make: Make,
        folder: Path,
        program: str,
        remark: Callable[[str, str], None],
        in_use: Callable[[Port], bool] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._book = book
        self._root_id = root_id
        self._make = make
        self._folder = folder
        self._program = program
        self._remark = remark
        self._in_use = in_use or port_in_use
        self._clock = clock
        self._rules: tuple[EntryRule, ...] | None = None
        self._certificates: tuple[HostCertificate, ...] | None = None
        self._left_out = ""
        self._rest_until = 0.0
        self._reload_due = False
        self._loop = Loop(self.name, self.cycle, interval=60.0)

    def start(self) -> None:
        self._loop.start()

    def stop(self) -> None:
        self._loop.stop()

    def update(self, rules: tuple[EntryRule, ...], certificates: tuple[HostCertificate, ...] | None) -> None:
        """Returns at once; `certificates` None : as before. Before the first call everything stays as it was when the
        agent last ran."""
        self._rules = rules
        if certificates is not None:
            self._certificates = certificates
        self._loop.wake()

    def cycle(self) -> float | None:
        """Raises EngineError when the sidecar takes none of the configurations: the last good one stays in force."""
        if self._rules is None or self._certificates is None:
            return None
        sidecar, _ = self._make((), {})
        if not self._rules:
            self._end(sidecar.instance)
            return None
        container = self._running(sidecar.instance)
        if container is None:
            self._begin()
        elif (rest := self._rest_until - self._clock()) > 0:
            return rest
        else:
            self._follow(container, self._rules, self._write(self._certificates))
        self._book.put(sidecar)
        return STARTING if container is None else None

    # -- steps -----------------------------------------------------------------------------------------------------

    def _end(self, sidecar: str) -> None:
        if self._book.get(sidecar) is not None:
            self._book.forget(sidecar)
        self._put(Served())
        self._forget_certificates({})

    def _begin(self) -> None:
        """With what was in force before: what is new can be tried once the sidecar runs."""
        before = self._served()
        free = tuple(rule for rule in before.rules if rule.protocol == "http" or not self._in_use(_port(rule)))
        self._put(Served(rules=free, certificates=before.certificates))

    def _follow(self, container: str, rules: tuple[EntryRule, ...], files: dict[str, str]) -> None:
        before = self._served()
        taken = {port for rule in rules if (port := _port(rule))[1] and port not in before.ports and self._in_use(port)}
        left_out = {rule.name: "another program of the node has the port" for rule in rules if _port(rule) in taken}
        wanted = tuple(rule for rule in rules if _port(rule) not in taken)
        if self._make(wanted, files)[1] != self._text():
            wanted, refused = self._accepted(container, wanted, files)
            left_out |= refused
            if self._put(Served(rules=wanted, certificates=files)):
                self._reload_due = True
        if self._reload_due:
            if why := self._run(container, CONFIG, "-s", "reload"):
                raise _refusal(container, why)
            self._reload_due = False
            self._rest_until = self._clock() + BETWEEN
            self._forget_certificates(files)
        self._tell(left_out)

    def _accepted(
        self, container: str, rules: tuple[EntryRule, ...], files: dict[str, str]
    ) -> tuple[tuple[EntryRule, ...], dict[str, str]]:
        """Those that the sidecar takes together, and why it does not take the others. Halves are tried, and halves of
        the half that it refuses."""
        why = self._why_refused(container, rules, files)
        if not why:
            return rules, {}
        middle = len(rules) // 2
        good: tuple[EntryRule, ...] = ()
        refused = {rule.name: why for rule in rules} if len(rules) == 1 else {}
        for half in (rules[:middle], rules[middle:]) if len(rules) > 1 else ():
            taken, others = self._accepted(container, half, files)
            good, refused = good + taken, refused | others
        if why := self._why_refused(container, good, files):
            raise _refusal(container, why)
        return good, refused

    def _why_refused(self, container: str, rules: tuple[EntryRule, ...], files: dict[str, str]) -> str:
        """ "" : they are taken."""
        write_if_changed(self._folder / _NEXT, self._make(rules, files)[1], mode=0o644)
        return self._run(container, _NEXT, "-t")

    def _tell(self, left_out: Mapping[str, str]) -> None:
        said = "; ".join(f"rule {name} is left out: {why}" for name, why in sorted(left_out.items()))
        if said != self._left_out:
            log.warning("entry: %s", said or "no rule is left out any more")
            self._left_out = said
            self._remark(self._make((), {})[0].instance, said[:1000])

    # -- the sidecar and its files ---------------------------------------------------------------------------------

    def _put(self, served: Served) -> bool:
        """Whether the configuration is another one than before."""
        write_if_changed(self._folder / _SERVED, msgspec.json.encode(served))
        return write_if_changed(self._folder / CONFIG, self._make(served.rules, served.certificates)[1], mode=0o644)

    def _served(self) -> Served:
        try:
            return decode((self._folder / _SERVED).read_bytes(), Served)
        except (OSError, ValueError):
            return Served()

    def _text(self) -> str:
        try:
            return (self._folder / CONFIG).read_text()
        except (OSError, UnicodeDecodeError):
            return ""

    def _write(self, certificates: Sequence[HostCertificate]) -> dict[str, str]:
        """A new certificate is a new file, so that the configuration says which one is in force."""
        files = {}
        for each in certificates:
            text = each.chain + each.key
            name = f"{each.host.replace('*', '_') or '_'}-{sha256(text.encode()).hexdigest()[:12]}.pem"
            files[each.host] = f"{_CERTIFICATES}/{name}"
            write_if_changed(self._folder / files[each.host], text)
        return files

    def _forget_certificates(self, files: Mapping[str, str]) -> None:
        for path in (self._folder / _CERTIFICATES).glob("*.pem"):
            if f"{_CERTIFICATES}/{path.name}" not in files.values():
                path.unlink()

    def _running(self, instance: str) -> str | None:
        found = self._engine.list({ROOT_LABEL: self._root_id, INSTANCE_LABEL: instance})
        return next((container.name for container in found if container.state == "running"), None)

    def _run(self, container: str, config: str, *arguments: str) -> str:
        """What the program says against it ("" : nothing). Raises EngineError when it did not come to an end."""
        command = (self._program, "-c", f"/config/{config}", "-e", "stderr", *arguments)
        done = self._engine.execute(container, command, RELOAD_WITHIN)
        if done.exit_code is None:
            raise _refusal(container, f"it took longer than {RELOAD_WITHIN:g} s")
        said = done.output.decode(errors="replace").strip()[-500:]
        return (said or f"it ended with code {done.exit_code}") if done.exit_code else ""


def port_in_use(port: Port) -> bool:
    """Whether some program of the host has a ``tcp`` or ``udp`` port on any address."""
    protocol, number = port
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM) as probe:
        if protocol == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("0.0.0.0", number))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _port(rule: EntryRule) -> Port:
    return rule.protocol, rule.port


def _refusal(container: str, why: str) -> EngineError:
    return EngineError(
        "The entry's sidecar does not take its configuration; the last good one stays in force.",
        where=container,
        why=why,
        next="see: appliance logs of the entry sidecar",
    )
