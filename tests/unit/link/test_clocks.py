"""Whom a wrong clock is told to, and how often."""

from appliance.link.clocks import Clocks
from appliance.link.messages import Heartbeat
from appliance.model.skew import Skew


class Told:
    def __init__(self) -> None:
        self.said: list[tuple[str, bool]] = []
        self.clocks = Clocks(lambda node, text, warns: self.said.append((text.partition(";")[0], warns)))

    def beat(self, offset: float, error: float = 0.001) -> None:
        self.clocks.heard("n1", Heartbeat(clock=0.0, skew=Skew(offset=offset, error=error)))


def test_a_wrong_clock_is_told_once_and_again_when_it_is_right() -> None:
    told = Told()
    for offset in (0.01, -120.4, -120.5, 0.02, 0.01):
        told.beat(offset)
    assert told.said == [
        ("its clock is 120 s behind the manager's", True),
        ("its clock is right again: 0.0 s ahead of the manager's", False),
    ]


def test_a_clock_on_the_verge_is_told_once() -> None:
    told = Told()
    for offset in (0.51, 0.49, 0.52, 0.3, 0.6):
        told.beat(offset)
    assert len(told.said) == 1


def test_what_a_slow_link_may_have_made_up_is_no_warning() -> None:
    told = Told()
    told.beat(3.0, error=2.9)
    assert told.said == []


def test_a_link_that_comes_and_goes_warns_once_and_knows_nothing_in_between() -> None:
    told = Told()
    told.beat(5.0)
    told.clocks.gone("n1")
    assert told.clocks.of("n1") is None
    told.beat(5.0)
    assert len(told.said) == 1


def test_a_heartbeat_without_a_measurement_changes_nothing() -> None:
    told = Told()
    told.beat(0.1)
    told.clocks.heard("n1", Heartbeat(clock=0.0))
    assert told.clocks.of("n1") == Skew(offset=0.1, error=0.001)
