"""A node follows what managers say of addresses, and takes nothing that its host does not have."""

from collections.abc import Callable

from msgspec.structs import replace

from appliance.link.messages import Whereabouts
from appliance.model.identity import NodeIdentity, moved
from appliance.roles.following import MANAGERS_WAIT, Following, followed

AGENT = NodeIdentity(
    id="n",
    name="n",
    number=2,
    address="192.0.2.2",
    roles=("agent",),
    cluster_id="c",
    cluster_name="c",
    network="10.99.0.0/16",
    managers=("192.0.2.1:8444",),
)
MANAGER = replace(AGENT, roles=("manager", "agent"), address="192.0.2.1")
OLD, NEW = (
    Whereabouts(address="192.0.2.2", managers=AGENT.managers),
    Whereabouts(address="192.0.2.7", managers=AGENT.managers),
)


class World:
    def __init__(self, identity: NodeIdentity) -> None:
        self.now = 0.0
        self.addresses = {identity.address}
        self.disk = identity
        self.written: list[NodeIdentity] = []
        self.linked: list[tuple[str, ...]] = []
        self.following = Following(
            identity, self.change, self.linked.append, self.addresses.__contains__, lambda: self.now
        )

    def change(self, change: Callable[[NodeIdentity], NodeIdentity]) -> None:
        self.disk = change(self.disk)
        self.written.append(self.disk)


def test_nothing_is_written_while_nothing_changes() -> None:
    world = World(AGENT)
    world.following.take(OLD)
    assert world.following.cycle() is None
    assert world.written == []


def test_an_address_is_taken_when_the_host_has_it() -> None:
    world = World(AGENT)
    world.following.take(NEW)
    assert world.following.cycle()
    assert world.written == []
    world.addresses.add("192.0.2.7")
    world.following.cycle()
    assert [identity.address for identity in world.written] == ["192.0.2.7"]


def test_a_managers_own_node_follows_later_than_the_agents() -> None:
    world = World(MANAGER)
    world.addresses.add("192.0.2.7")
    world.following.take(NEW)
    assert world.following.cycle() == MANAGERS_WAIT
    world.now = MANAGERS_WAIT
    world.following.cycle()
    assert [identity.address for identity in world.written] == ["192.0.2.7"]


def test_what_was_set_on_the_node_stays_until_the_managers_confirm_it() -> None:
    here = moved(AGENT, "192.0.2.7", ())
    assert here.moved and here.managers == AGENT.managers
    assert followed(here, OLD) == here
    assert followed(here, NEW) == replace(here, moved=False)


def test_the_managers_new_address_is_followed() -> None:
    news = Whereabouts(address=AGENT.address, managers=("192.0.2.9:8444",))
    assert followed(AGENT, news).managers == ("192.0.2.9:8444",)


def test_other_managers_are_written_down_and_linked_and_an_address_is_no_matter_of_the_link() -> None:
    world = World(AGENT)
    world.addresses.add("192.0.2.7")
    world.following.take(NEW)
    world.following.cycle()
    assert world.linked == []
    both = (*AGENT.managers, "192.0.2.9:8444")
    world.following.take(replace(NEW, managers=both))
    world.following.cycle()
    assert world.linked == [both] and world.written[-1].managers == both


def test_a_manager_that_was_moved_by_hand_looks_for_itself_at_its_new_address() -> None:
    assert moved(MANAGER, "192.0.2.7", ()).managers == ("192.0.2.7:8444",)


def test_what_else_has_changed_on_the_disk_stays() -> None:
    world = World(AGENT)
    world.disk = replace(AGENT, roles=("manager", "agent"))
    world.addresses.add("192.0.2.7")
    world.following.take(NEW)
    world.following.cycle()
    assert world.disk == replace(AGENT, roles=("manager", "agent"), address="192.0.2.7")
