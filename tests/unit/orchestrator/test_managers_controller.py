"""The controller of the managers against members in memory: what it does, and what only a leader does."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from appliance.model.cluster import etcd_peer_url
from appliance.model.node import NodeFacts, NodeSpec, NodeStatus, Role
from appliance.orchestrator.managers_controller import Managers
from appliance.store import keys
from appliance.store.membership import Member
from appliance.store.memory import MemoryStore
from appliance.store.mirror import Mirror
from appliance.store.state import State
from appliance.store.store import Expect, Put
from tests.unit.first_manager import only_member

BOTH: tuple[Role, ...] = ("manager", "agent")


@dataclass
class Told:
    """What nodes were told: node → the member and its peers, or the side that opens its links."""

    following: set[str] = field(default_factory=set)
    equipped: list[tuple[str, int, dict[str, str]]] = field(default_factory=list)
    retired: list[str] = field(default_factory=list)

    def followers(self) -> set[str]:
        return self.following

    def equip(self, node: str, member: Member, peers: dict[str, str]) -> None:
        self.equipped.append((node, member.id, peers))

    def retire(self, node: NodeSpec) -> None:
        self.retired.append(node.id)


class World:
    """Manager n1 leads, n2 is to be one as well and is there."""

    def __init__(self) -> None:
        self.store = MemoryStore(lambda: 0.0)
        self.mirror = Mirror(self.store, keys.ROOT)
        self.mirror.start()
        self.state = State(self.mirror)
        self.members = only_member()
        self.told = Told({"n2"})
        leadership = self.store.commit([Put(keys.LEADER, b"n1")])
        self.term: Expect | None = Expect(keys.LEADER, leadership)
        self.managers = Managers(self.store, self.state, lambda: self.term, self.members, self.told)
        self.put(1, BOTH, manager=True)
        self.put(2, BOTH)

    def put(self, number: int, roles: tuple[Role, ...], *, manager: bool = False, **more: str) -> None:
        facts = NodeFacts(
            version="1", architecture="", cpu=1, memory=1, kernel="", engine="", boot_id="", manager=manager
        )
        name = f"n{number}"
        node = NodeSpec(id=name, name=name, number=number, address=f"10.0.0.{number}", roles=roles, dial="manager")
        status = NodeStatus(id=name, state="ready", since="", facts=facts)
        revision = self.store.commit(
            [self.state.nodes.put(name, node), self.state.node_status.put(name, status)],
        )
        assert self.mirror.wait_for(revision, 5)

    def cycles(self, count: int = 1) -> None:
        for _ in range(count):
            self.managers.cycle()

    def votes(self) -> dict[str, bool]:
        return {member.name: not member.learner for member in self.members.list()}


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.mirror.stop()
    made.store.close()


def test_a_node_becomes_a_manager_step_by_step(world: World) -> None:
    world.cycles(2)
    assert world.told.equipped == [("n2", 2, {"n1": "https://10.0.0.1:2380"})]
    assert world.managers.etcd_states() == {"n1": "healthy", "n2": "joining"}
    world.members.start("n2", etcd_peer_url("10.0.0.2"))
    world.cycles()
    assert world.votes() == {"n1": True, "n2": True}
    node = world.state.nodes.get("n2")
    assert node is not None and node.dial == "agent"


def test_a_learner_that_lags_gets_its_vote_later(world: World) -> None:
    world.cycles()
    world.members.start("n2", etcd_peer_url("10.0.0.2"))
    world.members.lag("n2")
    world.cycles(2)
    assert world.votes() == {"n1": True, "n2": False}
    assert world.managers.etcd_states()["n2"] == "learner"


def test_who_does_not_lead_changes_no_members_but_tells_its_followers(world: World) -> None:
    world.term = None
    world.cycles(2)
    assert world.votes() == {"n1": True}
    world.members.add_learner(etcd_peer_url("10.0.0.2"))
    world.cycles()
    assert [node for node, _, _ in world.told.equipped] == ["n2"]


def test_a_node_that_follows_another_manager_is_told_by_that_one(world: World) -> None:
    world.told.following.clear()
    world.cycles(2)
    assert world.told.equipped == []


def test_a_leader_of_the_past_turns_nobodys_link(world: World) -> None:
    world.cycles()
    world.members.start("n2", etcd_peer_url("10.0.0.2"))
    revision = world.store.commit([Put(keys.LEADER, b"n2")])
    assert world.mirror.wait_for(revision, 5)
    with pytest.raises(Exception, match="Somebody else"):
        world.cycles()
    node = world.state.nodes.get("n2")
    assert node is not None and node.dial == "manager"


def test_a_demoted_node_gives_up_its_member_and_is_told_afterwards(world: World) -> None:
    world.cycles()
    world.members.start("n2", etcd_peer_url("10.0.0.2"))
    world.cycles()
    world.put(2, ("agent",), manager=True)
    world.cycles()
    assert (world.votes(), world.told.retired) == ({"n1": True}, [])
    world.cycles()
    assert world.told.retired == ["n2"]
    world.put(2, ("agent",))
    world.cycles()
    assert world.told.retired == ["n2"]
