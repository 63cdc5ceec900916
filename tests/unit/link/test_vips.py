"""Nodes hear of the addresses that they may hold, and the leader writes who holds them once that has settled."""

from appliance.link.messages import Held, Picture, Vips
from appliance.link.vips import SETTLED, VipHolders, vip_telling
from appliance.model.vip import Candidate, VipPlan
from appliance.store.store import Expect
from tests.unit.link.cluster_in_memory import ClusterInMemory, unstamped


def plan(address: str, *nodes: str) -> VipPlan:
    candidates = tuple(Candidate(node=node, address=node) for node in nodes)
    return VipPlan(address=address, length=24, router=1, front="entry", candidates=candidates)


class Outbox:
    def __init__(self) -> None:
        self.sent: dict[str, Picture] = {}

    def followers(self) -> set[str]:
        return {"n1", "n2"}

    def send(self, node_id: str, message: Picture) -> None:
        self.sent[node_id] = unstamped(message)

    def take(self) -> dict[str, Picture]:
        taken, self.sent = self.sent, {}
        return taken


def test_a_node_hears_of_what_it_may_hold_and_of_nothing_else() -> None:
    outbox, both, one = Outbox(), plan("10.0.0.50", "n1", "n2"), plan("10.0.0.51", "n1")
    dispatch = vip_telling(ClusterInMemory(2).state, outbox, lambda _: (both, one))
    dispatch.cycle()
    assert outbox.take() == {"n1": Vips(vips=(both, one)), "n2": Vips(vips=(both,))}
    dispatch.cycle()
    assert outbox.take() == {}
    dispatch.greet("n2")
    dispatch.cycle()
    assert outbox.take() == {"n2": Vips(vips=(both,))}


class World:
    def __init__(self) -> None:
        self.cluster = ClusterInMemory(2)
        self.now = 0.0
        self.leads = True
        self.plans: tuple[VipPlan, ...] = (plan("10.0.0.50", "n1", "n2"),)
        cluster = self.cluster
        self.holders = VipHolders(cluster.store, cluster.state, self._term, lambda _: self.plans, lambda: self.now)

    def _term(self) -> Expect | None:
        return Expect("/appliance/leader", 0) if self.leads else None

    def held(self, node: str, *addresses: str) -> None:
        self.holders.heard(node, Held(vips=addresses))

    def later(self, seconds: float) -> None:
        self.holders.cycle()
        self.now += seconds
        self.holders.cycle()

    def owners(self) -> tuple[str, ...] | None:
        status = self.cluster.state.vip_status.get("10.0.0.50")
        return status.owners if status else None


def test_who_holds_an_address_is_written_once_it_has_settled() -> None:
    world = World()
    world.held("n1", "10.0.0.50")
    world.later(SETTLED / 2)
    assert world.owners() is None
    world.later(SETTLED)
    assert world.owners() == ("n1",)


def test_a_short_time_with_two_owners_is_no_alarm() -> None:
    world = World()
    world.held("n1", "10.0.0.50")
    world.later(SETTLED)
    world.held("n2", "10.0.0.50")
    world.later(SETTLED / 2)
    world.held("n1")
    world.later(SETTLED)
    assert world.owners() == ("n2",)


def test_two_owners_that_stay_are_written() -> None:
    world = World()
    world.held("n1", "10.0.0.50")
    world.held("n2", "10.0.0.50")
    world.later(SETTLED)
    assert world.owners() == ("n1", "n2")


def test_a_node_that_is_gone_holds_nothing_that_anybody_knows() -> None:
    world = World()
    world.held("n1", "10.0.0.50")
    world.later(SETTLED)
    world.holders.gone("n1")
    world.later(SETTLED)
    assert world.owners() == ()


def test_what_is_removed_is_forgotten() -> None:
    world = World()
    world.held("n1", "10.0.0.50")
    world.later(SETTLED)
    world.plans = ()
    world.holders.cycle()
    assert world.owners() is None


def test_only_the_leader_writes() -> None:
    world = World()
    world.leads = False
    world.held("n1", "10.0.0.50")
    world.later(SETTLED)
    assert world.owners() is None
