"""One service as of one moment, and what can be read off it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from appliance.model.definition import definition, part
from appliance.model.instance import Instance, InstanceStatus, instance_name
from appliance.model.job import JobRun
from appliance.model.node import NodeSpec
from appliance.model.service import Deploy, Revision, Rollout, ServiceHead, revision_in_effect
from appliance.orchestrator.runs import StateOfJob, job_states
from appliance.orchestrator.slots import slots


@dataclass(frozen=True, slots=True)
class Slot:
    """A place for one instance. `node`: id of the node that it has to be on, "" : any."""

    name: str
    deploy: Deploy
    index: int
    node: str


@dataclass(frozen=True)
class Snapshot:
    """`revisions` are by number; `bindings`: instance → id of its node, which exists; `autoscaled`: deploy → replicas.

    `waits_for`: services that this one depends on and that are not complete. Times are seconds by the leader's own
    clock: `unreachable`: for how long nodes have been it; `ready_for`: for how long instances have been ready, None :
    long enough; `idle`: since anything of the service last changed. `now` is the time for records, RFC 3339.
    """

    head: ServiceHead
    revisions: Mapping[int, Revision]
    instances: Mapping[str, Instance] = field(default_factory=dict)
    bindings: Mapping[str, str] = field(default_factory=dict)
    statuses: Mapping[str, InstanceStatus] = field(default_factory=dict)
    nodes: Mapping[str, NodeSpec] = field(default_factory=dict)
    rollout: Rollout | None = None
    autoscaled: Mapping[str, int] = field(default_factory=dict)
    runs: Mapping[str, JobRun] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    """Names of all versions of its secrets, as `store/keys.py` makes them, in order."""
    waits_for: tuple[str, ...] = ()
    unreachable: Mapping[str, float] = field(default_factory=dict)
    ready_for: Mapping[str, float] | None = None
    idle: float = 0.0
    now: str = ""

    @cached_property
    def target(self) -> Revision | None:
        """The revision that instances are to have; None when this manager does not know it (yet)."""
        wanted = self.revisions.get(self.head.revision)
        return self.revisions.get(revision_in_effect(self.head, self.rollout, wanted.spec if wanted else None))

    @cached_property
    def failed(self) -> bool:
        """Whether the rollout of the wanted revision failed."""
        known = self.rollout
        return known is not None and known.revision == self.head.revision and known.state == "failed"

    @property
    def went_back(self) -> bool:
        """Whether the service is to be as it was before the wanted revision."""
        return self.target is not None and self.target.number != self.head.revision

    @property
    def may_change(self) -> bool:
        """Whether instances may be created and updated: not while it is paused, nor once a rollout has failed that is
        to be left as it is. With nothing to go back to, trying on loses nothing."""
        left_as_is = self.failed and not self.went_back and self.rollout is not None and self.rollout.previous > 0
        return not self.head.paused and not left_as_is

    @cached_property
    def deployed(self) -> dict[str, Instance]:
        """The instances of deploys; those of job runs are not ours to change."""
        return {name: each for name, each in self.instances.items() if not each.run}

    @cached_property
    def slots(self) -> dict[str, Slot]:
        """Every instance that should be there, by name."""
        return self.slots_of(self.target)

    def slots_of(self, revision: Revision | None) -> dict[str, Slot]:
        deploys = revision.spec.deploys.values() if revision else ()
        return {
            name: Slot(name, deploy, index, node)
            for deploy in deploys
            for index, node in slots(deploy, self.head, self.nodes, self.autoscaled.get(deploy.name)).items()
            if (name := instance_name(self.head.service, deploy.name, index))
        }

    @cached_property
    def ranks(self) -> tuple[int, ...]:
        """Of the revision in effect, ascending; a job with a schedule has its own time."""
        if self.target is None:
            return ()
        spec = self.target.spec
        jobs = {job.rank for job in spec.jobs.values() if not job.schedule}
        return tuple(sorted(jobs | {deploy.rank for deploy in spec.deploys.values()}))

    @cached_property
    def jobs(self) -> dict[str, StateOfJob]:
        """How the jobs without a schedule stand; those of a revision that was gone back to have had their turn."""
        if self.target is None or self.went_back:
            return {}
        return job_states(self.head.service, self.target, self.runs)

    def rank_of(self, instance: Instance) -> int:
        """By the instance's own revision."""
        revision = self.revisions.get(instance.revision)
        found = part(revision.spec, instance.deploy) if revision else None
        return found.rank if found else 0

    def is_current(self, instance: Instance) -> bool:
        """An older revision will do when it asks for the same deploy: nothing is restarted for a change elsewhere."""
        return (instance.revision, instance.deploy) in self._current

    @cached_property
    def _current(self) -> frozenset[tuple[int, str]]:
        pairs = {(each.revision, each.deploy) for each in self.deployed.values()}
        return frozenset(pair for pair in pairs if self._is_same(*pair))

    def _is_same(self, number: int, deploy: str) -> bool:
        if self.target is None or number == self.target.number:
            return self.target is not None
        older = self.revisions.get(number)
        return older is not None and definition(older, deploy) == definition(self.target, deploy)

    def is_reachable(self, instance: Instance) -> bool:
        """Whether its node can be reached, or it has none."""
        return self.bindings.get(instance.name, "") not in self.unreachable

    def is_misplaced(self, instance: Instance) -> bool:
        """Whether it is on another node than the one it has to be on."""
        slot, node = self.slots.get(instance.name), self.bindings.get(instance.name, "")
        return slot is not None and bool(slot.node and node) and slot.node != node

    def is_ready(self, instance: Instance) -> bool:
        """Whether it is known to serve as it was last written."""
        status = self.statuses.get(instance.name)
        if status is None or status.state != "running" or not status.ready:
            return False
        return instance.desired == "running" and self.is_reachable(instance) and self._shows(status, instance)

    def is_steady(self, instance: Instance, least: float) -> bool:
        """Whether it has been ready for at least so many seconds."""
        if not self.is_ready(instance):
            return False
        return self.ready_for is None or self.ready_for.get(instance.name, 0.0) >= least

    def is_begun(self, instance: Instance) -> bool:
        """Whether its node has taken up what was last written of it, however well it fares."""
        status = self.statuses.get(instance.name)
        if status is None or status.state in ("preparing", "stopping", "assigned", "pending"):
            return False
        return self._shows(status, instance)

    def is_stopped(self, instance: Instance) -> bool:
        """Whether nothing of it runs, nor will."""
        status = self.statuses.get(instance.name)
        bound, state = instance.name in self.bindings, status.state if status else ""
        if instance.run:
            return not bound or state in ("succeeded", "failed", "stopped", "removed")
        return instance.desired == "stopped" and (not bound or state == "stopped")

    def is_gone(self, instance: Instance) -> bool:
        """Whether it was to be removed and nothing of it is left, as far as that can ever be known."""
        if instance.desired != "removed":
            return False
        node = self.nodes.get(self.bindings.get(instance.name, ""))
        status = self.statuses.get(instance.name)
        removed = status is not None and status.state == "removed"
        return instance.name not in self.bindings or removed or (node is not None and node.evicted)

    def _shows(self, status: InstanceStatus, instance: Instance) -> bool:
        return (status.revision, status.restart, status.generation) == (
            instance.revision,
            instance.restart,
            instance.generation,
        )
