"""Ends of containers that the engine was not told of."""

from appliance.agent.observed import Observed
from appliance.agent.unheard import UnheardEnds
from appliance.engine.engine import ContainerState
from tests.unit.agent.node import ROOT, Node, alone, eventually


class Processes:
    """The processes of two containers, of which that of `gone` has ended without the engine hearing of it."""

    def __init__(self, *containers: ContainerState) -> None:
        self._cgroups = {each.pid: f"0::/docker/{each.id}\n" for each in containers}
        self.gone: set[int] = set()

    def cgroup_of(self, pid: int) -> str:
        return "" if pid in self.gone else self._cgroups.get(pid, "")


def test_a_container_whose_process_is_gone_twice_is_stopped_and_so_runs_again(fake_node: Node) -> None:
    with fake_node.supervised() as book:
        book.put(alone())
        book.put(alone(index=2))
        one = eventually(fake_node.running)
        other = eventually(lambda: fake_node.running(instance="shop/web-2"))
        observed = Observed(fake_node.engine, ROOT, lambda: 0.0)
        observed.look_at_everything()
        processes = Processes(one, other)
        ends = UnheardEnds(fake_node.engine, observed, processes.cgroup_of)
        ends.cycle()
        processes.gone.add(one.pid)
        ends.cycle()
        assert fake_node.running() == one
        ends.cycle()
        eventually(lambda: fake_node.running().pid != one.pid)
        assert fake_node.running(instance="shop/web-2") == other


def test_nothing_is_stopped_where_no_process_can_be_seen(fake_node: Node) -> None:
    with fake_node.supervised() as book:
        book.put(alone())
        before = eventually(fake_node.running)
        observed = Observed(fake_node.engine, ROOT, lambda: 0.0)
        observed.look_at_everything()
        ends = UnheardEnds(fake_node.engine, observed, lambda pid: "")
        for _ in range(3):
            ends.cycle()
        assert fake_node.running() == before
