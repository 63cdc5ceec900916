"""Both ends of the link over real TCP, in both dial modes."""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest

from appliance.errors import LinkDown, NoSuchContainer, Refused
from appliance.link.dialling import FIRST_BACKOFF
from appliance.link.door import NodeKeys
from appliance.link.messages import ExecRequest, Hello, LogsRequest, Orders, Peers, ProbeRequest, Report
from appliance.link.probing import Probing
from appliance.link.session import HEARTBEAT, SILENCE
from appliance.model.cluster import REGISTRY_PORT
from appliance.model.instance import InstanceStatus
from appliance.model.measurement import Measurement
from appliance.model.node import Peer
from appliance.security.ssh import issue_host_certificate, issue_user_certificate, key_fingerprint, make_ssh_key
from tests.contract.link_world import FACTS, Place, World
from tests.lab.lab import Lab
from tests.lab.waiting import eventually


@pytest.fixture(params=["agent", "manager"])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(request.param)
    yield world
    world.stop()


def status(instance: str, state: Any = "running") -> InstanceStatus:
    return InstanceStatus(instance=instance, node="node-1", state=state)


def test_a_node_says_hello_and_is_connected_under_the_name_in_its_certificate(world: World) -> None:
    agent = world.connected_agent()
    eventually(lambda: world.heard, 30)
    node, message = world.heard[0]
    assert node == "node-1" and isinstance(message, Hello) and message.facts == FACTS
    assert agent.state.manager == "manager-1"


def test_a_node_that_a_manager_does_not_work_with_is_told_why_once_and_waits(world: World) -> None:
    world.refusals["node-1"] = Refused("The agent is too new.", why="it is", next="wait", page="managers")
    agent = world.agent()
    eventually(lambda: agent.turned_away, 30)
    assert agent.turned_away["manager-1"].what == "The agent is too new."
    assert agent.turned_away["manager-1"].next == "wait"
    agent.report((status("shop/web-0"),))
    time.sleep(2 * FIRST_BACKOFF)  # in which it would come again
    assert world.heard == [("node-1", world.refusals["node-1"])]
    assert (agent.state.manager, world.manager.connected(), world.manager.followers()) == ("", set(), set())


def keys_of(world: World, node: str = "node-1", life: float = 600) -> NodeKeys:
    key, public = make_ssh_key()
    certificate = issue_host_certificate(world.authority, public, node, time.time(), life)
    return NodeKeys((world.authority_line,), key, certificate)


def test_new_keys_are_for_the_next_connection_and_leave_the_one_that_is_there(world: World) -> None:
    agent = world.connected_agent()
    first = world.manager.certificate_of("node-1")
    assert first
    agent.use(keys_of(world))
    key, public = make_ssh_key()
    world.manager.use(key, (issue_user_certificate(world.authority, public, "manager-1", time.time()),))
    world.manager.send("node-1", Peers(peers=()))
    eventually(lambda: world.peers, 30)
    assert world.manager.certificate_of("node-1") == first
    world.manager.cut("node-1")
    eventually(lambda: world.manager.certificate_of("node-1") not in (None, first), 30)


def test_a_node_whose_certificate_has_expired_is_let_in(world: World) -> None:
    agent = world.connected_agent()
    agent.use(keys_of(world, life=-10))
    world.manager.cut("node-1")
    eventually(lambda: (shown := world.manager.certificate_of("node-1")) and shown.validity.over < time.time(), 30)


def test_a_manager_whose_certificate_has_expired_is_not_let_in(world: World) -> None:
    world.connected_agent()
    key, public = make_ssh_key()
    fresh = issue_user_certificate(world.authority, public, "manager-1", time.time())
    world.manager.use(key, (issue_user_certificate(world.authority, public, "manager-1", time.time(), -10),))
    world.manager.cut("node-1")
    eventually(lambda: world.manager.connected() == set(), 30)
    with pytest.raises(TimeoutError):
        eventually(world.manager.connected, 2)
    world.manager.use(key, (fresh,))
    eventually(world.manager.connected, 30)


def test_a_manager_shows_one_certificate_after_the_other(world: World) -> None:
    """While the authority changes, a node that was off knows the old one only."""
    world.connected_agent()
    key, public = make_ssh_key()
    signers, now = (make_ssh_key()[0], world.authority), time.time()
    world.manager.use(key, tuple(issue_user_certificate(each, public, "manager-1", now) for each in signers))
    world.heard.clear()
    world.manager.cut("node-1")
    eventually(lambda: ("node-1", "gone") in world.heard and world.manager.connected(), 30)


def test_a_node_ends_its_link_with_a_manager_whose_key_is_revoked(world: World) -> None:
    agent = world.connected_agent()
    revoked = frozenset({key_fingerprint(world.manager_key)})
    agent.use(replace(keys_of(world), revoked=revoked))
    eventually(lambda: world.manager.connected() == set(), 5)
    with pytest.raises(TimeoutError):
        eventually(world.manager.connected, 2)


def test_orders_and_peers_arrive_in_order(world: World) -> None:
    world.connected_agent()
    for number in range(50):
        world.manager.send("node-1", Orders(full=False, forget=(str(number),)))
    world.manager.send("node-1", Peers(peers=()))
    eventually(lambda: world.peers, 30)
    assert [order.forget for order in world.orders] == [(str(number),) for number in range(50)]


def test_a_message_for_a_node_that_is_not_there_is_dropped(world: World) -> None:
    world.manager.send("nobody", Orders(full=True))
    assert world.manager.connected() == set()


def test_reports_arrive(world: World) -> None:
    agent = world.connected_agent()
    eventually(lambda: agent.state.manager, 30)
    agent.report((status("shop/web-0"), status("shop/web-1")))

    def reported() -> set[str]:
        return {s.instance for _, m in world.heard if isinstance(m, Report) for s in m.statuses}

    eventually(lambda: reported() == {"shop/web-0", "shop/web-1"}, 30)


def test_a_node_finds_out_how_far_its_clock_is_ahead_and_says_so_at_the_next_heartbeat(world: World) -> None:
    world.ahead = 7.0
    world.connected_agent()
    eventually(lambda: world.skews, 3)
    assert world.skews[0].offset == pytest.approx(7.0, abs=0.1)
    assert world.skews[0].error < 0.1
    eventually(lambda: [beat.skew for beat in world.beats if beat.skew], HEARTBEAT + 3)
    assert world.beats[0].skew is None


def test_orders_of_some_megabytes_arrive(world: World) -> None:
    world.connected_agent()
    names = tuple(f"shop/web-{number}" + "x" * 100 for number in range(30_000))
    world.manager.send("node-1", Orders(full=True, forget=names))
    eventually(lambda: world.orders, 30)
    assert world.orders[0].forget == names


def test_a_command_gets_its_input_its_sizes_and_gives_its_output_and_exit_code(world: World) -> None:
    world.connected_agent()

    async def talk() -> tuple[list[tuple[str, bytes]], int]:
        channel = await world.manager.open_channel("node-1", ExecRequest(instance="shop/web-0", command=("cat", "-u")))
        said = [await channel.read()]
        await channel.write(b"hello")
        said.append(await channel.read())
        channel.resize(50, 120)
        said.append(await channel.read())
        await channel.close_input()
        assert await channel.read() is None
        return [piece for piece in said if piece], channel.exit_code()

    assert world.run(talk()) == ([("stderr", b"cat -u"), ("stdout", b"hello"), ("stdout", b"50x120")], 7)


def test_closing_a_channel_ends_the_command(world: World) -> None:
    world.connected_agent()

    async def leave() -> None:
        channel = await world.manager.open_channel("node-1", ExecRequest(instance="shop/web-0", command=("sh",)))
        await channel.read()
        channel.close()

    world.run(leave())
    assert world.containers.opened[0].closed.wait(5)


def test_what_the_node_refuses_is_raised_as_it_was(world: World) -> None:
    world.connected_agent()

    async def fail() -> None:
        channel = await world.manager.open_channel("node-1", ExecRequest(instance="shop/none-0", command=("sh",)))
        await channel.read()

    with pytest.raises(NoSuchContainer) as caught:
        world.run(fail())
    assert caught.value.where == "shop/none-0"


def test_a_node_measures_the_overlay_when_asked(world: World) -> None:
    world.connected_agent()
    peer = Peer(node="node-2", number=2, address="192.0.2.2", vtep_mac="02:00:00:00:00:02")
    answers = Probing(world.manager).ask({"node-1": ProbeRequest(peers=(peer,)), "node-9": ProbeRequest(peers=())})
    assert answers["node-1"] == (Measurement(node="node-2", host=True, overlay=False, wanted=1450),)
    assert isinstance(answers["node-9"], LinkDown)


def test_logs_arrive_whole_and_wait_for_a_slow_reader(world: World) -> None:
    world.connected_agent()

    async def read() -> int:
        channel = await world.manager.open_channel("node-1", LogsRequest(instance="shop/web-0", tail=800))
        first = await channel.read()
        assert first
        stalled, given = False, -1
        while not stalled:
            await asyncio.sleep(0.3)
            stalled, given = given == world.containers.logs[0].given, world.containers.logs[0].given
        assert given < 800, "50 MB were read ahead of a reader that does not read"
        size = len(first[1])
        while (piece := await channel.read()) is not None:
            size += len(piece[1])
        return size

    assert world.run(read()) == 800 * 65536


def test_a_channel_to_a_node_that_is_not_connected_is_refused(world: World) -> None:
    with pytest.raises(LinkDown):
        world.run(world.manager.open_channel("nobody", LogsRequest(instance="shop/web-0")))


def test_a_node_with_a_certificate_of_another_cluster_is_not_let_in(world: World) -> None:
    other, _ = make_ssh_key()
    world.agent("node-9", authority=other)
    world.agents[-1].report((status("shop/web-0"),))
    with pytest.raises(TimeoutError):
        eventually(world.manager.connected, 1.5)


def test_a_node_that_says_another_name_is_not_let_in(world: World) -> None:
    world.agent("node-1", says="node-2")
    with pytest.raises(TimeoutError):
        eventually(world.manager.connected, 1.5)
    assert not world.heard


def test_an_agent_lets_no_manager_of_another_cluster_in() -> None:
    world = World("agent")
    other, _ = make_ssh_key()
    foreign = world.make_manager(other)
    foreign.start()
    agent = world.agent(managers=[foreign])
    with pytest.raises(TimeoutError):
        eventually(lambda: foreign.connected() or agent.state.manager, 1.5)
    foreign.stop()
    world.stop()


def test_a_node_that_stops_is_reported_gone(world: World) -> None:
    agent = world.connected_agent()
    agent.stop()
    eventually(lambda: ("node-1", "gone") in world.heard, 30)
    assert world.manager.connected() == set()


def test_a_newer_link_of_a_node_replaces_the_older_which_ends_before_the_new_begins() -> None:
    world = World("agent")
    first = world.connected_agent()
    world.agent("node-1")
    eventually(lambda: len(turns(world)) >= 3, 30)
    assert turns(world)[:3] == ["hello", "gone", "hello"]
    first.stop()
    eventually(lambda: world.manager.connected() == {"node-1"}, 30)
    world.stop()


def turns(world: World) -> list[str]:
    """When links of a node began and ended."""
    return [
        "hello" if isinstance(message, Hello) else "gone"
        for _, message in world.heard
        if isinstance(message, Hello) or message == "gone"
    ]


def test_an_agent_comes_back_to_a_manager_that_was_away() -> None:
    world = World("agent")
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    agent = world.agent()
    agent.set_managers([("127.0.0.1", port)])
    agent.report((status("shop/web-0", "starting"),))
    for _ in range(2):
        manager = world.make_manager(world.authority, port)
        manager.start()
        eventually(lambda manager=manager: manager.connected() == {"node-1"}, 30)  # type: ignore[misc]
        manager.stop()
        eventually(lambda: agent.state.manager == "", 30)
    world.stop()


def test_a_registry_port_in_use_on_the_node_does_not_harm_the_link(world: World) -> None:
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # in use as well when somebody else has it
            stack.enter_context(closing(socket.create_server(("127.0.0.1", REGISTRY_PORT))))
        world.agent("forwarded")
        eventually(world.manager.connected, 30)
        world.manager.send("forwarded", Orders(full=True))
        eventually(lambda: world.orders, 30)
        agent = world.agents[-1]
        agent.report((status("shop/web-0"),))
        eventually(lambda: any(isinstance(message, Report) for _, message in world.heard), 30)
    assert ("forwarded", "gone") not in world.heard


def test_a_manager_reaches_the_registry_on_the_node_of_another(world: World) -> None:
    with contextlib.ExitStack() as stack:
        try:
            registry = stack.enter_context(closing(socket.create_server(("127.0.0.1", REGISTRY_PORT))))
        except OSError:
            pytest.skip(f"port {REGISTRY_PORT} is in use")
        world.connected_agent()
        host, _, port = stack.enter_context(world.manager.registry_of("node-1")).partition(":")
        asking = stack.enter_context(closing(socket.create_connection((host, int(port)), 10)))
        asked, _ = registry.accept()
        stack.enter_context(closing(asked)).sendall(b"here")
        assert asking.recv(4) == b"here"
    with pytest.raises(LinkDown), world.manager.registry_of("nobody"):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for network namespaces")
def test_a_node_whose_hello_could_not_be_taken_says_it_again(world: World) -> None:
    class DeafOnce(list[tuple[str, Any]]):
        deaf = True

        def append(self, heard: tuple[str, Any]) -> None:
            if self.deaf:
                self.deaf = False
                raise RuntimeError("deaf")
            super().append(heard)

    world.heard = DeafOnce()
    world.agent()
    eventually(lambda: any(isinstance(message, Hello) for _, message in world.heard), 30)


def test_a_node_that_cannot_make_its_heartbeat_begins_a_new_link() -> None:
    class Broken(float):
        def __radd__(self, other: float) -> float:
            raise OSError("no clock")

    world = World("agent")
    try:
        world.connected_agent()
        world.ahead = Broken()
        eventually(lambda: ("node-1", "gone") in world.heard, 2 * HEARTBEAT)
        world.ahead = 0.0
        eventually(world.manager.connected, 30)
    finally:
        world.stop()


def test_both_ends_notice_a_silent_link_and_are_back_when_it_is_healed() -> None:
    with Lab() as lab, contextlib.ExitStack() as stack:
        manager_host, node_host = lab.host("manager"), lab.host("node")
        manager_at = Place(manager_host.address, manager_host.namespace)
        nodes_at = Place(node_host.address, node_host.namespace)
        worlds = [World("agent", manager_at=manager_at, nodes_at=nodes_at)]
        worlds.append(World("manager", manager_at=manager_at, nodes_at=nodes_at))
        for world in worlds:
            stack.callback(world.stop)
            world.connected_agent()
        eventually(lambda: all(world.agents[0].state.manager for world in worlds), 30)

        lab.cut(node_host)
        deadline = SILENCE + HEARTBEAT
        eventually(lambda: not any(world.manager.connected() for world in worlds), deadline)
        eventually(lambda: not any(world.agents[0].state.manager for world in worlds), HEARTBEAT)
        eventually(lambda: all(world.heard[-1] == ("node-1", "gone") for world in worlds), 30)

        lab.heal(node_host)
        eventually(lambda: all(world.manager.connected() == {"node-1"} for world in worlds), 40)
        for world in worlds:
            world.manager.send("node-1", Orders(full=True))
        eventually(lambda: all(world.orders and world.agents[0].state.manager for world in worlds), 30)


def test_a_node_that_moves_keeps_its_link_until_it_is_reached_where_it_moved_to() -> None:
    with contextlib.ExitStack() as stack:
        world = World("manager")
        stack.callback(world.stop)
        first = world.connected_agent()
        world.manager.set_dial_targets({"node-1": ("127.0.0.1", 1)})  # nobody is there yet
        world.manager.send("node-1", Peers(peers=()))
        eventually(lambda: world.peers, 30)
        assert first.state.manager
        second = world.agent()
        eventually(lambda: second.state.manager and not first.state.manager, 30)
