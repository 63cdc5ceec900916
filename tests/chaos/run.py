"""One run: a cluster, writers, jobs, and rounds of faults until so many have happened or a promise is broken."""

import contextlib
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos.client import Client, Outcome
from tests.chaos.faults import Fault, Faults, choose
from tests.chaos.history import History
from tests.chaos.promises import Broken, Promises, Watcher
from tests.chaos.world import IMAGE, World, etcd_folder, world
from tests.chaos.writers import Register, Write, Writer
from tests.lab.host import CommandFailed

COMPACT_EVERY = 5
"""Rounds between two compactions of the store's history, which make watches begin anew."""


@dataclass
class Summary:
    """What a run came to. `healed`: seconds from the end of each round's faults until all was as before."""

    seed: int
    faults: Counter[str] = field(default_factory=Counter)
    writes: Counter[str] = field(default_factory=Counter)
    healed: list[float] = field(default_factory=list)
    jobs: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    broken: str = ""

    def lines(self) -> list[str]:
        slowest, median = max(self.healed, default=0.0), statistics.median(self.healed or [0.0])
        kinds = ", ".join(f"{kind} {number}" for kind, number in sorted(self.faults.items()))
        writes, jobs = _counts(self.writes), _counts(self.jobs)
        return [
            f"seed {self.seed}: {self.faults.total()} faults in {self.seconds:.0f} s ({kinds})",
            f"writes: {writes}; jobs that may run once: {jobs}",
            f"as before after {median:.1f} s (median), {slowest:.1f} s (longest)",
            f"BROKEN: {self.broken}" if self.broken else "every promise held",
        ]


def chaos(
    package: Path, *, seed: int, faults: int, managers: int, agents: int, log: Path, tell: Callable[[str], None]
) -> Summary:
    """Run until `faults` have happened. The history lies in `log`; a promise that broke is told in the summary."""
    history = History(log)
    summary = Summary(seed)
    logs = log.with_suffix(".logs")
    with world(package, managers, agents, logs) as cluster:
        run = _Run(cluster, seed, history, summary, tell)
        begun = time.monotonic()
        try:
            run.go(faults)
        except Broken as error:
            summary.broken = str(error)
            history.write("broken", what=str(error))
            cluster.lab.copy_logs(logs)
        finally:
            summary.seconds = time.monotonic() - begun
            run.end()
    history.close()
    return summary


class _Run:
    def __init__(
        self, cluster: World, seed: int, history: History, summary: Summary, tell: Callable[[str], None]
    ) -> None:
        self._world = cluster
        self._chance = random.Random(seed)
        self._history = history
        self._summary = summary
        self._tell = tell
        clients = [cluster.client(host) for host in cluster.managers]
        self._registers = [Register(f"{node}/chaos") for node in sorted(cluster.names)]
        self._writers = [
            Writer(register, _label(register), clients, f"{seed} {register.name}", history)
            for register in self._registers
        ]
        self._jobs = Register("jobs")
        self._job_writer = Writer(self._jobs, self._once, clients, f"{seed} jobs", history)
        self._began: list[str] = []
        self._watcher = Watcher(cluster, history)
        self._promises = Promises(cluster, self._registers, history)
        self._faults = Faults(cluster.lab, cluster.hosts, etcd_folder)

    def go(self, faults: int) -> None:
        self._watcher.start()
        for writer in self._everybody:
            writer.start()
        rounds = 0
        while self._summary.faults.total() < faults:
            rounds += 1
            chosen = choose(self._chance, [h.name for h in self._world.managers], [h.name for h in self._world.agents])
            self._round(chosen, compact=rounds % COMPACT_EVERY == 0)

    def _round(self, chosen: list[Fault], *, compact: bool) -> None:
        self._history.write("faults", faults=list(map(str, chosen)))
        self._tell(f"{self._summary.faults.total():3}  {', '.join(map(str, chosen))}")
        self._faults.happen(chosen)
        self._summary.faults.update(fault.kind for fault in chosen)
        if compact:
            self._compact()
        seconds = self._promises.converged()
        self._summary.healed.append(seconds)
        self._history.write("converged", seconds=round(seconds, 1))
        for writer in self._everybody:
            writer.pause()
        self._promises.converged()
        self._promises.check(chosen)
        self._check_jobs()
        if self._watcher.broken:
            raise Broken(self._watcher.broken[0])
        for writer in self._everybody:
            writer.resume()

    @property
    def _everybody(self) -> list[Writer]:
        return [*self._writers, self._job_writer]

    def _compact(self) -> None:
        """At the first manager whose etcd takes it: right after a fault it may be that none does."""
        for host in self._world.managers:
            with contextlib.suppress(CommandFailed):
                self._world.store(host, "compact")
                self._history.write("compaction", at=host.name)
                return

    def _once(self, manager: Client, value: int) -> Outcome:
        """Every fourth time a service with a job that may run once only; the others would only fill the cluster."""
        if value % 4:
            return Outcome.REFUSED
        name = f"once{value}"
        command = f"wget -q -O - http://{self._world.counter}/hit?{name}"
        container = f'{{image: "{IMAGE}", command: [sh, -c, "{command}"]}}'
        text = f"service: {name}\njobs:\n  it: {{type: once, container: {container}}}\n"
        self._began.append(name)
        return manager.write("POST", "/api/services", {"text": text, "file": "once.yaml"})

    def _check_jobs(self) -> None:
        """No job was at work twice, and one that succeeded was; those that have ended are cleared away."""
        client = self._world.client(self._world.managers[0])
        states = {row["job"].partition("/")[0]: row["state"] for row in client.get("/api/jobs")}
        for name in list(self._began):
            state, hits = states.get(name, ""), self._world.hits(name)
            if len(hits) > 1 or (state == "succeeded" and hits != "x"):
                raise Broken(f"the job of {name}, which may run once, {state} and was at work {hits!r}")
            if state in ("succeeded", "failed"):
                self._summary.jobs[state] += 1
                self._began.remove(name)
                client.write("DELETE", f"/api/services/{name}")

    def end(self) -> None:
        self._watcher.stop()
        for writer in self._everybody:
            writer.stop()
            self._summary.writes.update(writer.counts)


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{number} {what}" for what, number in sorted(counter.items()))


def _label(register: Register) -> Write:
    node, _, label = register.name.partition("/")

    def write(manager: Client, value: int) -> Outcome:
        return manager.write("POST", f"/api/nodes/{node}/labels", {"set": {label: str(value)}, "remove": []})

    return write
