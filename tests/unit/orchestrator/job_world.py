"""A cluster in memory whose node does what it is told, and whose store can break at every commit."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from appliance.errors import StoreUnavailable
from appliance.model.container import Container
from appliance.model.instance import Binding, InstanceState, InstanceStatus, JobStatus
from appliance.model.job import Job, JobRun
from appliance.model.node import NodeSpec
from appliance.model.service import Revision, Service, ServiceHead
from appliance.orchestrator.controller import Orchestrator
from appliance.orchestrator.jobs_controller import Jobs
from appliance.orchestrator.runs import begin, job_states
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.memory import MemoryStore
from appliance.store.state import State
from appliance.store.store import Delete, Entry, Expect, Put

MORNING = datetime(2026, 11, 25, 9, 0, 0, tzinfo=UTC)
NODE = "n-1"


class BreakingStore(MemoryStore):
    """Loses the request, or the answer, of the commits that `breaks` names by their number, from 1."""

    def __init__(self) -> None:
        super().__init__(lambda: 0.0)
        self.breaks: dict[int, str] = {}
        self.commits = 0

    def commit(self, operations: Sequence[Put | Delete], expect: Sequence[Expect] = ()) -> int:
        self.commits += 1
        broken = self.breaks.get(self.commits)
        if broken == "request":
            raise StoreUnavailable("etcd is away.")
        revision = super().commit(operations, expect)
        if broken == "answer":
            raise StoreUnavailable("etcd went away before it answered.")
        return revision


class DirectCopy:
    """The store itself as a copy that never lags; `lag` makes it show what was there at that moment."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._old: tuple[int, dict[str, Entry]] | None = None

    def lag(self) -> None:
        listing = self._store.list(keys.ROOT)
        self._old = listing.revision, {entry.key: entry for entry in listing.entries}

    def catch_up(self) -> None:
        self._old = None

    @property
    def revision(self) -> int:
        return self._old[0] if self._old else self._store.list(keys.ROOT).revision

    def get(self, key: str) -> Entry | None:
        return self._old[1].get(key) if self._old else self._store.get(key)

    def below(self, prefix: str) -> list[Entry]:
        if self._old:
            return [entry for key, entry in self._old[1].items() if key.startswith(prefix)]
        return list(self._store.list(prefix).entries)

    def changed_since(self, revision: int) -> frozenset[str] | None:
        return None

    def wait_for(self, revision: int, timeout: float) -> bool:
        return self.revision >= revision

    def subscribe(self, prefix: str, callback: Callable[[], None]) -> Callable[[], None]:
        return lambda: None


class World:
    """The service ``shop`` with the job ``report``, a node, and a manager that leads."""

    def __init__(self) -> None:
        self.store = BreakingStore()
        self.copy = DirectCopy(self.store)
        self.state = State(self.copy)
        self.now = MORNING.timestamp()
        self.steady = 0.0
        self.started: list[str] = []
        """Every start that the node was told, in order."""
        self.node = NodeSpec(id=NODE, name="n1", number=1, address="192.0.2.1")
        self.write(self.state.nodes.put(NODE, self.node))
        self.lead()

    def lead(self) -> None:
        """Another manager takes over, with nothing in its memory."""
        self.term: Expect | None = Expect(keys.LEADER, self.write(Put(keys.LEADER, b"m")))
        self.jobs = Jobs(self.store, self.state, lambda: self.term, lambda: self.now, lambda: self.steady)

    def write(self, *operations: Put | Delete) -> int:
        return MemoryStore.commit(self.store, operations)

    def apply(self, **fields: object) -> Revision:
        base = Job(name="report", type="normal", container=Container(image="a:1"))
        job = msgspec.structs.replace(base, **fields)
        return self.apply_spec(Service(name="shop", jobs={"report": job}))

    def apply_spec(self, spec: Service) -> Revision:
        head = self.state.services.get("shop") or ServiceHead(service="shop", revision=0)
        number = head.revision + 1
        revision = Revision(service="shop", number=number, spec=spec, author="me", created_at="")
        self.write(Put(keys.revision_key("shop", number), encode(revision)))
        self.change_head(revision=number)
        return revision

    @property
    def head(self) -> ServiceHead:
        return self.state.services.get("shop") or ServiceHead(service="shop", revision=0)

    def change_head(self, **fields: object) -> None:
        self.write(self.state.services.put("shop", msgspec.structs.replace(self.head, **fields)))

    def ask(self) -> None:
        """A person wants a run."""
        self.change_head(runs={"report": self.head.runs.get("report", 0) + 1})

    def cancel(self, *numbers: int) -> None:
        self.change_head(cancelled=tuple(f"shop/report/{number}" for number in numbers))

    def cycle(self) -> float | None:
        return self.jobs.cycle()

    def begin_by_rank(self) -> None:
        """What the orchestrator does when the job's rank is due."""
        revision = self.state.revision("shop", self.head.revision)
        assert revision is not None
        if job_states("shop", revision, self.state.runs.all()).get("report") == "due":
            change = begin(self.state, "shop", "report", revision, reason="rank", now="2026-11-25T09:00:00Z")
            assert self.term is not None
            self.store.commit(change.operations, (*change.expect, self.term))

    def orchestrate(self) -> None:
        """What the orchestrator does about the service itself."""
        Orchestrator(self.store, self.state, lambda: self.term).cycle()

    def obey(self) -> None:
        """The scheduler binds, and the node does what it is told."""
        for name, instance in self.state.instances.all().items():
            if name not in self.state.bindings.all() and instance.desired == "running":
                binding = Binding(instance=name, node=NODE, ip="10.42.1.2", bound_at="")
                self.write(self.state.bindings.put(name, binding))
            if name not in self.state.bindings.all():
                continue
            known = self.state.instance_status.get(name)
            if instance.desired == "running" and known is None:
                self.started.append(name)
                self.report(name, "running")
            elif instance.desired == "removed":
                self.report(name, "removed", job=known.job if known else None)
            elif instance.desired == "stopped" and known is not None and known.state == "running":
                self.report(name, "stopped", job=known.job)

    def report(self, name: str, state: InstanceState, job: JobStatus | None = None) -> None:
        found = job or JobStatus(tries=1, started_at="2026-11-25T09:00:01Z")
        status = InstanceStatus(instance=name, node=NODE, state=state, job=found)
        self.write(self.state.instance_status.put(name, status))

    def finish(self, name: str, exit_code: int = 0, tries: int = 1) -> None:
        job = JobStatus(
            tries=tries, exit_code=exit_code, started_at="2026-11-25T09:00:01Z", finished_at="2026-11-25T09:00:05Z"
        )
        self.report(name, "failed" if exit_code else "succeeded", job)

    def settle(self) -> None:
        """Until nothing changes any more."""
        for _ in range(20):
            before = self.copy.revision
            self.cycle()
            self.obey()
            if self.copy.revision == before:
                return
        raise AssertionError("it never settles")

    def runs(self) -> list[JobRun]:
        """By what the store has, however far the copy lags."""
        return list(State(DirectCopy(self.store)).runs.all().values())

    def outcomes(self) -> list[str]:
        return [run.outcome for run in self.runs()]
