"""The orchestrator over a store in memory: what it looks at, what it writes, and what its clock tells it."""

from collections.abc import Iterator

import msgspec
import pytest

from appliance.model.instance import Binding, Instance, InstanceStatus
from appliance.model.node import NodeStatus
from appliance.model.service import Revision, Rollout, Service, ServiceHead
from appliance.orchestrator.controller import Orchestrator
from appliance.orchestrator.explain import reasons
from appliance.store import keys
from appliance.store.codec import encode
from appliance.store.memory import MemoryStore
from appliance.store.mirror import Mirror
from appliance.store.state import State
from appliance.store.store import Delete, Expect, Put
from tests.unit.orchestrator.stage import deploy, job, node, spec

NOW = "2026-01-01T00:00:00Z"


class Leader:
    """A leading manager with one node; `time` is its clock."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.store = MemoryStore(lambda: 0.0)
        self.term = Expect(keys.LEADER, self.store.commit([Put(keys.LEADER, b"m")]))
        self.mirror = Mirror(self.store, keys.ROOT)
        self.state = State(self.mirror)
        self.orchestrator = Orchestrator(self.store, self.state, lambda: self.term, lambda: self.time, lambda: NOW)
        self.mirror.start()
        self.write(self.state.nodes.put("n1", node(1)), self.state.node_status.put("n1", self.status("ready")))

    def status(self, state: str) -> NodeStatus:
        return msgspec.convert({"id": "n1", "state": state, "since": NOW}, NodeStatus)

    def write(self, *operations: Put | Delete) -> None:
        assert self.mirror.wait_for(self.store.commit(operations), 5)

    def apply(self, service: str, wanted: Service, number: int = 1) -> None:
        wanted = msgspec.structs.replace(wanted, name=service)
        revision = Revision(service=service, number=number, spec=wanted, author="me", created_at=NOW)
        head = self.state.services.put(service, ServiceHead(service=service, revision=number))
        self.write(Put(keys.revision_key(service, number), encode(revision)), head)

    def obey(self) -> None:
        """The node runs everything it is told."""
        for name, instance in self.state.instances.all().items():
            binding, status = Binding(instance=name, node="n1", ip="", bound_at=NOW), _obedient(instance)
            if self.state.instance_status.get(name) != status:
                self.write(self.state.bindings.put(name, binding), self.state.instance_status.put(name, status))

    def settle(self) -> None:
        for _ in range(20):
            self.orchestrator.cycle()
            self.obey()
            before = self.revision()
            self.orchestrator.cycle()
            if self.revision() == before:
                return

    def revision(self) -> int:
        return self.store.list(keys.ROOT).revision

    def rollout(self, service: str = "s") -> Rollout:
        found = self.state.rollouts.get(service)
        assert found is not None
        return found


def _obedient(instance: Instance) -> InstanceStatus:
    return InstanceStatus(
        instance=instance.name,
        node="n1",
        state=instance.desired,
        ready=instance.desired == "running",
        revision=instance.revision,
        restart=instance.restart,
        generation=instance.generation,
    )


@pytest.fixture
def leader() -> Iterator[Leader]:
    leader = Leader()
    yield leader
    leader.mirror.stop()


def test_a_rollout_is_on_record_from_its_begin_to_its_end(leader: Leader) -> None:
    leader.apply("s", spec(deploy("web")))
    leader.orchestrator.cycle()
    assert (leader.rollout().state, leader.rollout().started_at) == ("running", NOW)
    leader.settle()
    assert (leader.rollout().state, leader.rollout().ended_at) == ("done", NOW)


def test_how_a_revision_ended_stays_on_record_until_the_revision_is_forgotten(leader: Leader) -> None:
    for number in range(1, 23):
        leader.apply("s", spec(deploy("web", image=f"a:{number}")), number)
        leader.settle()
    kept = leader.state.outcomes.all()
    assert list(kept) == list(leader.state.revisions.all())
    assert {each.state for each in kept.values()} == {"done"}
    assert "s/00000001" not in kept


def test_a_rollout_fails_by_the_leaders_own_clock_and_asks_to_be_woken_in_time(leader: Leader) -> None:
    leader.apply("s", spec(deploy("web"), rollout={"deadline": 60}))
    leader.orchestrator.cycle()
    leader.time += 10
    leader.orchestrator.cycle()
    leader.time += 20
    wait = leader.orchestrator.cycle()
    assert wait is not None and wait <= 60
    leader.time += wait
    leader.orchestrator.cycle()
    assert leader.rollout().state == "failed"


def test_a_new_leader_begins_to_count_anew(leader: Leader) -> None:
    leader.apply("s", spec(deploy("web"), rollout={"deadline": 60}))
    leader.orchestrator.cycle()
    leader.orchestrator.cycle()
    leader.time += 100
    leader.term = Expect(keys.LEADER, leader.store.commit([Put(keys.LEADER, b"m")]))
    leader.orchestrator.cycle()
    assert leader.rollout().state == "running"


def test_an_update_goes_on_once_the_instance_has_been_ready_for_long_enough(leader: Leader) -> None:
    leader.apply("s", spec(deploy("web", 0, 2, min_ready=5.0)))
    leader.settle()
    leader.time += 5
    leader.settle()
    leader.apply("s", spec(deploy("web", 0, 2, "a:2", min_ready=5.0)), number=2)
    leader.orchestrator.cycle()
    leader.obey()
    assert leader.orchestrator.cycle() == 5.0
    leader.time += 5
    leader.orchestrator.cycle()
    assert [each.revision for each in leader.state.instances.all().values()] == [2, 2]


def test_a_service_is_looked_at_again_when_one_it_depends_on_is_complete(leader: Leader) -> None:
    leader.apply("s", spec(deploy("web"), depends_on=["dbs"]))
    leader.orchestrator.cycle()
    assert reasons(leader.state, "s")[0] == "s waits for dbs, which is not complete."
    leader.apply("dbs", spec(deploy("db")))
    leader.orchestrator.cycle()
    assert sorted(leader.state.instances.all()) == ["dbs/db-0"]
    leader.obey()
    leader.orchestrator.cycle()
    assert sorted(leader.state.instances.all()) == ["dbs/db-0", "s/web-0"]


def test_a_job_is_put_on_record_when_its_rank_has_its_turn(leader: Leader) -> None:
    leader.apply("s", spec(deploy("db"), job("migrate", 1)))
    leader.settle()
    assert list(leader.state.runs.all()) == ["s/migrate/00000001"]


def test_an_instance_given_up_loses_its_binding_in_the_same_commit(leader: Leader) -> None:
    leader.apply("s", spec(deploy("web", move_after=60.0)))
    leader.settle()
    leader.write(leader.state.node_status.put("n1", leader.status("unreachable")))
    assert leader.orchestrator.cycle() == 60.0
    leader.time += 60
    before = leader.revision()
    leader.orchestrator.cycle()
    assert leader.revision() == before + 1
    assert (list(leader.state.instances.all()), leader.state.bindings.all()) == (["s/web-0"], {})


def test_what_changes_while_it_is_looked_at_is_not_decided_from(leader: Leader) -> None:
    leader.apply("s", spec(deploy("web")))
    leader.settle()
    scaled = ServiceHead(service="s", revision=1, scale={"web": 0})
    leader.write(leader.state.services.put("s", scaled))

    def changes_meanwhile() -> str:
        """The moment for records is asked for between reading and deciding."""
        leader.write(leader.state.services.put("s", msgspec.structs.replace(scaled, scale={})))
        return NOW

    leader.orchestrator = Orchestrator(
        leader.store,
        leader.state,
        lambda: leader.term,
        lambda: leader.time,
        changes_meanwhile,
    )
    leader.orchestrator.cycle()
    assert leader.state.instances.all()["s/web-0"].desired == "running"


def test_a_node_that_comes_back_while_another_service_is_looked_at_keeps_its_instances(leader: Leader) -> None:
    comes_back: list[Put] = []

    def meanwhile() -> str:
        if comes_back:
            leader.write(comes_back.pop())
        return NOW

    leader.orchestrator = Orchestrator(leader.store, leader.state, lambda: leader.term, lambda: leader.time, meanwhile)
    for service in ("s", "t"):
        leader.apply(service, spec(deploy("web", move_after=60.0)))
    leader.settle()
    leader.write(leader.state.node_status.put("n1", leader.status("unreachable")))
    leader.orchestrator.cycle()
    leader.time += 60
    comes_back.append(leader.state.node_status.put("n1", leader.status("ready")))
    leader.orchestrator.cycle()
    leader.orchestrator.cycle()
    assert list(leader.state.bindings.all()) == ["s/web-0", "t/web-0"]


def test_a_busy_service_does_not_hold_up_the_others(leader: Leader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.store.state.LONGEST_LAG", 0.1)
    leader.apply("s", spec(deploy("web")))
    leader.apply("t", spec(deploy("web")))
    leader.mirror.stop()  # the copy does not learn of this change any more
    head = ServiceHead(service="s", revision=1, paused=True)
    leader.store.commit([leader.state.services.put("s", head)])
    with pytest.raises(Exception, match="lags behind"):
        leader.orchestrator.cycle()
    listed = [entry.key for entry in leader.store.list(keys.INSTANCES).entries]
    assert listed == [keys.INSTANCES + "t/web-0"]


def test_a_deleted_service_leaves_nothing_behind(leader: Leader) -> None:
    leader.apply("s", spec(deploy("web"), job("migrate", 1)))
    leader.settle()
    head = ServiceHead(service="s", revision=1, deleted=True)
    state, run = leader.state, "s/migrate-0"  # whose end is not ours to see to
    of_run = [table.delete(run) for table in (state.instances, state.bindings, state.instance_status)]
    leader.write(state.services.put("s", head), *of_run)
    leader.settle()
    left = {entry.key[len(keys.ROOT) :] for entry in leader.store.list(keys.ROOT).entries}
    assert left == {"leader", "nodes/n1", "status/nodes/n1"}
