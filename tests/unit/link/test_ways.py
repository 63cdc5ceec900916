"""What a manager remembers of nodes' own looks at the overlay."""

from appliance.link.messages import Heartbeat
from appliance.link.ways import Ways
from appliance.model.measurement import Measurement

BAD = Measurement(node="n-2", host=True, overlay=False, wanted=1450)


class Heard:
    def __init__(self) -> None:
        self.on = {"n-2"}
        self.told: list[tuple[str, str, bool]] = []
        self.ways = Ways(lambda *said: self.told.append(said), self.on.__contains__)

    def beat(self, overlay: tuple[Measurement, ...] | None) -> None:
        self.ways.heard("n-1", Heartbeat(clock=0.0, overlay=overlay))


def test_trouble_is_told_once_and_its_end_as_well() -> None:
    heard = Heard()
    for overlay in (None, (BAD,), (BAD,), (), ()):
        heard.beat(overlay)
    assert heard.told == [
        ("n-1", "the overlay is in trouble on the way to one node", True),
        ("n-1", "the overlay reaches every node again", False),
    ]


def test_a_node_that_is_gone_says_nothing_and_does_not_warn_twice() -> None:
    heard = Heard()
    heard.beat((BAD,))
    heard.ways.gone("n-1")
    assert heard.ways.bad("n-1") == ()
    heard.beat((BAD,))
    assert len(heard.told) == 1


def test_a_silent_node_whose_host_nobody_could_ask_counts_only_while_it_is_known_to_be_on() -> None:
    heard, silent = Heard(), Measurement(node="n-2", host=None, overlay=False, wanted=1450)
    heard.on.clear()
    heard.beat((silent,))
    assert heard.ways.bad("n-1") == () and not heard.told
    heard.on.add("n-2")
    heard.beat((silent,))
    assert heard.ways.bad("n-1") == (silent,) and len(heard.told) == 1
