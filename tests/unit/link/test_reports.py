"""What nodes report, on its way into the store."""

from collections.abc import Iterator

import pytest

from appliance.link.messages import Hello, Report
from appliance.link.reports import LEFT_FOR, RETRY, UNREACHABLE_AFTER, Reports
from appliance.model.instance import InstanceState, InstanceStatus
from appliance.model.manager import Alive
from appliance.store.store import Expect
from tests.lab.waiting import eventually
from tests.unit.link.cluster_in_memory import FACTS, ClusterInMemory, seen


class House:
    def __init__(self) -> None:
        self.cluster = ClusterInMemory(nodes=3)
        self.state = self.cluster.state
        self.now = 1000.0
        self.store = self.cluster.store
        self.leads = "m1"
        self.reports = self.manager("m1")
        self.other = self.manager("m2")

    def manager(self, name: str) -> Reports:
        """A manager that is there."""
        own = Alive(id=name, run="r")
        self.cluster.commit(self.state.alive.put(name, own))
        return Reports(self.state, self.store, own, lambda: self._term(name), lambda: self.now)

    def _term(self, name: str) -> Expect | None:
        return Expect("/leader", 0) if self.leads == name else None

    def hello(self, node: str, *statuses: InstanceStatus, turn: int = 0) -> None:
        self.reports.hello(node, hello(node, *statuses, turn=turn))

    def report(self, node: str, *statuses: InstanceStatus) -> None:
        self.reports.report(node, Report(statuses=statuses))

    def cycles(self) -> None:
        self.reports.cycle()
        self.other.cycle()

    def instance_states(self) -> dict[str, str]:
        return {name: status.state for name, status in self.state.instance_status.all().items()}


def hello(node: str, *statuses: InstanceStatus, turn: int = 0) -> Hello:
    return Hello(node=node, facts=FACTS, vtep_mac="02:00", statuses=statuses, clock=0, turn=turn)


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    house.cluster.mirror.stop()


def test_a_hello_makes_the_node_ready_and_its_instances_known(house: House) -> None:
    house.cluster.bind("s/web-0", "n1")
    house.hello("n1", seen("s/web-0", "n1"))
    assert house.reports.cycle() is None
    status = house.state.node_status.get("n1")
    assert status and (status.state, status.facts, status.vtep_mac) == ("ready", FACTS, "02:00")
    assert house.state.instance_status.all() == {"s/web-0": seen("s/web-0", "n1")}


def test_only_the_latest_of_an_instance_is_written_and_nothing_twice(house: House) -> None:
    house.hello("n1")
    house.reports.cycle()
    house.cluster.bind("s/web-0", "n1")
    house.report("n1", seen("s/web-0", "n1", "starting"))
    house.report("n1", seen("s/web-0", "n1", "running"))
    before = house.cluster.mirror.revision
    house.reports.cycle()
    house.report("n1", seen("s/web-0", "n1", "running"))
    house.reports.cycle()
    assert house.instance_states() == {"s/web-0": "running"}
    assert house.cluster.mirror.revision == before + 1


def test_a_state_that_was_left_and_taken_up_again_at_once_is_written(house: House) -> None:
    house.hello("n1")
    house.reports.cycle()
    house.cluster.bind("s/web-0", "n1")
    states: list[InstanceState] = ["running", "stopped"] * 20
    for state in states:
        house.report("n1", seen("s/web-0", "n1", state))
        house.reports.cycle()
        assert house.instance_states() == {"s/web-0": state}


def test_a_node_speaks_only_for_itself(house: House) -> None:
    house.hello("n1")
    house.cluster.bind("s/web-0", "n2")
    house.cluster.bind("s/web-1", "n2")
    house.report("n1", seen("s/web-0", "n2"), seen("s/web-1", "n1"), seen("s/web-9", "n1"))
    house.reports.cycle()
    assert house.instance_states() == {}


def test_what_was_not_the_nodes_to_report_does_not_become_true_later(house: House) -> None:
    house.hello("n1")
    house.reports.cycle()
    house.report("n1", seen("s/web-0", "n1"))
    house.reports.cycle()
    house.cluster.bind("s/web-0", "n1")
    house.reports.cycle()
    assert house.instance_states() == {}


def test_sidecars_need_no_binding_but_their_node(house: House) -> None:
    house.hello("n1")
    house.hello("n8")
    house.report("n1", seen("system/etcd-1", "n1"))
    house.report("n8", seen("system/etcd-8", "n8"))
    house.reports.cycle()
    assert house.instance_states() == {"system/etcd-1": "running"}


def test_a_node_whose_link_ended_is_unreachable_and_its_instances_keep_what_was_known(house: House) -> None:
    house.cluster.bind("s/web-0", "n1")
    house.hello("n1", seen("s/web-0", "n1"))
    house.reports.cycle()
    house.reports.left("n1")
    assert house.reports.cycle() == LEFT_FOR
    assert house.cluster.node_states() == {"n1": "ready"}
    house.now += LEFT_FOR
    house.reports.cycle()
    status = house.state.node_status.get("n1")
    assert status and (status.state, status.facts, status.vtep_mac) == ("unreachable", FACTS, "02:00")
    assert house.state.instance_status.all() == {"s/web-0": seen("s/web-0", "n1")}


def test_a_node_that_leaves_while_another_is_written_is_missed_since_then(house: House) -> None:
    house.hello("n1")
    house.reports.cycle()
    house.hello("n2")
    house.store.before = lambda: house.reports.left("n1")
    assert house.reports.cycle() == LEFT_FOR
    house.now += LEFT_FOR
    house.reports.cycle()
    assert house.cluster.node_states() == {"n1": "unreachable", "n2": "ready"}


@pytest.mark.parametrize("order", [("refused", "lost"), ("lost", "refused")])
def test_a_node_that_no_manager_works_with_is_unreachable_with_the_reason(house: House, order: tuple[str, ...]) -> None:
    house.hello("n1")
    house.reports.cycle()
    house.reports.left("n1")
    for step in order:
        if step == "refused":
            house.reports.refused("n1", "it is too new")
        else:
            house.now += LEFT_FOR
        house.cycles()
    house.reports.wake()
    house.cycles()
    status = house.state.node_status.get("n1")
    assert status and (status.state, status.message) == ("unreachable", "it is too new")
    house.hello("n1", turn=1)
    house.reports.cycle()
    status = house.state.node_status.get("n1")
    assert status and (status.state, status.message) == ("ready", "")


def test_a_node_that_one_manager_refuses_and_another_works_with_is_ready(house: House) -> None:
    house.reports.refused("n1", "it is too new")
    house.other.hello("n1", hello("n1"))
    house.cycles()
    house.now += UNREACHABLE_AFTER
    house.cycles()
    status = house.state.node_status.get("n1")
    assert status and (status.state, status.message, status.manager) == ("ready", "", "m2")


def test_a_node_that_is_back_is_ready_whatever_the_store_was_told_in_between(house: House) -> None:
    house.hello("n1")
    house.reports.cycle()
    for turn in range(20):
        house.reports.left("n1")
        house.now += LEFT_FOR * (turn % 2)
        house.reports.cycle()
        house.hello("n1", turn=turn)
        house.reports.cycle()
        assert house.cluster.node_states() == {"n1": "ready"}


def test_ready_nodes_that_do_not_come_back_to_a_new_manager_become_unreachable(house: House) -> None:
    for node in ("n1", "n2"):
        house.hello(node)
    house.cluster.set_node("n3", "joining")
    house.reports.cycle()
    house.reports = house.manager("m1")
    house.hello("n1")
    assert house.reports.cycle() == UNREACHABLE_AFTER
    house.now += UNREACHABLE_AFTER - 1
    house.reports.cycle()
    assert house.cluster.node_states() == {"n1": "ready", "n2": "ready", "n3": "joining"}
    house.now += 1
    house.reports.cycle()
    assert house.cluster.node_states() == {"n1": "ready", "n2": "unreachable", "n3": "joining"}
    house.hello("n2")
    house.reports.cycle()
    assert house.cluster.node_states() == {"n1": "ready", "n2": "ready", "n3": "joining"}


def test_a_node_that_follows_another_manager_is_that_ones(house: House) -> None:
    house.cluster.bind("s/web-0", "n1")
    house.hello("n1", seen("s/web-0", "n1"), turn=1)
    house.cycles()
    house.report("n1", seen("s/web-0", "n1", "stopped"))  # on its way when the node left
    house.other.hello("n1", hello("n1", seen("s/web-0", "n1", "starting"), turn=2))
    house.other.cycle()
    house.reports.cycle()
    assert house.instance_states() == {"s/web-0": "starting"}
    house.reports.left("n1")
    house.now += LEFT_FOR + UNREACHABLE_AFTER
    house.cycles()
    status = house.state.node_status.get("n1")
    assert status and (status.state, status.manager, status.turn) == ("ready", "m2", 2)


def test_a_manager_that_comes_late_with_an_earlier_turn_changes_nothing(house: House) -> None:
    house.other.hello("n1", hello("n1", turn=2))
    house.other.cycle()
    house.hello("n1", turn=1)
    house.cycles()
    house.cycles()
    status = house.state.node_status.get("n1")
    assert status and (status.manager, status.turn) == ("m2", 2)


def test_a_write_that_was_decided_before_another_manager_was_followed_does_not_happen(house: House) -> None:
    house.cluster.bind("s/web-0", "n1")
    house.hello("n1", seen("s/web-0", "n1"), turn=1)
    house.reports.cycle()
    house.report("n1", seen("s/web-0", "n1", "stopped"))

    def the_other_is_followed() -> None:
        house.other.hello("n1", hello("n1", seen("s/web-0", "n1", "starting"), turn=2))
        house.other.cycle()

    house.store.before = the_other_is_followed
    assert house.reports.cycle() == RETRY
    house.cycles()
    assert house.instance_states() == {"s/web-0": "starting"}


def test_the_leader_speaks_for_nodes_whose_manager_is_gone(house: House) -> None:
    house.other.hello("n1", hello("n1", turn=1))
    house.other.hello("n2", hello("n2", turn=1))
    house.other.cycle()
    house.cluster.commit(house.state.alive.delete("m2"))
    assert house.reports.cycle() == UNREACHABLE_AFTER
    house.now += UNREACHABLE_AFTER - 1
    house.hello("n1", turn=2)
    house.reports.cycle()
    house.now += 1
    house.reports.cycle()
    assert house.cluster.node_states() == {"n1": "ready", "n2": "unreachable"}


def test_who_does_not_lead_does_not_speak_for_others_nodes(house: House) -> None:
    house.leads = "m3"
    house.other.hello("n1", hello("n1", turn=1))
    house.other.cycle()
    house.cluster.commit(house.state.alive.delete("m2"))
    house.reports.cycle()
    house.now += UNREACHABLE_AFTER
    house.reports.cycle()
    assert house.cluster.node_states() == {"n1": "ready"}


def test_the_followed_manager_sets_right_what_another_wrote(house: House) -> None:
    house.hello("n1", turn=1)
    house.reports.cycle()
    house.cluster.set_node("n1", "unreachable", "02:00")
    house.reports.wake()
    house.reports.cycle()
    assert house.cluster.node_states() == {"n1": "ready"}


def test_more_nodes_than_one_commit_takes_are_all_written() -> None:
    cluster = ClusterInMemory(nodes=200)
    reports = Reports(cluster.state, cluster.store, Alive(id="m1", run="r"), lambda: None)
    for number in range(1, 201):
        reports.hello(f"n{number}", hello(f"n{number}"))
    reports.cycle()
    assert list(cluster.node_states().values()) == ["ready"] * 200
    cluster.mirror.stop()


def test_a_status_that_comes_late_does_not_bring_a_removed_node_back(house: House) -> None:
    house.hello("n1")
    house.hello("n2", seen("system/etcd-2", "n2"))
    house.store.before = lambda: house.store.commit([house.state.nodes.delete("n2")])
    assert house.reports.cycle() == RETRY
    eventually(lambda: house.reports.cycle() is None, 10)
    assert house.cluster.node_states() == {"n1": "ready"}
    assert house.instance_states() == {}


def test_a_node_that_is_labelled_meanwhile_is_written_with_the_next_try(house: House) -> None:
    house.hello("n1")
    house.hello("n2")
    house.store.before = lambda: house.cluster.label("n2", zone="a")
    assert house.reports.cycle() == RETRY
    assert house.cluster.node_states() == {"n1": "ready"}
    eventually(lambda: house.reports.cycle() is None, 10)
    assert house.cluster.node_states() == {"n1": "ready", "n2": "ready"}


def test_an_instance_that_is_forgotten_meanwhile_does_not_hold_up_the_others(house: House) -> None:
    house.hello("n1")
    house.reports.cycle()
    names = [f"s/web-{index}" for index in range(5)]
    for name in names:
        house.cluster.bind(name, "n1")
    house.report("n1", *(seen(name, "n1") for name in names))
    house.store.before = lambda: house.cluster.forget("s/web-2")
    assert house.reports.cycle() == RETRY
    eventually(lambda: house.reports.cycle() is None, 10)
    assert list(house.instance_states()) == ["s/web-0", "s/web-1", "s/web-3", "s/web-4"]


def test_what_an_outage_kept_from_being_written_stays_waiting(house: House) -> None:
    def fail() -> None:
        raise ConnectionError("no store")

    house.cluster.bind("s/web-0", "n1")
    house.hello("n1", seen("s/web-0", "n1"))
    house.store.before = fail
    with pytest.raises(ConnectionError):
        house.reports.cycle()
    house.reports.cycle()
    assert house.cluster.node_states() == {"n1": "ready"} and house.instance_states() == {"s/web-0": "running"}
