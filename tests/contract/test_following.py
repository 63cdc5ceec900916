"""A node with several managers: it is linked to each, follows one, and takes nothing that is older than what it has."""

from collections.abc import Iterator

import pytest

from appliance.link.agent_end import AgentLink
from appliance.link.conversation import ANSWER
from appliance.link.manager_end import ManagerLink
from appliance.link.messages import Hello, Orders, Report
from appliance.link.session import HEARTBEAT
from appliance.model.instance import InstanceStatus
from appliance.model.stamp import Stamp
from tests.contract.link_world import World
from tests.lab.waiting import eventually

SOON = 2 * HEARTBEAT + ANSWER


class Several(World):
    """Three managers."""

    def __init__(self, dial: str) -> None:
        super().__init__("manager" if dial == "manager" else "agent")
        self.managers = {"manager-1": self.manager}
        for name in ("manager-2", "manager-3"):
            self.managers[name] = self.make_manager(self.authority, name=name)
            self.manager_at.start(self.managers[name])

    def linked_agent(self) -> AgentLink:
        agent = self.agent(managers=self.managers.values())
        eventually(lambda: all(each.connected() for each in self.managers.values()) and agent.state.manager, 30)
        eventually(lambda: self.followed() == [agent.state.manager], 30)
        return agent

    def followed(self) -> list[str]:
        """The managers that think that the node follows them."""
        return [name for name, manager in self.managers.items() if manager.followers()]

    def others(self, followed: str) -> list[ManagerLink]:
        return [manager for name, manager in self.managers.items() if name != followed]

    def hellos(self) -> list[Hello]:
        return [message for _, message in self.heard if isinstance(message, Hello)]

    def taken(self) -> list[tuple[str, ...]]:
        return [orders.forget for orders in self.orders]

    def stop(self) -> None:
        super().stop()
        for manager in self.managers.values():
            manager.stop()


@pytest.fixture(params=["agent", "manager"])
def world(request: pytest.FixtureRequest) -> Iterator[Several]:
    world = Several(request.param)
    yield world
    world.stop()


def orders(text: str, revision: int = 0) -> Orders:
    return Orders(full=True, forget=(text,), stamp=Stamp(0, revision))


def test_a_node_is_linked_to_all_and_obeys_and_tells_one(world: Several) -> None:
    agent = world.linked_agent()
    for other in world.others(agent.state.manager):
        other.send("node-1", orders("of one that is not followed"))
    world.managers[agent.state.manager].send("node-1", orders("of the followed"))
    eventually(lambda: world.orders, 30)
    agent.report((InstanceStatus(instance="shop/web-0", node="node-1", state="running"),))
    eventually(lambda: [message for _, message in world.heard if isinstance(message, Report)], 30)
    eventually(lambda: len(world.beats) >= 2 * len(world.managers), SOON)
    assert world.taken() == [("of the followed",)]
    assert len([message for _, message in world.heard if isinstance(message, Report)]) == 1
    assert len(world.hellos()) == 1


def test_when_the_followed_manager_ends_another_is_followed_at_once_and_told_everything(world: Several) -> None:
    agent = world.linked_agent()
    first = agent.state.manager
    world.managers[first].stop()
    eventually(lambda: agent.state.manager not in ("", first), 2)
    eventually(lambda: len(world.hellos()) == 2, 2)
    before, after = world.hellos()
    assert after.turn > before.turn
    world.managers[agent.state.manager].send("node-1", orders("of the next"))
    eventually(lambda: world.taken() == [("of the next",)], 30)


def test_a_manager_whose_copy_is_not_fresh_is_left_unless_all_are_so() -> None:
    world = Several("agent")
    agent = world.linked_agent()
    first = agent.state.manager
    world.copies[first].fresh = False
    second = eventually(lambda: agent.state.manager if agent.state.manager != first else "", SOON)
    eventually(lambda: ("node-1", f"left {first}") in world.heard and world.followed() == [second], 30)
    for name in (*world.managers.keys() - {first, second}, second):
        world.copies[name].fresh = False
        seen = len(world.beats)
        eventually(lambda seen=seen: len(world.beats) > seen + len(world.managers), SOON)  # type: ignore[misc]
    assert world.followed() == [second] and len(world.hellos()) == 2
    world.stop()


def test_a_manager_that_has_less_than_a_node_has_seen_tells_it_nothing_until_it_has_caught_up() -> None:
    world = Several("agent")
    agent = world.linked_agent()
    world.managers[agent.state.manager].send("node-1", orders("new", revision=500))
    eventually(lambda: world.orders, 30)
    first, behind = agent.state.manager, [name for name in world.managers if name != agent.state.manager]
    world.managers[first].stop()
    eventually(lambda: agent.state.manager in behind, 30)
    with pytest.raises(TimeoutError):
        eventually(lambda: [name for name in behind if world.managers[name].followers()], 2)
    for name in behind:
        world.copies[name].stamp = Stamp(0, 500)
    eventually(lambda: [name for name in behind if world.managers[name].followers()], SOON)
    assert world.hellos()[-1].seen == Stamp(0, 500)
    world.stop()


def test_what_is_older_than_what_a_node_has_seen_is_refused_and_another_manager_followed() -> None:
    world = Several("agent")
    agent = world.linked_agent()
    first = agent.state.manager
    world.managers[first].send("node-1", orders("new", revision=500))
    eventually(lambda: world.orders, 30)
    for copy in world.copies.values():
        copy.stamp = Stamp(0, 500)  # or so they believe
    world.managers[first].stop()
    second = eventually(lambda: next((name for name in world.followed() if name != first), ""), 30)
    world.managers[second].send("node-1", orders("old", revision=499))
    third = eventually(lambda: agent.state.manager if agent.state.manager not in ("", second) else "", 30)
    eventually(lambda: world.managers[third].followers(), 30)
    world.managers[third].send("node-1", Orders(full=True, forget=("restored",), stamp=Stamp(1, 3)))
    eventually(lambda: world.taken() == [("new",), ("restored",)], 30)
    world.stop()


def test_managers_come_and_go_while_the_agent_runs() -> None:
    world = Several("agent")
    agent = world.agent(managers=[world.managers["manager-1"]])
    eventually(lambda: world.followed() == ["manager-1"], 30)
    agent.set_managers(world.address(manager) for manager in world.managers.values())
    eventually(lambda: all(manager.connected() for manager in world.managers.values()), 30)
    assert world.followed() == ["manager-1"]
    agent.set_managers([world.address(world.managers["manager-3"])])
    eventually(lambda: world.followed() == ["manager-3"], 30)
    eventually(lambda: not world.managers["manager-1"].connected() and not world.managers["manager-2"].connected(), 30)
    assert agent.state.manager == "manager-3"
    world.stop()
