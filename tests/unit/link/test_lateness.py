"""A certificate that was not renewed is spoken of once, when it is late at two looks."""

from appliance.link.lateness import Lateness
from appliance.model.certificate import HeldCertificate, validity
from tests.unit.link.cluster_in_memory import ClusterInMemory


def test_it_is_said_once_and_again_when_it_happens_again() -> None:
    cluster, now = ClusterInMemory(1), 1_800_000_000.0
    told: list[str] = []

    def give(node: str, issued: float) -> None:
        held = HeldCertificate(node=node, use="host", validity=validity(issued, 100))
        cluster.commit(cluster.state.held.put(held.name, held))

    def look(clock: float) -> list[str]:
        nonlocal now
        now = clock
        told.clear()
        lateness.cycle()
        return list(told)

    lateness = Lateness(cluster.state, lambda node, text: told.append(f"{node}: {text}"), lambda: now)
    give("n1", 1_800_000_000.0)
    give("forgotten", 1_800_000_000.0)
    page = HeldCertificate(node="n1", use="page", validity=validity(1_800_000_000.0, 100))
    cluster.commit(cluster.state.held.put(page.name, page))  # n1 was a manager once
    assert look(1_800_000_070.0) == []
    assert look(1_800_000_080.0) == []
    assert look(1_800_000_081.0) == ["n1: its certificate host ends at 2027-01-15T08:01:40Z and was not renewed"]
    assert look(1_800_000_090.0) == []
    give("n1", 1_800_000_090.0)
    assert look(1_800_000_091.0) == []
    assert look(1_800_000_200.0) == []
    assert look(1_800_000_201.0) == ["n1: its certificate host has ended at 2027-01-15T08:03:10Z and was not renewed"]
