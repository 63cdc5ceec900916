"""Measures what this node and its instances use, and reads the numbers that instances themselves serve."""

import http.client
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from appliance.agent.assignments import AssignmentBook
from appliance.agent.metrics_text import sum_of
from appliance.engine.engine import Engine
from appliance.errors import ApplianceError
from appliance.host import facts
from appliance.host.cgroups import Group, group_of, mounts
from appliance.model.instance import Assignment, InstanceStatus
from appliance.model.usage import InstanceUsage, NodeUsage

log = logging.getLogger(__name__)

INTERVAL = 10.0
"""Seconds between two measurements."""
ANSWER_WITHIN = 2.0
"""Seconds for an instance's own numbers."""
LARGEST_ANSWER = 4 * 1024 * 1024
_ASKING = 4


@dataclass(frozen=True)
class _Sample:
    at: float
    cpu_seconds: float


class Meter:
    """A component. `statuses` are the supervisor's; `newest` is handed to managers with each heartbeat."""

    name = "meter"

    def __init__(
        self,
        engine: Engine,
        book: AssignmentBook,
        statuses: Callable[[], tuple[InstanceStatus, ...]],
        clock: Callable[[], float] = time.monotonic,
        proc: Path = Path("/proc"),
    ) -> None:
        self._engine = engine
        self._book = book
        self._statuses = statuses
        self._clock = clock
        self._proc = proc
        self._mounted: Mapping[str, Path] = {}
        self._groups: dict[str, Group] = {}
        self._samples: dict[str, _Sample] = {}
        self._newest: NodeUsage | None = None
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._asking = ThreadPoolExecutor(_ASKING, "metric")

    def start(self) -> None:
        self._mounted = mounts((self._proc / "self/mountinfo").read_text())
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._asking.shutdown(wait=False, cancel_futures=True)

    def newest(self) -> NodeUsage | None:
        """None until two measurements have been taken."""
        return self._newest

    def _run(self) -> None:
        complaint = ""
        while not self._stopping.is_set():
            try:
                self.measure()
                complaint = ""
            except (OSError, ApplianceError) as error:
                if str(error) != complaint:
                    complaint = str(error)
                    log.warning("meter: %s; trying again", error)
            self._stopping.wait(INTERVAL)

    def measure(self) -> None:
        """Take one measurement of everything that runs."""
        statuses = self._statuses()
        metrics = self._ask_all(statuses)
        instances = []
        alive = {"": self._share("", _node_cpu_seconds((self._proc / "stat").read_text()))}
        for status in statuses:
            shares = {c.id: self._container(c.id) for c in status.containers if c.state == "running"}
            known = {container: share for container, share in shares.items() if share is not None}
            alive |= {container: cpu for container, (cpu, _) in known.items()}
            if known:
                cpu = sum(cpu or 0 for cpu, _ in known.values())
                memory = sum(memory for _, memory in known.values())
                if all(share is not None for share, _ in known.values()):
                    metric = metrics.get(status.instance)
                    instances.append(InstanceUsage(instance=status.instance, cpu=cpu, memory=memory, metric=metric))
        node = alive[""]
        self._forget(alive)
        if node is not None:
            used = facts.memory_total() - facts.memory_available()
            self._newest = NodeUsage(cpu=node, memory=used, instances=tuple(instances))

    def _container(self, container: str) -> tuple[int | None, int] | None:
        """(thousandths of a core since the last measurement, bytes); None when it is gone."""
        try:
            group = self._groups.get(container) or self._find(container)
            if group is None:
                return None
            self._groups[container] = group
            return self._share(container, group.cpu_seconds()), group.memory_bytes()
        except (OSError, ValueError):
            self._groups.pop(container, None)  # it ended while we looked
            return None

    def _find(self, container: str) -> Group | None:
        found = self._engine.inspect(container)
        if found is None or not found.pid:
            return None
        return group_of((self._proc / str(found.pid) / "cgroup").read_text(), self._mounted)

    def _share(self, key: str, cpu_seconds: float) -> int | None:
        """Thousandths of a core since the last sample of `key`; None for the first one."""
        now = self._clock()
        before, self._samples[key] = self._samples.get(key), _Sample(now, cpu_seconds)
        if before is None or now <= before.at:
            return None
        return max(0, round((cpu_seconds - before.cpu_seconds) / (now - before.at) * 1000))

    def _forget(self, alive: Mapping[str, object]) -> None:
        for known in (self._samples, self._groups):
            for key in [key for key in known if key not in alive]:
                del known[key]

    def _ask_all(self, statuses: tuple[InstanceStatus, ...]) -> dict[str, float]:
        """The numbers of instances whose deploy is scaled by one."""
        asked = {}
        for status in statuses:
            assignment = self._book.get(status.instance)
            if status.ready and assignment is not None and assignment.metric is not None:
                asked[status.instance] = self._asking.submit(_ask, assignment)
        answers = {instance: future.result() for instance, future in asked.items()}
        return {instance: value for instance, value in answers.items() if value is not None}


def _ask(assignment: Assignment) -> float | None:
    """None when the instance does not answer, or not with that number."""
    metric = assignment.metric
    assert metric is not None
    connection = http.client.HTTPConnection(assignment.ip or "127.0.0.1", metric.port, timeout=ANSWER_WITHIN)
    try:
        connection.request("GET", metric.path)
        answer = connection.getresponse()
        text = answer.read(LARGEST_ANSWER).decode(errors="replace")
        return sum_of(text, metric.query) if answer.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError) as error:
        log.info("%s did not serve %s: %s", assignment.instance, metric.query, error)
        return None
    finally:
        connection.close()


def _node_cpu_seconds(stat: str) -> float:
    """Busy processor time since the start of the machine, from the text of /proc/stat (proc_stat(5))."""
    user, nice, system, _idle, _wait, irq, softirq, steal = (int(n) for n in stat.splitlines()[0].split()[1:9])
    return (user + nice + system + irq + softirq + steal) / _TICKS


_TICKS = 100
"""USER_HZ, which is 100 on every architecture that we are built for."""
