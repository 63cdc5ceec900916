"""A service on its stage: decisions are written as the controller writes them, and nodes do what the test says."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import msgspec

from appliance.model.container import Container
from appliance.model.definition import part
from appliance.model.instance import Instance, InstanceStatus
from appliance.model.job import Job, JobRun, JobState
from appliance.model.node import NodeSpec
from appliance.model.service import Deploy, Revision, Rollout, Service, ServiceHead
from appliance.orchestrator.decisions import (
    Alter,
    Create,
    Decision,
    Forget,
    ForgetHistory,
    ForgetService,
    Record,
    Renew,
    StartRun,
)
from appliance.orchestrator.rollout import is_timed
from appliance.orchestrator.runs import new_run
from appliance.orchestrator.services import decide
from appliance.orchestrator.snapshot import Snapshot

BAD = "bad:1"
"""An image with which nothing becomes ready and no job succeeds."""


def deploy(name: str, rank: int = 0, replicas: int = 1, image: str = "a:1", **fields: object) -> Deploy:
    wanted = {"name": name, "rank": rank, "replicas": replicas, "containers": {"main": {"image": image}}, **fields}
    return msgspec.convert(wanted, Deploy)


def job(name: str, rank: int = 0, image: str = "a:1") -> Job:
    return Job(name=name, type="once", rank=rank, container=Container(image=image))


def spec(*parts: Deploy | Job, **fields: object) -> Service:
    deploys = {each.name: each for each in parts if isinstance(each, Deploy)}
    jobs = {each.name: each for each in parts if isinstance(each, Job)}
    return msgspec.convert({"name": "s", "deploys": deploys, "jobs": jobs, **fields}, Service)


def node(number: int, **fields: object) -> NodeSpec:
    wanted = {"id": f"n{number}", "name": f"n{number}", "number": number, "address": f"192.0.2.{number}", **fields}
    return msgspec.convert(wanted, NodeSpec)


@dataclass
class Stage:
    """`idle`, `ready_for` and `away` (node → seconds) are what the leader's clock says."""

    head: ServiceHead = field(default_factory=lambda: ServiceHead(service="s", revision=0))
    revisions: dict[int, Revision] = field(default_factory=dict)
    instances: dict[str, Instance] = field(default_factory=dict)
    bindings: dict[str, str] = field(default_factory=dict)
    statuses: dict[str, InstanceStatus] = field(default_factory=dict)
    nodes: dict[str, NodeSpec] = field(default_factory=lambda: {f"n{number}": node(number) for number in (1, 2, 3)})
    rollout: Rollout | None = None
    runs: dict[str, JobRun] = field(default_factory=dict)
    job_states: dict[str, JobState] = field(default_factory=dict)
    away: dict[str, float] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()
    idle: float = 0.0
    ready_for: dict[str, float] | None = None
    log: list[Decision] = field(default_factory=list)
    forgotten: bool = False

    def apply(self, wanted: Service, **fields: object) -> None:
        number = max(self.revisions, default=0) + 1
        revision = Revision(service="s", number=number, spec=wanted, author="a", created_at="")
        self.revisions[number] = msgspec.structs.replace(revision, **fields)
        self.want(revision=number)

    def want(self, **fields: object) -> None:
        self.head = msgspec.structs.replace(self.head, **fields)

    def seen(self) -> Snapshot:
        seen = Snapshot(
            head=self.head,
            revisions=dict(self.revisions),
            instances=dict(self.instances),
            bindings={name: node for name, node in self.bindings.items() if node in self.nodes},
            statuses=dict(self.statuses),
            nodes=dict(self.nodes),
            rollout=self.rollout,
            runs=dict(self.runs),
            secrets=self.secrets,
            waits_for=self.waits_for,
            unreachable=dict(self.away),
            ready_for=self.ready_for,
            idle=self.idle,
            now="now",
        )
        return seen if is_timed(seen) else replace(seen, idle=0.0)

    def step(self) -> list[Decision]:
        """Decide once and write it."""
        decisions = decide(self.seen())
        for decision in decisions:
            self._write(decision)
        self.log += decisions
        return decisions

    def bind(self) -> None:
        """What a scheduler does, simply."""
        for name, instance in self.instances.items():
            if name not in self.bindings and instance.desired != "removed" and (home := self._home(instance)):
                self.bindings[name] = home

    def obey(self, *names: str) -> None:
        """The nodes that can be reached do all they were told, or what they were told of these instances."""
        for name in names or list(self.instances):
            instance = self.instances.get(name)
            if instance is not None and name in self.bindings and self._is_up(self.bindings[name]):
                self.statuses[name] = self._status(instance)
                self._end_run(instance)

    def settle(self, rounds: int = 100) -> None:
        for _ in range(rounds):
            decisions = self.step()
            if self.forgotten:
                return
            before = dict(self.statuses), dict(self.bindings), dict(self.runs)
            self.bind()
            self.obey()
            if not decisions and before == (self.statuses, self.bindings, self.runs):
                return
        raise AssertionError(f"the decisions never end: {self.log[-5:]}")

    def revision_of(self, *names: str) -> list[int]:
        return [self.instances[name].revision for name in names]

    def _is_up(self, node_id: str) -> bool:
        return node_id in self.nodes and node_id not in self.away

    def _home(self, instance: Instance) -> str:
        for node_id, each in self.nodes.items():
            fits = instance.node in ("", node_id) and instance.avoid != node_id
            if fits and not each.cordoned and not each.draining and not each.evicted and self._is_up(node_id):
                return node_id
        return ""

    def _status(self, instance: Instance) -> InstanceStatus:
        wanted = part(self.revisions[instance.revision].spec, instance.deploy)
        bad = wanted is not None and any(container.image == BAD for container in wanted.containers.values())
        broken = bad and instance.desired == "running"
        before = self.statuses.get(instance.name)
        return InstanceStatus(
            instance=instance.name,
            node=self.bindings[instance.name],
            state="backoff" if broken else instance.desired,
            ready=not broken and instance.desired == "running",
            revision=instance.revision,
            restart=instance.restart,
            generation=instance.generation,
            failures=(before.failures if before else 0) + 1 if broken else 0,
            message="main ended with code 3" if broken else "",
        )

    def _end_run(self, instance: Instance) -> None:
        if instance.run:
            name = f"s/{instance.deploy}/{instance.run:08d}"
            status = self.statuses.pop(instance.name)
            outcome = "succeeded" if status.ready else "failed"
            self.runs[name] = msgspec.structs.replace(self.runs[name], outcome=outcome, exit_code=int(not status.ready))
            del self.instances[instance.name], self.bindings[instance.name]

    def _write(self, decision: Decision) -> None:
        match decision:
            case Create(instance) | Alter(instance):
                self.instances[instance.name] = instance
            case Renew(instance):
                self.instances[instance.name] = instance
                self._drop(instance.name)
            case Forget(name):
                del self.instances[name]
                self._drop(name)
            case Record(rollout):
                self.rollout = rollout
            case StartRun(name, number):
                known = self.job_states.get(name) or JobState(service="s", job=name)
                made = new_run(known, self.revisions[number], reason="rank", now="now")
                self.job_states[name] = made.state
                self.runs[f"s/{name}/{made.run.number:08d}"] = made.run
                self.instances |= {each.name: each for each in made.instances}
            case ForgetHistory(numbers, secrets):
                for number in numbers:
                    del self.revisions[number]
                self.secrets = tuple(each for each in self.secrets if each not in secrets)
            case ForgetService():
                self.forgotten = True

    def _drop(self, name: str) -> None:
        self.bindings.pop(name, None)
        self.statuses.pop(name, None)


def names(decisions: Iterable[Decision]) -> list[str]:
    return [each.instance.name for each in decisions if isinstance(each, Create | Alter | Renew)]
