"""Which step of a rotation waits for what: authorities are replaced while everybody can talk to everybody."""

from typing import Any

import pytest
from msgspec.structs import replace

from appliance.model.node import NodeSpec, NodeState, NodeStatus
from appliance.model.rotation import ManagerTrust, NodeTrust, Rotation, Step, missing, whose_turn


def rotation(step: Step) -> Rotation:
    return Rotation(step=step, started_at="", ca="PEM", fingerprint="new", link="link-new", sealed=b"")


class World:
    """Managers `m1` and `m2` and the agent `a`; all have done everything up to now."""

    def __init__(self) -> None:
        roles = {"m1": ("manager", "agent"), "m2": ("manager", "agent"), "a": ("agent",)}
        self.nodes: dict[str, Any] = {
            name: NodeSpec(id=name, name=name, number=1, address="", roles=each)  # type: ignore[arg-type]
            for name, each in roles.items()
        }
        self.statuses = {name: self.status(name, "ready") for name in roles}
        self.trusts = {
            name: NodeTrust(node=name, authorities=("link-old", "link-new"), signed_by="link-new") for name in roles
        }
        self.managers = {name: ManagerTrust(node=name, etcd=("new", "old"), signer="new") for name in ("m1", "m2")}

    def status(self, name: str, state: NodeState) -> NodeStatus:
        return NodeStatus(id=name, state=state, since="")

    def missing(self, step: Step) -> list[str]:
        return missing(rotation(step), self.nodes, self.statuses, self.trusts, self.managers)


@pytest.fixture
def world() -> World:
    return World()


def test_a_step_is_done_when_nothing_is_missing(world: World) -> None:
    assert world.missing("spreading") == []
    assert world.missing("signing") == []


def test_a_node_that_cannot_be_reached_holds_up_only_the_end(world: World) -> None:
    world.statuses["a"] = world.status("a", "unreachable")
    del world.trusts["a"]
    assert world.missing("spreading") == []
    assert world.missing("signing") == ["a has not heard of the new authorities; it is not connected"]


def test_a_node_that_was_not_told_yet_holds_up_the_new_signatures(world: World) -> None:
    world.trusts["a"] = replace(world.trusts["a"], authorities=("link-old",))
    assert world.missing("spreading") == ["a has not heard of the new authorities"]


def test_a_node_that_shows_an_old_signature_holds_up_the_end(world: World) -> None:
    world.trusts["a"] = replace(world.trusts["a"], signed_by="link-old")
    assert world.missing("spreading") == []
    assert world.missing("signing") == ["a still shows a certificate of the old authority"]


def test_a_manager_with_old_signatures_holds_up_the_end(world: World) -> None:
    world.managers["m2"] = replace(world.managers["m2"], signer="old")
    assert world.missing("spreading") == []
    assert world.missing("signing") == ["m2 still has certificates of the old authority"]


@pytest.mark.parametrize("step", ["spreading", "signing"])
def test_no_step_goes_on_before_every_etcd_believes_the_new_authority(world: World, step: Step) -> None:
    world.managers["m1"] = replace(world.managers["m1"], etcd=("old",))
    assert world.missing(step) == ["etcd of m1 has not been started with the authorities of this step"]


def test_etcds_are_started_anew_one_after_the_other(world: World) -> None:
    turns = []
    while turn := whose_turn(rotation("dropping"), world.nodes, world.managers):
        turns.append(turn)
        world.managers[turn] = replace(world.managers[turn], etcd=("new",))
    assert turns == ["m1", "m2"]
    assert world.missing("dropping") == []


def test_the_first_manager_that_is_away_holds_up_the_others(world: World) -> None:
    del world.managers["m1"]
    assert whose_turn(rotation("spreading"), world.nodes, world.managers) == "m1"
