"""When a node looks at the overlay by itself, and what it then says."""

from appliance.model.measurement import Measurement
from appliance.model.node import Peer
from appliance.network.checkup import AGAIN, LATER, PATIENT, Checkup

PEERS = (Peer(node="n-2", number=2, address="192.0.2.2", vtep_mac="02:00:00:00:00:02"),)
WELL = Measurement(node="n-2", host=True, overlay=True, latency=0.001, size=1450, wanted=1450, stream="passes")
BLOCKED = Measurement(node="n-2", host=True, overlay=False, wanted=1450)
SILENT = Measurement(node="n-2", host=None, overlay=False, wanted=1450)
OFF = Measurement(node="n-2", host=False, overlay=False, wanted=1450)


class World:
    def __init__(self, *answers: Measurement) -> None:
        self.answers = list(answers)
        self.checkup = Checkup(self.measure, lambda: PEERS)

    def measure(self, peers: tuple[Peer, ...]) -> tuple[Measurement, ...]:
        return (self.answers.pop(0),)


def test_once_all_is_well_it_does_not_look_again() -> None:
    world = World(WELL)
    assert world.checkup.bad() is None
    assert [world.checkup.cycle(), world.checkup.cycle()] == [None, None]
    assert world.checkup.bad() == ()


def test_trouble_is_looked_at_several_times_before_it_is_told() -> None:
    world = World(*[BLOCKED] * PATIENT)
    pauses = [world.checkup.cycle() for _ in range(PATIENT - 1)]
    assert set(pauses) == {AGAIN}
    assert world.checkup.bad() is None
    assert world.checkup.cycle() == LATER
    assert world.checkup.bad() == (BLOCKED,)


def test_trouble_that_has_passed_is_taken_back() -> None:
    world = World(*[BLOCKED] * PATIENT, WELL)
    for _ in range(PATIENT + 1):
        world.checkup.cycle()
    assert world.checkup.bad() == ()


def test_a_node_that_is_off_is_no_trouble_of_the_overlay() -> None:
    world = World(OFF)
    world.checkup.cycle()
    assert world.checkup.bad() == ()


def test_a_silent_node_is_told_of_where_its_host_may_not_be_asked() -> None:
    world = World(*[SILENT] * PATIENT)
    for _ in range(PATIENT):
        world.checkup.cycle()
    assert world.checkup.bad() == (SILENT,)
